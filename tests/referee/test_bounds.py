"""Every size that a task allows a candidate holds in hub and scorers too, for every sender."""

import numpy as np
import pytest

from toprope.errors import UsageError
from toprope.executors.messages import Work
from toprope.referee.bounds import check_candidate, check_space, check_tree
from toprope.referee.client import HubClient
from toprope.referee.hub import Hub
from toprope.referee.messages import HubConfig
from toprope.referee.vault import Vault
from toprope.space import Space, choice
from toprope.types import Block, Candidate, Codes, Tree

pytestmark = pytest.mark.e2e

LARGE = 65_537


def deep(levels: int) -> list:
    return [deep(levels - 1)] if levels else []


def padded(candidate: Candidate) -> Candidate:
    """The same candidate with a file beside it that makes it too large by a byte."""
    files = dict(candidate.tree.files)
    files["more.txt"] = bytes(LARGE - sum(map(len, files.values())))
    return Candidate(Tree(files), candidate.params)


def test_the_hub_refuses_what_is_too_large_and_counts_nothing(pool, task, tmp_path, coin):
    """A better candidate of a byte too many is neither promoted nor counted, nor tested; a byte less is promoted."""
    vault = Vault(tmp_path / "vault")
    hub = Hub(task, vault, vault.open_run("r", task.spec.id, None), pool)
    with pytest.raises(UsageError, match="hold 65537 bytes; testing/rough-coin-v1 allows 65536"):
        hub.attempt(padded(coin(3, 0.1)))
    assert vault.attempts("r") == 0
    with pytest.raises(UsageError, match="take 70015 bytes as JSON"):
        hub.attempt(Candidate(coin().tree, {"padding": "x" * 70_000}))
    assert hub.attempt(coin(3, 0.1)).promoted


def test_a_client_of_its_own_making_is_refused_in_one_line(tmp_path, coin):
    """By the real hub in its own process, over the wire."""
    config = HubConfig("r", "testing/coin-v1", "linux-landlock", 1, str(tmp_path / "vault"), "secret")
    client = HubClient(config)
    client.submit(padded(coin(3, 0.1)))
    with pytest.raises(UsageError, match="65536"):
        client.answer()
    client.close()
    assert Vault(tmp_path / "vault").attempts("r") == 0


def test_scorers_refuse_what_is_too_large(pool, task, coin):
    """A tree or space beyond the limits is loaded by no scorer; the pool goes on with others."""
    large = padded(coin())
    for tree, space in (
        (large.tree, Space([])),
        (coin().tree, Space([choice("x", ["y" * 90_000 + str(i) for i in range(30)])])),
    ):
        files, named = pool.load(tree, space)
        with pytest.raises(UsageError, match=r"65536|2097152"):
            list(pool.run([Work(0, Block(files, named, first(space), (0,)), "dev")]))
    files, named = pool.load(coin().tree, task.space)
    (done,) = pool.run([Work(0, Block(files, named, task.space.default()[None, :], (0,)), "dev")])
    assert done.result.outcomes == ["ok"]


def first(space: Space) -> Codes:
    return np.zeros((1, len(space.dims)), np.uint8)


@pytest.mark.parametrize(
    "files", [{"../x.py": b""}, {"/x.py": b""}, {"a//b": b""}, {"a\nb": b""}, {"": b""}, {"a/" * 40 + "x": b""}]
)
def test_paths_that_lead_out_of_their_folder(spec, files):
    """A candidate's paths stay below its folder, printable and not too deep."""
    with pytest.raises(UsageError, match=r"relative path of printable names|folders deep"):
        check_tree(Tree(files), spec)


def test_parameters_of_senseless_depth_are_one_line(spec, coin):
    """Neither the hub nor a scorer ends in a traceback over them."""
    for levels in (40, 900):
        with pytest.raises(UsageError, match=r"nested more than 32 deep|JSON"):
            check_candidate(Candidate(coin().tree, {"x": deep(levels)}), spec)
        with pytest.raises(UsageError, match=r"nested more than 32 deep|JSON"):
            check_space(Space([choice("x", [deep(levels)])]), spec)
