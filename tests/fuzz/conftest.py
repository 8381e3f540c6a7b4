"""After the tests: cases per reader and in all (they travel with the reports, also from xdist's workers)."""

import fuzzing
import pytest


@pytest.fixture(autouse=True)
def counted(record_property):
    fuzzing.COUNTS.clear()
    yield
    for reader, n in fuzzing.COUNTS.items():
        record_property(f"fuzz: {reader}", n)


def pytest_terminal_summary(terminalreporter):
    found: dict[str, int] = {}
    for report in terminalreporter.stats.get("", []):
        if report.when == "teardown":
            for name, n in report.user_properties:
                if name.startswith("fuzz: "):
                    found[name[6:]] = found.get(name[6:], 0) + n
    if found:
        told = ", ".join(f"{reader} {n}" for reader, n in sorted(found.items()))
        terminalreporter.write_line(f"fuzz: {sum(found.values())} cases ({told})")
