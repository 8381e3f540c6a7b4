"""Making a bank: features of another program, resuming, and what is refused. No PyTorch."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from toprope.errors import UsageError
from toprope_tasks.w2s.bank import extract, file, models, texts
from toprope_tasks.w2s.bank.extract import Options, Side
from toprope_tasks.w2s.bank.task import BankTask
from toprope_tasks.w2s.mixed.task import MixedTask

ROWS = 600


def quiet(what, done):
    """No progress is shown."""


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "rows.jsonl"
    with path.open("w") as out:
        for i in range(ROWS):
            row = {"text": f"{i} " * (1 + i % 7), "labels": {"even": 1 - i % 2, "third": None if i % 2 else i % 3 == 0}}
            out.write(json.dumps(row) + "\n")
    return path


@pytest.fixture
def sides(tmp_path):
    """Strong and weak features as files; one column is a hundred times the others and far from 0."""
    rng = np.random.default_rng(0)
    strong = rng.standard_normal((ROWS, 12)) @ rng.standard_normal((12, 12))
    strong[:, 3] = 100 * strong[:, 3] + 1e4
    np.save(tmp_path / "strong.npy", strong.astype(np.float32))
    np.save(tmp_path / "weak.npy", rng.integers(0, 9, (ROWS, 4)))
    return Side(str(tmp_path / "strong.npy")), Side(str(tmp_path / "weak.npy"))


def test_features_of_another_program(tmp_path, data, sides):
    """Columns come out with mean 0 and variance 1, rows and labels in the order of the data."""
    read = texts.read(data)
    options = Options(source="s", licence="l", command="c")
    made = extract.extract(tmp_path / "b.npz", read, sides[0], sides[1], options, quiet)
    assert (made["rows"], made["concepts"], made["layers"]) == (ROWS, 2, ["strong/features", "weak/features"])
    bank = file.read(tmp_path / "b.npz")
    raw = np.load(sides[0].model)
    np.testing.assert_allclose(bank.strong["features"], (raw - raw.mean(0)) / raw.std(0), atol=5e-3)
    np.testing.assert_array_equal(file.read_labels(tmp_path / "b.npz", bank), read.labels)
    assert bank.texts[5] == file.text_hash(read.texts[5])
    note = bank.manifest.strong
    assert (note.name, note.kind, note.sha256) == ("strong", extract.STORED, models.sha256(tmp_path / "strong.npy"))
    assert (bank.manifest.source, bank.manifest.licence, bank.manifest.command) == ("s", "l", "c")
    assert [c.name for c in bank.manifest.concepts] == ["even", "third"]


def test_principal_components(data, sides):
    """`width` keeps the first components of the standardised columns: uncorrelated, from the largest, signs fixed."""
    x = np.load(sides[0].model)
    z = extract.reduced(x, 5, "x")
    cov = np.cov(z.T, bias=True)
    top = np.linalg.eigvalsh(np.corrcoef(x.T.astype(float)))[::-1][:5]
    np.testing.assert_allclose(np.diag(cov), top, rtol=1e-3)
    np.testing.assert_allclose(cov - np.diag(np.diag(cov)), 0, atol=1e-3)
    np.testing.assert_allclose(extract.reduced(x[:, ::-1], 5, "x"), z, atol=1e-3)


def test_a_column_that_never_changes(sides):
    """It stays 0 and does not divide by 0."""
    x = np.load(sides[0].model)
    x[:, 0] = 7.0
    assert np.abs(extract.reduced(x, None, "x")[:, 0]).max() < 1e-6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"out": "b.txt"}, "expected a name that ends in .npz"),
        ({"strong": Side("gone.npy")}, "features 'gone.npy' cannot be read"),
        ({"strong": Side("short.npy")}, "have 3 rows; expected 600, as the data have"),
        ({"strong": Side("flat.npy")}, "are float64 of shape (600,); expected numbers of shape (rows, d)"),
        ({"strong": Side("words.npy")}, "are <U1 of shape (600, 2); expected numbers"),
        ({"strong": Side("nan.npy")}, "1 of 600 rows are not finite; expected numbers"),
        ({"strong": Side("weak.npy", (3,))}, "'weak.npy' holds features alone; expected no layers"),
        ({"weak": Side("weak.npy", (), 5)}, "width 5 is more than its 4 columns"),
        ({"options": Options(margins=True)}, "--margins: 'weak.npy' holds features alone"),
        ({"weak": Side("no/such/folder")}, "model 'no/such/folder' is not found"),
        ({"weak": Side("none.gguf")}, "model 'none.gguf' does not exist"),
        ({"weak": Side("empty")}, "model 'empty' has no weights in"),
        ({"weak": Side("half")}, "model 'half' has no config.json in"),
        ({"strong": Side("half"), "weak": Side("half", (1,))}, "expected --strong-layers and --weak-layers"),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path, monkeypatch, data, sides, change, words):
    monkeypatch.chdir(tmp_path)
    np.save("short.npy", np.zeros((3, 2)))
    np.save("flat.npy", np.zeros(ROWS))
    np.save("words.npy", np.full((ROWS, 2), "x"))
    holes = np.zeros((ROWS, 2))
    holes[4, 1] = np.nan
    np.save("nan.npy", holes)
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model.safetensors").write_bytes(b"")
    given = {"strong": Side("weak.npy"), "weak": Side("weak.npy"), "options": Options(), **change}
    out = tmp_path / given.pop("out", "b.npz")
    with pytest.raises(UsageError) as caught:
        extract.extract(out, texts.read(data), given["strong"], given["weak"], given["options"], quiet)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


class Counter:
    """A model of three blocks whose state says which text it is of. `left`: batches until it is killed."""

    left: int | None = None
    seen: list[int]

    def __init__(self, files, device):
        self.kind, self.blocks, self.headed = models.CAUSAL, 3, True

    def tokens(self, rows, most, cut):
        found = [[0, *map(int, row.split())] for row in rows]
        return [f[:most] for f in found], sum(len(f) > most for f in found)

    def states(self, batch, places, margins):
        if Counter.left == 0:
            raise KeyboardInterrupt
        if Counter.left:
            Counter.left -= 1
        Counter.seen += [row[1] for row in batch]
        number = np.array([row[1] for row in batch], np.float32)
        found = {p.name: np.stack([number + p.layer, number**2], 1) for p in places}
        return {**found, "margins": number} if margins else found


@pytest.fixture
def counter(tmp_path, monkeypatch):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    (tmp_path / "m" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(extract, "Model", Counter)
    Counter.left, Counter.seen = None, []
    return str(tmp_path / "m")


def test_a_killed_extraction_goes_on(tmp_path, data, counter):
    """What was finished is not run again; the bank is that of one pass, and the parts are gone with its end."""
    read, sides = texts.read(data), (Side(counter, (2,)), Side(counter, (0, 1)))
    extract.extract(tmp_path / "whole.npz", read, *sides, Options(margins=True), quiet)
    assert len(Counter.seen) == ROWS  # one pass for both sides
    Counter.left, Counter.seen = 10, []  # a part is 256 texts, 8 batches of 32: the second part is lost
    with pytest.raises(KeyboardInterrupt):
        extract.extract(tmp_path / "b.npz", read, *sides, Options(margins=True), quiet)
    parts = list((tmp_path / "b.npz.parts").rglob("*.npz"))
    assert len(parts) == 1
    Counter.left, Counter.seen = None, []
    extract.extract(tmp_path / "b.npz", read, *sides, Options(margins=True, batch=100), quiet)
    assert len(set(Counter.seen)) == len(Counter.seen) == ROWS - extract.PART
    assert not (tmp_path / "b.npz.parts").exists()
    one, two = file.read(tmp_path / "whole.npz"), file.read(tmp_path / "b.npz")
    for name in ("strong", "weak"):
        for layer, x in getattr(one, name).items():
            np.testing.assert_array_equal(getattr(two, name)[layer], x)
    np.testing.assert_array_equal(two.margins, np.arange(ROWS))
    assert (list(two.strong), list(two.weak)) == (["2-mean"], ["0-mean", "1-mean"])


def test_parts_are_of_one_pass(tmp_path, data, counter):
    """Kept parts serve another width, and no other model, text, layer, pooling or length; a damaged part is made
    again."""
    read, kept = texts.read(data), tmp_path / "parts"

    def ran(layer=1, rows=read, **options):
        Counter.seen = []
        sides = (Side(counter, (layer,), 1), Side(str(tmp_path / "weak.npy")))
        np.save(tmp_path / "weak.npy", np.eye(len(rows.texts))[:, :2])
        extract.extract(tmp_path / "b.npz", rows, *sides, Options(parts=kept, **options), quiet)
        return len(Counter.seen)

    assert (ran(), ran()) == (ROWS, 0)
    assert ran(layer=2) == ROWS
    assert ran(max_tokens=4) == ROWS
    assert ran(poolings=("last",)) == ROWS
    assert ran(rows=read._replace(texts=read.texts[::-1])) == ROWS
    assert ran() == 0
    for part in kept.rglob("000001.npz"):
        part.write_bytes(part.read_bytes()[:200])
    assert ran() == extract.PART
    (tmp_path / "m" / "model.safetensors").write_bytes(b"others")
    assert ran() == ROWS


def test_the_forecast(tmp_path, data, counter, monkeypatch):
    """Progress says how long the rest will take, and ends at 1."""
    told = []
    clock = iter(range(0, 10**6, 60))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    sides = (Side(counter, (1,)), Side(counter, (1,)))
    extract.extract(tmp_path / "b.npz", texts.read(data), *sides, Options(), lambda *a: told.append(a))
    assert [what for what, _ in told] == [
        "m: 600 texts into tokens",
        "m: about 40 s left",
        "m: about 8 s left",
        "m: 600 texts",
        *(["measuring what draws of each concept show"] * 2),
    ]
    assert told[-1][1] == 1.0


def test_layers_that_a_model_does_not_have(tmp_path, data, counter):
    with pytest.raises(UsageError, match=r"layer 4 of model 'm'; expected 0 .its embedding. to 3"):
        extract.extract(
            tmp_path / "b.npz", texts.read(data), Side(counter, (4,)), Side(counter, (1,)), Options(), quiet
        )
    with pytest.raises(UsageError, match="expected --strong-layers and --weak-layers"):
        extract.extract(tmp_path / "b.npz", texts.read(data), Side(counter), Side(counter, (1,)), Options(), quiet)


def test_the_command(cli, tmp_path, data, sides):
    """One JSON object with the fields of the contract; text for people names the same."""
    base = ["extract", "--strong", sides[0].model, "--weak", sides[1].model, "--data", data, "-o", tmp_path / "b.npz"]
    made = cli.json(*base, "--width", 3, "--small", "--source", "here")
    assert made["bank"] == str(tmp_path / "b.npz")
    assert (made["rows"], made["concepts"], made["seconds"] >= 0) == (ROWS, 2, True)
    bank = file.read(tmp_path / "b.npz")
    assert (bank.strong["features"].shape, bank.weak["features"].shape) == ((ROWS, 3), (ROWS, 3))
    assert bank.manifest.source == "here"
    assert bank.manifest.command.startswith("toprope extract --strong ")
    done = cli.run(*base, "--weak-width", 2)
    assert (done.returncode, "600 texts, 0 of 2 concepts can be climbed on, strong/features" in done.stdout) == (
        0,
        True,
    )


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--strong-layers", "4,x"], "'4,x'; expected numbers of blocks between commas"),
        (["--pooling", "max"], "'max'; expected mean, last or mean,last"),
        (["--width", "0"], "--width"),
        (["--data", "none.jsonl"], "--data 'none.jsonl' cannot be read"),
        (["--weak", "lab/none"], "pip install 'toprope[hf]'"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path, data, sides, option, words):
    """Each ends in one line and exit code 2, where neither PyTorch nor transformers can be imported."""
    base = ["--strong", sides[0].model, "--weak", sides[1].model, "--data", str(data), "-o", str(tmp_path / "b.npz")]
    without = "import sys; sys.modules.update(torch=None, transformers=None, huggingface_hub=None); "
    code = without + "sys.argv[0] = 'toprope'; from toprope.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "extract", *base, *option],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ},
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert words in done.stderr


def test_a_bank_that_was_extracted_can_be_climbed_on(tmp_path):
    """Its concepts are measured as it is made, so that both tasks that hide a bank take it; a concept that the strong
    features do not know is not admitted."""
    rows, concepts = 6000, 8
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (rows, concepts + 1))
    known = np.column_stack([2.0 * labels[:, :concepts] - 1, np.zeros((rows, 10))])
    np.save(tmp_path / "strong.npy", (known + 0.5 * rng.standard_normal(known.shape)).astype(np.float32))
    np.save(tmp_path / "weak.npy", (known + 1.5 * rng.standard_normal(known.shape)).astype(np.float32))
    with (tmp_path / "rows.jsonl").open("w") as out:
        for i, row in enumerate(labels.tolist()):
            names = [*(f"known {c}" for c in range(concepts)), "unknown"]
            out.write(json.dumps({"text": f"text {i}", "labels": dict(zip(names, row, strict=True))}) + "\n")
    path = tmp_path / "mine.npz"
    sides = (Side(str(tmp_path / f"{name}.npy")) for name in ("strong", "weak"))
    made = extract.extract(path, texts.read(tmp_path / "rows.jsonl"), next(sides), next(sides), Options(), quiet)
    assert (made["concepts"], made["admitted"]) == (concepts + 1, concepts)
    for task in (BankTask("w2s/bank-v1", [path], path), MixedTask("w2s/probe-v2", path)):
        draw = task.generate("val", 0, 1)
        assert draw.ceiling > draw.floor > 0.6
