"""The self-test can tell a wall from no wall."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import pytest

from toprope.errors import NoProtection
from toprope.sandbox import selftest
from toprope.sandbox.box import Sandbox
from toprope.types import Limits

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _ask_again() -> Iterator[None]:
    """What one test proves about a weakened sandbox says nothing to the next."""
    selftest.prove.cache_clear()
    yield
    selftest.prove.cache_clear()


def test_the_landlock_tier_proves_itself() -> None:
    """Every layer holds against every canary on a machine that can run these tests at all."""
    report = selftest.prove("linux-landlock")
    assert report.ok, report
    assert selftest.best_tier("linux-landlock") == ("linux-landlock", "")
    assert {"files", "network", "processes", "tracing", "limits", "descriptors"} <= report.layers.keys()


def test_the_tier_without_layers_fails_its_proof() -> None:
    """Without layers the same canaries get through, each failure with its remedy."""
    report = selftest.prove("none")
    open_layers = {name for name, finding in report.layers.items() if not finding.ok}
    assert {"files", "network", "processes", "tripwires", "limits", "proc", "signals"} <= open_layers
    assert all(report.layers[name].remedy for name in open_layers)


@pytest.mark.parametrize(
    ("missing", "fallen"),
    [("landlock", {"files", "proc"}), ("seccomp", {"network", "tripwires"}), ("rlimits", {"limits"})],
)
def test_one_missing_layer_is_noticed(missing: str, fallen: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that silently does nothing is found out by name, and no tier is offered."""

    class Weak(Sandbox):
        def __init__(self, limits: Limits, *, tier: str, off: frozenset[str] = frozenset()) -> None:
            super().__init__(limits, tier=tier, off=off | {missing})

    monkeypatch.setattr(selftest, "Sandbox", Weak)
    report = selftest.prove("linux-landlock")
    assert fallen <= {name for name, finding in report.layers.items() if not finding.ok}
    with pytest.raises(NoProtection, match="Remedy"):
        selftest.best_tier()


def test_a_sandbox_that_cannot_start_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sandbox cannot even start the report says so and what to do."""
    monkeypatch.setattr(platform, "machine", lambda: "m68k")
    report = selftest.prove("linux-landlock")
    assert not report.ok
    assert "m68k" in report.layers["start"].detail
    assert report.layers["start"].remedy
