"""A test by beacon: its draws depend on a value that nobody knew when the candidate was committed to."""

import shutil

import pytest

from toprope.errors import RunError
from toprope.journal.reading import read
from toprope.referee.vault import Vault

COIN = "testing/coin-v1"
ONE, OTHER = "a3f1c4d9e8b7", "77b0c1d2e3f4"


def refused(done, *words: str) -> None:
    assert done.returncode == 2, done.stderr
    for word in words:
        assert word in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_round_commitment_value_test(cli, tmp_path):
    """In this order and no other; the value decides the draws, and verify recomputes them from it."""
    run = tmp_path / "all" / "run"
    climbed = cli.json("climb", COIN, "--experiments", 20, "--workers", 1, "--beacon-round", "drand 99", "--run", run)
    assert (climbed["test"], climbed["beacon"]) == (None, {"round": "drand 99", "value": None})
    refused(cli.run("unseal", run, "--workers", 1, "--beacon", ONE), "has not committed", "drand 99")
    committed = cli.json("unseal", run, "--workers", 1)
    assert (committed["test"], committed["committed"]) == (None, climbed["champion"]["candidate"])
    shutil.copytree(tmp_path / "vault", tmp_path / "vault before")
    shutil.copytree(run, tmp_path / "run before")
    test = cli.json("unseal", run, "--workers", 1, "--beacon", ONE)["test"]
    assert test["openings"] == 1
    result = cli.json("verify", run, "--workers", 1)
    assert (result["ok"], result["champion_reproduced"]) == (True, True)
    assert f"drand 99 = {ONE}" in next(c["why"] for c in result["checks"] if c["name"] == "revealed")
    # the same run in a world where the beacon said something else: other draws
    shutil.rmtree(tmp_path / "vault")
    shutil.copytree(tmp_path / "vault before", tmp_path / "vault")
    assert (
        cli.json("unseal", tmp_path / "run before", "--workers", 1, "--beacon", OTHER)["test"]["value"] != test["value"]
    )
    assert read(run).test.secret == read(tmp_path / "run before").test.secret


@pytest.mark.slow
def test_a_round_is_named_first_or_never(cli, tmp_path):
    """A run that named none opens its test without a beacon only."""
    run = tmp_path / "run"
    cli.json("climb", COIN, "--experiments", 2, "--workers", 1, "--run", run)
    refused(cli.run("unseal", run, "--workers", 1, "--beacon", ONE), "named no beacon round", "--beacon-round")
    assert cli.json("unseal", run, "--workers", 1)["test"] is not None


def test_the_vault_knows_the_order_too(tmp_path):
    """Whatever a directory claims: no value before the commitment, no other candidate, no second value."""
    vault = Vault(tmp_path)
    run = vault.open_run("r", "t", None, "drand 99")
    assert Vault(tmp_path).open_run("r", "t", None, "drand 100") == run
    for candidate, value in (("x", None), ("x", ONE)):
        with pytest.raises(RunError):
            vault.open_test(run, candidate, "", value)
    vault.commit("r", "x", "head")
    vault.commit("r", "y", "another head")
    with pytest.raises(RunError, match="is committed to candidate x"):
        vault.open_test(run, "y", "", ONE)
    assert vault.open_test(run, "x", "", ONE) == vault.open_test(run, "x", "", ONE) == 1
    with pytest.raises(RunError, match=f"beacon value {ONE}"):
        vault.open_test(run, "x", "", OTHER)
    with pytest.raises(RunError, match="named no beacon round"):
        vault.open_test(vault.open_run("plain", "t", None), "x", "", ONE)
