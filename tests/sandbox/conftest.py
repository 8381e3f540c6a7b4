"""Makes `kit` importable from the tests beside it, and closes its shared sandboxes at the end."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def _close_boxes() -> Iterator[None]:
    yield
    import kit

    for sandbox in kit.OPEN:
        sandbox.close()
