"""Calls one function of a candidate: the arguments it accepts, the answers it may give, and what its exception says."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.random.bit_generator import ISpawnableSeedSequence

from . import cases
from .channel import CRASH, INVALID, MEMORY, TEXT_MAX, ParentChannel
from .files import Finder
from .model import Model

BATCHED = "_batched"  # ends the name of a function that answers for all variants of a round at once


class Session(Protocol):
    """What a call uses of `candidate.ChildSession`. model: whether the candidate may ask one. kept: per variant, what
    `keep` stores for this case."""

    solution: ModuleType
    channel: ParentChannel
    model: bool
    seed: Seed
    kept: dict[int, dict[str, Any]]

    def params(self, variant: int) -> dict[str, Any]: ...
    def columns(self, variants: list[int]) -> dict[str, np.ndarray[Any, Any]]: ...


class Refusal(Exception):
    """The candidate's answer does not fit the schema."""


class VariantRunner:
    """One Call prepared for all variants: function found, arguments resolved, columns bound."""

    def __init__(
        self, session: Session, call: dict[str, Any], arrays: dict[str, Any], own: dict[str, Any], frames: Any
    ) -> None:
        self.session, self.name, self.keep, self.own = session, call["fn"], call["keep"], own
        self.fn = getattr(session.solution, self.name, None)
        accepts = accepted(self.fn) if callable(self.fn) else frozenset()
        self.args = [(name, arrays.get(name)) for name in call["args"]]
        self.named = [(name, arrays.get(name)) for name in call["kwargs"]]
        self.kwargs = [(name, value) for name, value in self.named if accepts is None or name in accepts]
        self.params = accepts is None or "params" in accepts
        self.rng = accepts is None or "rng" in accepts
        self.model = session.model and (accepts is None or "model" in accepts)
        self.returns = [(name, np.dtype(dtype), tuple(shape), frames[name]) for name, dtype, shape in call["returns"]]
        self.cases = cases.unpack(arrays[call["each"]].tobytes()) if call["each"] is not None else None
        self.texts = {name: arrays[name].tobytes() for name in call["texts"]}
        self.items = arrays[call["items"]].tobytes() if call["items"] is not None else None

    def play(self, variant: int, slot: int) -> bytes:
        """Runs the call for one variant. Returns the text of the first error in a single case, b"" without one; other
        errors are raised."""
        if self.fn is None:
            raise Refusal(f"solution.py defines no function {self.name}")
        kept = self.session.kept.get(variant, {})
        if self.keep is not None and self.keep not in kept:
            kept = {**kept, self.keep: None}  # a call that takes the object it keeps gets None the first time
        if self.texts:
            kept = {**kept, **{name: json.loads(text) for name, text in self.texts.items()}}  # a copy for each variant
        if self.own:
            kept = {**kept, **{name: rows[slot] for name, rows in self.own.items()}}
        kwargs = {name: resolve(name, value, kept) for name, value in self.kwargs if value is not None or name in kept}
        if self.params:
            kwargs["params"] = self.session.params(variant)
        if self.rng:
            kwargs["rng"] = generator(self.session.seed)
        if self.model:
            kwargs["model"] = Model(self.session.channel, variant)
        value: Any = None
        first = None
        if self.cases is not None:
            value, first = cases.play(self.fn, self.cases, self.returns[0][2][1], kwargs)
        else:
            given = [resolve(name, value, kept) for name, value in self.args]
            if self.items is not None:
                value = [self.fn(*given, *item, **kwargs) for item in json.loads(self.items)]
            else:
                value = self.fn(*given, **kwargs)
        if self.keep is not None:
            value, state = self.parted(value) if self.returns else (None, value)
            self.session.kept.setdefault(variant, {})[self.keep] = state
        if self.returns:
            self.store(value, slot)
        return explain(first)[1] if first is not None else b""

    def play_batched(self, variants: list[int]) -> None:
        """Runs the batched form of the call once for all variants, and writes their answers. What is kept is a list,
        one object per variant, so that batched and plain calls may follow each other."""
        fn = getattr(self.session.solution, self.name + BATCHED)
        accepts, n = accepted(fn), len(variants)
        kept: dict[str, Any] = {name: json.loads(text) for name, text in self.texts.items()}
        kept |= {name: rows.view() for name, rows in self.own.items()}
        for name in {*(name for name, _ in (*self.args, *self.kwargs)), *([self.keep] if self.keep else [])}:
            if name not in kept and (name == self.keep or name in self.session.kept.get(variants[0], {})):
                kept[name] = [self.session.kept.get(variant, {}).get(name) for variant in variants]
        named = [(name, value) for name, value in self.named if accepts is None or name in accepts]
        kwargs = {name: resolve(name, value, kept) for name, value in named if value is not None or name in kept}
        if accepts is None or "params" in accepts:
            kwargs["params"] = self.session.columns(variants)
        if accepts is None or "new_rng" in accepts:
            kwargs["new_rng"] = functools.partial(generator, self.session.seed)
        given = [resolve(name, value, kept) for name, value in self.args]
        if self.items is not None:
            value: Any = np.stack([np.asarray(fn(*given, *item, **kwargs)) for item in json.loads(self.items)], axis=1)
        else:
            value = fn(*given, **kwargs)
        if self.keep is not None:
            value, states = self.parted(value) if self.returns else (None, value)
            if not isinstance(states, tuple | list) or len(states) != n:
                raise Refusal(f"{self.name}{BATCHED} returned {said(states)} to keep, expected a list of {n}")
            for variant, state in zip(variants, states, strict=True):
                self.session.kept.setdefault(variant, {})[self.keep] = state
        if self.returns:
            self.store(value, slice(None), (n,))

    def parted(self, value: Any) -> tuple[Any, Any]:
        """(answers to send, state to keep) of a function that returns its answers followed by its next state."""
        n = len(self.returns)
        if not isinstance(value, tuple | list) or len(value) != n + 1:
            names = ", ".join(name for name, *_ in self.returns)
            raise Refusal(f"{self.name} returned {said(value)}, expected a tuple of {n + 1}: {names}, {self.keep}")
        return (value[0] if n == 1 else tuple(value[:n])), value[n]

    def store(self, value: Any, slot: int | slice, leading: tuple[int, ...] = ()) -> None:
        """Checks answers and writes them to their columns. leading: axes before those that the schema declares."""
        wanted = self.returns
        if len(wanted) == 1:
            value = (value,)
        elif not isinstance(value, tuple | list) or len(value) != len(wanted):
            names = ", ".join(name for name, *_ in wanted)
            raise Refusal(f"{self.name} returned {type(value).__name__}, expected a tuple of {len(wanted)}: {names}")
        for one, (name, dtype, shape, column) in zip(value, wanted, strict=True):
            column[slot] = checked(one, dtype, leading + shape, f"{self.name} returned {name}")


def column(levels: list[Any]) -> np.ndarray[Any, Any]:
    """(m,) the levels of one parameter as an array that can be indexed: numbers of one kind, or objects."""
    kinds = {type(level) for level in levels}
    if kinds <= {int, float} or kinds == {bool}:
        return np.array(levels)
    found = np.empty(len(levels), object)
    found[:] = [json.loads(json.dumps(level)) for level in levels]
    return found


def said(value: Any) -> str:
    """Describes a value in a message: type and length of a tuple or list, otherwise the type."""
    name = type(value).__name__
    return f"a {name} of {len(value)}" if type(value) in (tuple, list) else name


def resolve(name: str, value: Any, kept: dict[str, Any]) -> Any:
    """The kept object, or a fresh view of the array, so that setting .shape does not change other variants' arrays."""
    return kept[name] if name in kept else value.view()


def checked(value: Any, dtype: np.dtype[Any], shape: tuple[int, ...], what: str) -> np.ndarray[Any, Any]:
    """The value as an array of this shape that fits this dtype. Raises Refusal with what came and what was expected."""
    try:
        a = np.asarray(value)
    except (ValueError, TypeError) as e:
        raise Refusal(f"{what} as {type(value).__name__}, which is not an array: {e}") from None
    if a.shape != shape:
        raise Refusal(f"{what} with shape {a.shape}, expected {shape}")
    if a.dtype == dtype or a.dtype.kind == "b":
        return a
    if a.dtype.kind in "iu" and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if a.size and (a.min() < bounds.min or a.max() > bounds.max):
            raise Refusal(f"{what} with values outside {dtype.name}")
        return a
    if a.dtype.kind in "iuf" and dtype.kind == "f":
        return a
    raise Refusal(f"{what} with dtype {a.dtype}, expected {dtype.name}")


def accepted(fn: Callable[..., Any]) -> frozenset[str] | None:
    """Names that this function takes by keyword; None: any name."""
    code = getattr(fn, "__code__", None)
    if code is None or hasattr(fn, "__wrapped__"):  # built-ins, partials, decorated functions: slower, same result
        import inspect

        try:
            parameters = inspect.signature(fn).parameters.values()
        except (ValueError, TypeError):
            return frozenset()
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            return None
        return frozenset(p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))
    if code.co_flags & 0x08:  # CO_VARKEYWORDS
        return None
    names = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
    return frozenset(names)


def explain(e: BaseException) -> tuple[int, bytes]:
    """Frame kind and bounded text of an exception: class, message, innermost line in the candidate's own files."""
    if isinstance(e, Refusal):
        return INVALID, str(e).encode("utf-8", "replace")[:TEXT_MAX]
    kind = MEMORY if isinstance(e, MemoryError) else CRASH
    where, tb = "", e.__traceback__
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if name.startswith(Finder.prefix):
            where = f" ({name[len(Finder.prefix) :]} line {tb.tb_lineno})"
        tb = tb.tb_next
    text = type(e).__name__
    with contextlib.suppress(BaseException):  # a hostile __str__
        text = f"{text}: {str(e)[:TEXT_MAX]}"
    if "read-only" in text:
        text += "; input arrays are read-only, copy first (x = x.copy())"
    room = TEXT_MAX - len(where.encode("utf-8", "replace"))
    return kind, text.encode("utf-8", "replace")[: max(room, 0)] + where.encode("utf-8", "replace")[:TEXT_MAX]


class Seed(ISpawnableSeedSequence):
    """A SeedSequence that computes its PCG64 state once: `default_rng(seed)` at a fifth of the cost, same numbers."""

    def __init__(self, seed: int) -> None:
        self.entropy = seed
        self._state: Any = None  # computed when first needed: most candidates use no rng

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        if n_words != 4 or dtype is not np.uint64:
            return np.random.SeedSequence(self.entropy).generate_state(n_words, dtype)
        if self._state is None:
            self._state = np.random.SeedSequence(self.entropy).generate_state(4, np.uint64)
        return self._state

    def spawn(self, n_children: int) -> list[Any]:
        return list(np.random.SeedSequence(self.entropy).spawn(n_children))


def generator(seed: Seed) -> np.random.Generator:
    """The same generator as default_rng(seed), including spawned children."""
    return np.random.Generator(np.random.PCG64(seed))  # type: ignore[arg-type]  # stubs know SeedSequence only
