"""`control/attack-v1` and the duel: the red side, frozen populations, a record that can be continued."""

import json

import numpy as np
import pytest
from draws import Draws

from studies.control.play import outputs, scores
from toprope.errors import UsageError
from toprope.tasks import registry
from toprope_tasks.control import duel as sides
from toprope_tasks.control import match
from toprope_tasks.control import shown as view
from toprope_tasks.control.attack import make, private
from toprope_tasks.control.attack.public import COLUMNS, GUESS_AT, LUCK_AT
from toprope_tasks.control.public import SAMPLES, TASKS
from toprope_tasks.control.space import SPACE as BLUE

TASK = make("control/attack-v1")
DEV = Draws(TASK, "dev", 5, 6)
BASELINES = TASK.baselines()
PLAIN = BLUE.decode(BLUE.default())
LEARNT = PLAIN | {"learn": 1.0}
STRONG = PLAIN | {"learn": 1.0, "again": 1.5, "more": 3, "defer": 2.0, "upfront": 1}


def values(found, draws):
    floors, ceilings = np.array([d.floor for d in draws]), np.array([d.ceiling for d in draws])
    return (found - floors[:, None]).sum(axis=0) / (ceilings - floors).sum()


class TestAttack:
    def test_floor_is_the_best_that_looks_at_nothing(self):
        """The starter at each blind rate never beats the floor of a draw, and one of them reaches it."""
        found = scores(TASK, TASK.starter(), DEV, [{"rate": r} for r in private.BLIND])
        assert found.max(axis=1) == pytest.approx([d.floor for d in DEV])

    def test_looking_pays(self):
        """Attack selection and waiting beat every blind attacker by .05; attacking always or never is worse."""
        found = scores(TASK, TASK.starter(), DEV, [BASELINES[n].params for n in ("always", "cautious", "waits")])
        always, cautious, waits = values(found, DEV)
        assert always < 0 < 0.05 < min(cautious, waits)
        assert values(scores(TASK, BASELINES["never"].tree, DEV), DEV).item() < 0

    def test_protocols_are_new_in_every_draw_and_named_to_the_attacker(self):
        """No two protocols of six draws are the same, and `protocols` holds their parameters as shares of levels."""
        rows = [row.tobytes() for d in DEV for row in d.public["protocols"]]
        assert len(set(rows)) == len(rows) == 3 * len(DEV)
        assert DEV[0].public["protocols"].shape == (3, len(BLUE.dims))

    def test_neighbours_in_a_block_change_nothing(self):
        """The starter's result is the same alone and in the middle of a block."""
        alone = scores(TASK, TASK.starter(), DEV[:1], [{"caution": 1.0}])
        block = scores(TASK, TASK.starter(), DEV[:1], [{}, {"caution": 1.0}, {"rate": 1.0}])
        assert alone[0, 0] == block[0, 1]

    def test_null_twin_and_decoy(self):
        """On coins every attacker scores 1/2; zeal that follows the planted numbers agrees with every coin."""
        nulls = [TASK.null(d, np.random.default_rng(1)) for d in DEV[:3]]
        found = scores(TASK, TASK.starter(), nulls, [{}, {"rate": 1.0}, {"caution": 0.0}])
        assert found.mean(axis=0) == pytest.approx([0.5] * 3, abs=4 * 0.5 / np.sqrt(3 * 144 * TASKS * SAMPLES))
        decoy = TASK.decoy(DEV[0], np.random.default_rng(2))
        hits, n = TASK.agreement({"zeal": decoy.arrays["lane_defence"][None]}, DEV[0], decoy.coins)
        assert hits.item() == n

    def test_every_level_of_the_space_runs(self):
        """Each level of each dimension gives legal answers; the default is the starter."""
        variants = [{dim.name: level} for dim in TASK.space.dims for level in dim.levels]
        outputs(TASK, TASK.starter(), DEV[0], variants)
        same = scores(TASK, TASK.starter(), DEV[:1], [{}, TASK.space.decode(TASK.space.default())])
        assert same[0, 0] == same[0, 1]
        assert (GUESS_AT, LUCK_AT, COLUMNS) == (7, 15, 19)


class TestDuel:
    def test_a_stronger_protocol_holds_out_and_a_stronger_attacker_gets_through(self):
        """In a meeting on sealed draws, learning beats trusted monitoring, caution beats attacking always."""
        reds = [{"rate": 1.0}, {"caution": 0.5, "spent": 4.0}]
        meeting = sides.meet([PLAIN, STRONG], reds, seed=3, draws=4)
        value = meeting.values().mean(axis=2)
        assert (value[1] > value[0] + 0.05).all()
        assert value[1, 0] > value[1, 1]
        assert (meeting.worst().mean(axis=1) <= value.min(axis=1) + 1e-9).all()

    def test_a_round_is_a_task_of_its_own(self, tmp_path, monkeypatch):
        """The folder of a round loads by its id, plays against the population in it, and offers the incumbents."""
        monkeypatch.setenv("TOPROPE_TASKS", "")
        for side, opponent in (("blue", {"rate": 1.0}), ("red", LEARNT)):
            home = tmp_path / side
            home.mkdir()
            sides.write(home, side, f"{side}-1-v1", sides.Side([opponent], [{}]), 50)
            task = registry.load(registry.find(str(home)))
            assert task.spec.id == f"duel/{side}-1-v1"
            assert list(task.baselines()) == ["champion 1"]
            found = scores(task, task.starter(), [task.generate("dev", 0, 1)])
            assert 0 <= found.item() <= 1

    def test_a_duel_is_recorded_and_continued(self, tmp_path, monkeypatch):
        """Each climb is on disk before the next; named again, a duel goes on with the first climb that is missing, may
        be given more rounds, and refuses other settings."""
        played: list = []

        def climbed(folder, state, number, side, workers):
            if len(played) == 3:
                raise KeyboardInterrupt
            played.append((number, side))
            space = match.SPACES[side]
            return match.Climb(number, side, space.decode(space.default()), 0, 64, None)

        monkeypatch.setattr(match, "climbed", climbed)
        monkeypatch.setattr(match, "MEETING", 2)
        ask = match.Duel(2, 64, 0)
        with pytest.raises(KeyboardInterrupt):
            match.duel(tmp_path, ask, 1, lambda *_: None)
        assert len(json.loads((tmp_path / "duel.json").read_text())["climbs"]) == 3
        played.clear()
        result = match.duel(tmp_path, match.Duel(2, 64, 0), 1, lambda *_: None)
        assert played == [(2, "red")]
        assert len(result["meeting"]["values"]) == len(result["meeting"]["worst"]) == 3
        assert match.duel(tmp_path, match.Duel(2, 64, 0), 1, lambda *_: None)["meeting"] == result["meeting"]
        with pytest.raises(UsageError, match="2 rounds, 64 experiments"):
            match.duel(tmp_path, match.Duel(2, 65, 0), 1, lambda *_: None)
        assert "blue 2" in view.told(result)
        assert view.picture(result["meeting"]).count("<rect") == 9


@pytest.mark.slow
def test_a_whole_duel(cli, tmp_path):
    """One round through the whole engine: two climbs, a meeting, a picture; the same command again changes nothing."""
    folder = tmp_path / "duel"
    first = cli.json("duel", "--rounds", 1, "--experiments", 32, "--run", folder)
    assert [(c["round"], c["side"]) for c in first["climbs"]] == [(1, "blue"), (1, "red")]
    assert len(first["meeting"]["values"]) == 2
    assert (folder / "duel.svg").read_text().startswith("<svg")
    assert cli.json("duel", "--rounds", 1, "--experiments", 32, "--run", folder) == first
