"""Runs a Hugging Face model over texts: the states after chosen blocks, pooled over the tokens of each text.

Needs PyTorch and transformers (`[hf]`), which are imported when a model is opened. State k is what block k hands on,
before any final norm; state 0 is the embedding. A causal model reads a begin-of-text token first. Such a token draws
most attention and has states unlike all others, so the mean leaves the first token out.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError

F4 = NDArray[np.float32]
Pooling = Literal["mean", "last"]
CAUSAL, ENCODER = "causal language model", "encoder"
WEIGHTS = (".gguf", ".safetensors", ".bin")
PARTS = (*WEIGHTS, ".json", ".model", ".txt", ".jinja")  # files that decide what a model does
NEEDS = "this needs PyTorch and transformers; pip install 'toprope[hf]'"


class Place(NamedTuple):
    """Where features are read: after a block, and how the states of a text's tokens become one. `mean`: over its
    tokens. `last`: of its last token; of an encoder's first one ([CLS])."""

    layer: int
    pooling: Pooling

    @property
    def name(self) -> str:
        return f"{self.layer}-{self.pooling}"


class _Enough(Exception):
    """Ends a forward pass at the deepest block that is asked for."""


class Files(NamedTuple):
    """A model on disk: its folder, and the .gguf in it if it is one. digest: of all its files; weights: of those with
    weights alone."""

    name: str
    folder: Path
    gguf: str | None
    digest: str
    weights: str


def find(model: str) -> Files:
    """The files of a folder, a .gguf or a name on the hub (then fetched once into the hub's cache).

    Raises UsageError if no weights are found.
    """
    path = Path(model)
    if path.suffix == ".gguf" or path.is_dir():
        if not path.exists():
            raise UsageError(f"model {model!r} does not exist; expected a .gguf file")
    elif path.exists() or model.count("/") > 1:
        raise UsageError(f"model {model!r} is not found; expected a folder, a .gguf, an .npy or a name on the hub")
    else:
        path = _fetched(model)
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix in PARTS)
    sums = {p.name: sha256(p) for p in files}
    weights = [s for name, s in sums.items() if Path(name).suffix in WEIGHTS]
    if not weights or (path.is_dir() and "config.json" not in sums):
        raise UsageError(f"model {model!r} has no {'weights' if not weights else 'config.json'} in {str(path)!r}")
    whole = hashlib.sha256(repr(sorted(sums.items())).encode()).hexdigest()
    one = weights[0] if len(weights) == 1 else hashlib.sha256("".join(weights).encode()).hexdigest()
    folder, gguf = (path.parent, path.name) if path.is_file() else (path, None)
    name = model if not Path(model).exists() else path.stem if gguf else path.resolve().name
    return Files(name, folder, gguf, whole, one)


def _fetched(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UsageError(f"model {name!r}: {NEEDS}") from None
    try:
        return Path(snapshot_download(name, allow_patterns=[f"*{s}" for s in PARTS if s not in (".gguf", ".bin")]))
    except Exception as e:  # the hub's client raises errors of several libraries
        reason = str(e).partition("\n")[0]
        raise UsageError(f"model {name!r}: no folder has this name, and the hub does not give it ({reason})") from None


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Model:
    """A model's configuration and tokenizer; its weights are loaded when it first runs.

    kind: CAUSAL or ENCODER. blocks: how many it has. Raises UsageError if the extra or the model is wanting.
    """

    def __init__(self, files: Files, device: str) -> None:
        self.files = files
        self._body: Any = None
        self._head: Any = None
        self._torch, self._tf = libraries()
        if device == "cuda" and not self._torch.cuda.is_available():
            raise UsageError("--device cuda: PyTorch finds no GPU here; use --device auto or cpu")
        self._device = device if device != "auto" else "cuda" if self._torch.cuda.is_available() else "cpu"
        self._given = {"gguf_file": files.gguf} if files.gguf else {}
        config = self._open(self._tf.AutoConfig)
        from transformers.models.auto import modeling_auto as auto

        named = (auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
        causal, masked = (config.model_type in names for names in named)  # an encoder such as BERT is in both
        self.kind = CAUSAL if causal and not masked else ENCODER
        self.headed = self.kind == CAUSAL and all("LM" in a for a in config.architectures or ())
        config = config.get_text_config()
        self.blocks = int(config.num_hidden_layers)
        self._longest = int(getattr(config, "max_position_embeddings", None) or 10**9)

    def _open(self, auto: Any, **more: Any) -> Any:
        try:
            with open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):  # bars that no setting turns off
                return auto.from_pretrained(self.files.folder, **self._given, **more)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as e:
            reason = str(e).partition("\n")[0]
            raise UsageError(f"model {self.files.name!r}: transformers cannot load it ({reason})") from None

    def tokens(self, texts: Sequence[str], most: int, cut: Literal["start", "end"]) -> tuple[list[list[int]], int]:
        """Numbers of the tokens of each text, at most `most` of them, and how many texts had to be cut."""
        read = self._open(self._tf.AutoTokenizer, truncation_side="right" if cut == "end" else "left")
        sink = read.eos_token_id if read.bos_token_id is None else read.bos_token_id
        begin = [sink] if self.kind == CAUSAL and sink is not None else []
        room = min(most, self._longest, read.model_max_length) - len(begin)
        form = {"add_special_tokens": self.kind == ENCODER}
        found = read(list(texts), **form)["input_ids"]
        long = sum(len(row) > room for row in found)
        if long:
            found = read(list(texts), **form, truncation=True, max_length=room)["input_ids"]
        return [begin + row for row in found], long

    def states(self, batch: list[list[int]], places: Sequence[Place], margins: bool) -> dict[str, F4]:
        """Name of each place -> (b, d), and `margins` (b,): the largest minus the second largest logit after a text."""
        self.opened()
        torch = self._torch
        length = max(map(len, batch))
        ids, mask = torch.zeros(len(batch), length, dtype=torch.long), torch.zeros(len(batch), length)
        for i, row in enumerate(batch):  # padding stands at the right: no token of a causal model sees it
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
        with torch.inference_mode():
            seen, final = self._run(ids, mask.long(), sorted({p.layer for p in places}), margins)
            found = {p.name: self.pool(seen[p.layer].float().cpu(), mask, p.pooling).numpy() for p in places}
            if margins:
                last = final[torch.arange(len(batch)), mask.sum(1).long() - 1]
                top = self._head(last).float().topk(2).values.cpu()
                found["margins"] = (top[:, 0] - top[:, 1]).numpy()
        return found

    def opened(self) -> tuple[Any, Any]:
        """The body of the model, without its head, and the list of its blocks."""
        if self._body is None:
            self._load()
        return self._body, self._blocks

    def _load(self) -> None:
        torch, whole = self._torch, self.kind == CAUSAL
        more: dict[str, Any] = {"dtype": torch.float32}
        if self._device != "cpu":  # its own precision, over all GPUs or on one
            more = {"dtype": "auto", "device_map": "auto" if self._device == "cuda" else self._device}
        model = self._open(self._tf.AutoModelForCausalLM if whole else self._tf.AutoModel, **more).eval()
        self._head = model.get_output_embeddings() if whole else None
        body = model.base_model if whole else model
        body = body.get_encoder() if getattr(body.config, "is_encoder_decoder", False) else body
        lists = [m for m in body.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == self.blocks]
        if not lists:
            raise UsageError(f"model {self.files.name!r}: no list of its {self.blocks} blocks is found in it")
        self._blocks, self._body = lists[0], body

    def _run(self, ids: Any, mask: Any, layers: list[int], whole: bool) -> tuple[dict[int, Any], Any]:
        """State of each layer (b, t, d), and the final state if `whole`; without, the pass ends at the last layer."""
        seen: dict[int, Any] = {}

        def keep(layer: int) -> Callable[..., None]:
            def hook(_module: Any, _given: Any, out: Any) -> None:
                seen[layer] = out[0] if isinstance(out, tuple) else out
                if layer == layers[-1] and not whole:
                    raise _Enough

            return hook

        def embedded(_module: Any, given: Any, named: Any) -> None:
            keep(0)(None, None, given[0] if given else named["hidden_states"])

        hooks = [self._blocks[k - 1].register_forward_hook(keep(k)) for k in layers if k]
        if 0 in layers:
            hooks.append(self._blocks[0].register_forward_pre_hook(embedded, with_kwargs=True))
        device = self._body.device
        more = {"use_cache": False} if self.kind == CAUSAL else {}
        try:
            final = self._body(input_ids=ids.to(device), attention_mask=mask.to(device), **more).last_hidden_state
        except _Enough:
            final = None
        finally:
            for hook in hooks:
                hook.remove()
        return seen, final

    def pool(self, state: Any, mask: Any, pooling: Pooling) -> Any:
        """(b, d) from the states (b, t, d) of texts whose tokens are where mask (b, t) is 1."""
        if pooling == "last":
            at = mask.sum(1).long() - 1 if self.kind == CAUSAL else 0
            return state[self._torch.arange(len(mask)), at]
        if self.kind == CAUSAL:
            mask = mask.clone()
            mask[:, 0] = mask.sum(1) == 1  # a text of no token has the first one alone
        return (state * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)


def libraries() -> tuple[Any, Any]:
    """(torch, transformers), which keep quiet. Raises UsageError that says what to install."""
    try:
        import torch
        import transformers
    except ImportError:
        raise UsageError(NEEDS) from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch, transformers
