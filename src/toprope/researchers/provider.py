"""The workspace as an Inspect sandbox, so that any Inspect agent can run without Docker: `sandbox="toprope"`.

Inspect finds it by the entry point of this package. Limits are Inspect's own: its timeout is kept, output beyond 10 MiB
is refused, and at most as many commands run at once as the machine has cores.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal, overload

import anyio
from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxEnvironment,
    SandboxEnvironmentConfigType,
    sandboxenv,
)

from toprope.errors import UsageError
from toprope.researchers.workspace import OUTPUT_MAX, ROOM, Workspace

FOREVER_S = 24 * 3600.0


def _remove(workspace: Workspace) -> None:
    """Removes the workspace, first from inside, because folders may be nested deeper than Python can follow."""
    workspace.run(["find", ".", "-mindepth", "1", "-delete"])
    with contextlib.suppress(RecursionError):
        shutil.rmtree(workspace.folder.parent, ignore_errors=True)


@sandboxenv(name="toprope")
class Room(SandboxEnvironment):
    """One workspace for one sample. It is removed when the sample ends."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.workspace = Workspace(folder)

    @classmethod
    def default_concurrency(cls) -> int | None:
        return os.cpu_count()

    @classmethod
    async def sample_init(
        cls, task_name: str, config: SandboxEnvironmentConfigType | None, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        folder = Path(tempfile.mkdtemp(prefix="toprope-room-"))
        return {"default": await anyio.to_thread.run_sync(cls, folder / "room")}

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        for environment in environments.values():
            workspace = environment.as_type(Room)
            await anyio.to_thread.run_sync(_remove, workspace.workspace)

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,  # noqa: A002  Inspect's name
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Raises TimeoutError after `timeout` seconds and OutputLimitExceededError beyond 10 MiB, as Inspect's contract
        demands. A command that the system refuses, for example one that is too long, returns exit status 126, because
        an exception would end the sample."""
        given = input.encode() if isinstance(input, str) else input or b""
        where = ROOM if cwd is None else cwd if cwd.startswith("/") else f"{ROOM}/{cwd}"

        def run() -> Any:
            return self.workspace.run(cmd, timeout or FOREVER_S, given, where, env)

        try:
            done = await anyio.to_thread.run_sync(run)
        except UsageError as e:
            return ExecResult(False, 126, "", str(e))
        if done.timed_out:
            raise TimeoutError(f"the command was stopped after {timeout} s")
        if done.cut:
            raise OutputLimitExceededError("10 MiB", done.stdout.decode("utf-8", "replace"))
        return ExecResult(
            done.code == 0, done.code, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        )

    async def write_file(self, file: str, contents: str | bytes) -> None:
        data = contents.encode() if isinstance(contents, str) else contents
        try:
            await anyio.to_thread.run_sync(self.workspace.write, file, data)
        except UsageError as e:
            raise PermissionError(str(e)) from None

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """Raises FileNotFoundError, IsADirectoryError, PermissionError for a path outside the workspace, and
        OutputLimitExceededError beyond 100 MiB."""

        def read() -> bytes:
            path = self.workspace.path(file)
            if path.is_file() and path.stat().st_size > OUTPUT_MAX * 10:
                raise OutputLimitExceededError("100 MiB", None)
            if not path.exists():
                raise FileNotFoundError(f"{file} is not in the workspace")
            if path.is_dir():
                raise IsADirectoryError(f"{file} is a folder")
            return self.workspace.read(file, OUTPUT_MAX * 10)

        try:
            data = await anyio.to_thread.run_sync(read)
        except UsageError as e:
            raise PermissionError(str(e)) from None
        return data.decode("utf-8") if text else data
