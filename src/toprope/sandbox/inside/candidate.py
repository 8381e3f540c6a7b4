"""The child's side of a dialogue: load the candidate, play rounds, write one frame per variant into shared slots.

The candidate owns this process, so all that is written here is untrusted; the scorer checks it again.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
from typing import Any

import numpy as np

from .calls import Seed, VariantRunner, accepted, checked, column, explain, generator
from .channel import FIRST, HEAD, OK, ROUND, ParentChannel, ParentMessage, frame, table, view
from .decoys import Decoys
from .files import Finder


def converse(channel: ParentChannel, job: ParentMessage, slots: mmap.mmap) -> None:
    """Sends hello, then plays cases and rounds until the scorer closes the socket."""
    try:
        session = ChildSession(channel, job, slots)
    except BaseException as e:  # also SystemExit: the candidate's top level may raise anything
        kind, text = explain(e)
        channel.note(b"X", kind, text if job.meta["detail"] else b"")
        return
    found = bytes(callable(getattr(session.solution, name, None)) for name in job.meta["entries"])
    channel.note(b"H", 0, found)
    while True:
        message = channel.receive()
        if "calls" in message.meta:
            session.play(message)
        else:
            session.open_case(message)


class ChildSession:
    """One candidate in one child: its modules, its variants' parameters, and the objects that `keep` stores for this
    case."""

    def __init__(self, channel: ParentChannel, job: ParentMessage, slots: mmap.mmap) -> None:
        meta, blob = job.meta, bytes(job.blob)
        self.channel, self.detail, self.model = channel, meta["detail"], meta["model"]
        self.slots = slots
        self.counter = memoryview(self.slots)[:8].cast("Q")
        self.names = [name for name, _ in meta["levels"]]
        self.levels = [levels for _, levels in meta["levels"]]
        self.mutable = [any(isinstance(v, list | dict) for v in levels) for levels in self.levels]
        k, p = meta["rows"]
        self.rows = [blob[i * p : (i + 1) * p] for i in range(k)]
        self.public: dict[str, np.ndarray[Any, Any]] = {}
        self.kept: dict[int, dict[str, Any]] = {}
        self.seed = Seed(0)
        self.decoys = Decoys(meta["decoys"]) if meta["decoys"] else None
        files = {name: blob[start:stop] for name, start, stop in meta["files"]}
        finder = Finder(files)
        sys.meta_path.insert(0, finder)
        self.solution = finder.load("solution")

    def open_case(self, message: ParentMessage) -> None:
        """Maps this case's public arrays, read-only, and drops the objects kept for the last case."""
        memory = mmap.mmap(message.fd, message.meta["size"], prot=mmap.PROT_READ)
        os.close(message.fd)
        self.public = table(memory)
        self.kept = {}
        self.seed = Seed(message.meta["seed"])

    def params(self, variant: int) -> dict[str, Any]:
        """A variant's parameters, made again for every call, because a candidate may change them."""
        values = [levels[code] for levels, code in zip(self.levels, self.rows[variant], strict=True)]
        for i, mutable in enumerate(self.mutable):
            if mutable:
                values[i] = json.loads(json.dumps(values[i]))
        return dict(zip(self.names, values, strict=True))

    def columns(self, variants: list[int]) -> dict[str, np.ndarray[Any, Any]]:
        """The parameters of several variants, one array (k,) per name: bool, int or float where all levels are of one
        kind, otherwise objects. Made again for every call, like `params`."""
        rows = b"".join([self.rows[variant] for variant in variants])
        codes = np.frombuffer(rows, np.uint8).reshape(len(variants), len(self.names))
        return {name: column(self.levels[i])[codes[:, i]] for i, name in enumerate(self.names)}

    def play(self, message: ParentMessage) -> None:
        """Plays all calls of one round on each variant in turn. The counter moves only after a frame is complete."""
        meta, blob, n = message.meta, message.blob, message.meta["n"]
        variants = np.frombuffer(blob, "<u4", n).tolist()
        nonces = np.frombuffer(blob, "<u8", n, 4 * n).tolist()
        inline = {name: view(blob, dtype, shape, 12 * n + start) for name, dtype, shape, start in meta["arrays"]}
        own = {name: view(blob, dtype, [n, *shape], 12 * n + start) for name, dtype, shape, start in meta["own"]}
        kind_of = frame([spec for call in meta["calls"] for spec in call["returns"]])
        frames = np.frombuffer(self.slots, kind_of, n, FIRST)
        base = self.counter[0] = meta["round"] << ROUND
        runners = [VariantRunner(self, call, {**self.public, **inline}, own, frames) for call in meta["calls"]]
        if meta["batched"]:
            kind = self.play_batched(runners, variants)
            frames["#nonce"], frames["#variant"], frames["#kind"] = nonces, variants, kind
            self.counter[0] = base + n
            self.said(n, meta["nonce"])
            return
        calls = [runner.play for runner in runners]
        slots, counter, head, size = self.slots, self.counter, HEAD.pack_into, kind_of.itemsize
        for slot, variant in enumerate(variants):
            kind, text = OK, b""
            try:
                for call in calls:
                    text = call(variant, slot) or text
            except BaseException as e:
                kind, text = explain(e)
            if text and self.detail:
                self.channel.note(b"E", variant, text)
            head(slots, FIRST + slot * size, nonces[slot], variant, kind)
            counter[0] = base + slot + 1
        self.said(n, meta["nonce"])

    def play_batched(self, runners: list[VariantRunner], variants: list[int]) -> int:
        """Plays all calls of one round once for all variants. Returns the kind of every frame: after an exception the
        scorer discards them all and asks each variant alone, in a new child."""
        try:
            for runner in runners:
                runner.play_batched(variants)
        except BaseException as e:
            kind, text = explain(e)
            if self.detail:
                self.channel.note(b"E", variants[0], text)
            return kind
        return OK

    def said(self, n: int, nonce: str) -> None:
        """Ends a round: tells whether a decoy was touched, and that n variants are done."""
        if self.decoys is not None and (name := self.decoys.touched()):
            self.channel.note(b"T", 0, name)
        self.channel.note(b"D", n, nonce.encode())


def warm_up() -> None:
    """Runs the code that a child will run, so that its pages and caches already exist in the zygote."""
    source = b"import math\nimport numpy as np\ndef f(x, *, params, rng):\n    return [float(np.sum(x))]\n"
    module = Finder({"warm.py": source}).load("warm")
    del sys.modules["warm"]
    accepted(module.f)
    generator(Seed(1)).random()
    frames = np.zeros(2, frame([("y", "f8", [1])]))
    frames["y"][0] = checked([1.0], np.dtype("f8"), (1,), "y")
    json.loads(json.dumps({"a": [1, 2.0, None, "b"]}))
