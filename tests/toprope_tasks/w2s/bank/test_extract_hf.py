"""Models of transformers: small random ones, and SmolLM2-135M-Instruct from a package. Needs the extra [hf]."""

import numpy as np
import pytest
from tiny_models import BLOCKS, WORDS

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from toprope.errors import UsageError  # noqa: E402
from toprope_tasks.w2s.bank import extract, file, models, texts  # noqa: E402
from toprope_tasks.w2s.bank.extract import Options, Side  # noqa: E402
from toprope_tasks.w2s.bank.models import Model, Place  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # transformers and PyTorch warn of themselves


def opened(folder):
    return Model(models.find(str(folder)), "cpu")


ALL = [Place(k, p) for k in range(BLOCKS + 1) for p in ("mean", "last")]


@pytest.mark.parametrize("which", ["causal", "encoder"])
def test_padding_does_not_change_a_row(request, which):
    """A text has the same states alone and beside a longer one."""
    model = opened(request.getfixturevalue(which))
    rows, _ = model.tokens(["a b", "c d e f g h i", "j"], 50, "end")
    together = model.states(rows, ALL, which == "causal")
    for i, row in enumerate(rows):
        for name, x in model.states([row], ALL, which == "causal").items():
            np.testing.assert_allclose(together[name][i], x[0], atol=2e-6, err_msg=name)


def test_layers_are_those_of_a_direct_pass(causal):
    """State k is the hidden state k of transformers, which normalises the last; the mean leaves the first token out."""
    model = opened(causal)
    rows, _ = model.tokens(["a b c d"], 50, "end")
    assert rows == [[0, 6, 7, 8, 9]]  # begin-of-text, then the words
    direct = transformers.LlamaForCausalLM.from_pretrained(causal)
    out = direct(torch.tensor(rows), output_hidden_states=True)
    found = model.states(rows, ALL, margins=True)
    for k in range(BLOCKS):
        hidden = out.hidden_states[k][0].detach().numpy()
        np.testing.assert_allclose(found[f"{k}-mean"][0], hidden[1:].mean(0), atol=1e-6)
        np.testing.assert_allclose(found[f"{k}-last"][0], hidden[-1], atol=1e-6)
    last = direct.model.norm(torch.tensor(found[f"{BLOCKS}-last"]))
    np.testing.assert_allclose(last.detach().numpy(), out.hidden_states[BLOCKS][:, -1].detach().numpy(), atol=1e-6)
    top = out.logits[0, -1].topk(2).values
    np.testing.assert_allclose(found["margins"], (top[0] - top[1]).item(), atol=1e-5)


def test_layers_of_an_encoder(encoder):
    """All tokens are in the mean; `last` is the first token, [CLS]."""
    model = opened(encoder)
    assert (model.kind, model.blocks, model.headed) == (models.ENCODER, BLOCKS, False)
    rows, _ = model.tokens(["a b c d"], 50, "end")
    assert rows == [[2, 6, 7, 8, 9, 3]]
    out = transformers.BertModel.from_pretrained(encoder)(torch.tensor(rows), output_hidden_states=True)
    for k in range(BLOCKS + 1):
        hidden = out.hidden_states[k][0].detach().numpy()
        found = model.states(rows, [Place(k, "mean"), Place(k, "last")], margins=False)
        np.testing.assert_allclose(found[f"{k}-mean"][0], hidden.mean(0), atol=1e-6)
        np.testing.assert_allclose(found[f"{k}-last"][0], hidden[0], atol=1e-6)


def test_blocks_after_the_last_wanted_do_not_run(causal):
    """An early layer costs what it takes to reach it."""
    model = opened(causal)
    model.states([[0, 6]], [Place(0, "mean")], margins=False)
    ran = []
    for i, block in enumerate(model._blocks):
        block.register_forward_pre_hook(lambda *_, i=i: ran.append(i))
    model.states([[0, 6]], [Place(2, "mean"), Place(1, "last")], margins=False)
    assert ran == [0, 1]


def test_long_texts_are_cut(causal, encoder):
    """At the end, or at the start where an answer stands at the end; marks stay. A model's own limit holds too."""
    model = opened(causal)
    assert model.tokens(["a b c d", "e"], 3, "end") == ([[0, 6, 7], [0, 10]], 1)
    assert model.tokens(["a b c d"], 3, "start") == ([[0, 8, 9]], 1)
    assert opened(encoder).tokens(["a b c d"], 4, "start") == ([[2, 8, 9, 3]], 1)
    rows, long = model.tokens([" ".join("a" * 40)], 50, "end")
    assert (len(rows[0]), long) == (12, 1)


def test_a_bank_of_two_models(causal, encoder, tmp_path):
    """Both kinds at once, margins of the strong one, several layers and poolings in one pass of each."""
    rng = np.random.default_rng(0)
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(f'{{"text": "{" ".join(rng.choice(WORDS, 6))}", "labels": {{"x": {i % 2}}}}}\n' for i in range(300))
    )
    options = Options(poolings=("mean", "last"), margins=True, small=True, device="cpu")
    sides = Side(str(causal), (1, 3), 4), Side(str(encoder))
    made = extract.extract(tmp_path / "b.npz", texts.read(path), *sides, options, lambda *_: None)
    assert made["layers"] == [f"strong/{k}-{p}" for k in (1, 3) for p in ("mean", "last")] + [
        "weak/1-mean",
        "weak/1-last",
    ]
    bank = file.read(tmp_path / "b.npz")
    assert (bank.strong["3-last"].shape, bank.weak["1-mean"].shape, bank.margins.shape) == ((300, 4), (300, 16), (300,))
    assert (bank.manifest.strong.kind, bank.manifest.weak.kind) == (models.CAUSAL, models.ENCODER)
    assert bank.manifest.strong.layers["3-mean"] == "after block 3 of 3, mean over the text's tokens"
    with pytest.raises(UsageError, match="--margins: 'tiny' has no logits; expected a causal language model"):
        extract.extract(tmp_path / "c.npz", texts.read(path), sides[1], sides[0], options, lambda *_: None)


def test_models_that_cannot_be_loaded(tmp_path, causal):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.json").write_text('{"model_type": "none of them"}')
    (tmp_path / "odd" / "model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="model 'odd': transformers cannot load it"):
        opened(tmp_path / "odd")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="--device cuda: PyTorch finds no GPU here"):
            Model(models.find(str(causal)), "cuda")


@pytest.mark.slow
@pytest.mark.e2e
def test_a_real_language_model(smollm2, tmp_path):
    """Its middle layer tells animals from tools on texts that it has not seen, better than its embedding does, and
    knows what comes next: a large margin where one word must follow."""
    animals = "dog cat horse cow whale trout eagle wasp frog lion sheep goat owl crab shark tiger wolf bear seal duck"
    tools = "saw bit drill tongs pick chisel rake spade axe lathe file clamp plane level sickle anvil awl hoe vice jack"
    pairs = zip(animals.split(), tools.split(), strict=True)
    rows = [(f"the word {word} names something", int(word == a)) for a, b in pairs for word in (a, b)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"text": "{text}", "labels": {{"animal": {y}}}}}\n' for text, y in rows))
    side = Side(smollm2, (16,))
    extract.extract(
        tmp_path / "b.npz", texts.read(path), side, Side(smollm2, (0,)), Options(margins=True), lambda *_: None
    )
    bank = file.read(tmp_path / "b.npz")
    y = np.array([label for _, label in rows])
    x = bank.strong["16-mean"]
    near = np.corrcoef(x) - 9 * np.eye(len(x))
    assert bank.manifest.strong.layers == {"16-mean": "after block 16 of 30, mean over the text's tokens"}
    assert (y[near.argmax(1)] == y).mean() > 0.75
    model = opened(smollm2)
    sure = model.states(model.tokens(["one two three four five six", "I like"], 50, "end")[0], [], margins=True)[
        "margins"
    ]
    assert sure[0] > 2 * sure[1]
