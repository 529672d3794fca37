"""What a node asks of its disk, and when it answers: recorded call by call in one order.

    python -m tests.node.crash.recorder PLANS RECORDING

carries out plans (as of `tests.node.crash.dying`) one after the other over one folder, each in a process
that is traced, and writes down every call that changes the folder or syncs it, with the bytes as they were
handed to the system, and every line of the diary: an answer that was given. A call that this does not
understand ends it; nothing is left out in silence. The `-shm` files are left out: they are memory, and SQLite
makes them anew after a crash.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.node.crash.dying import carry_out
from tests.node.crash.tracing import Call, ask_to_be_traced, follow, read_memory, read_text

_AT_FDCWD = 2**32 - 100
_PROT_WRITE, _MAP_SHARED = 2, 1
_KNOWN_WRITES = {"pwrite64": 2, "ftruncate": 1, "fsync": 0, "fdatasync": 0}
_DESCRIPTOR_AT = {"mmap": 4, "splice": 2, "copy_file_range": 2}
"""Which argument names the file that is written; of all others it is the first."""
_ON_NAMES = {
    "truncate", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "creat", "link", "linkat",
    "sync", "io_uring_setup", "openat2",
}  # fmt: skip
"""Calls by which nothing of ours may happen: their arguments are not looked at."""


class Operation(msgspec.Struct):
    """One call that concerns the folder. `begin` and `end` are its places in the order of everything."""

    kind: str
    """`create`, `unlink`, `write`, `truncate`, `sync`, `sync_folder`."""
    begin: int
    end: int = 2**60
    file: int = 0
    """Which file, named by the place of its creation: a name may be given again."""
    name: str = ""
    offset: int = 0
    """Or, of `truncate`, the length."""
    data: bytes = b""


class Answered(msgspec.Struct):
    """A line of the diary, and its place in the same order."""

    begin: int
    line: dict[str, Any]


class Recording(msgspec.Struct):
    """All of it."""

    operations: list[Operation]
    answers: list[Answered]
    length: int
    """The place after the last."""


class CannotTell(Exception):
    """The process did something to its folder that the model of a disk does not know."""


class Recorder:
    """A `Watcher` of processes that use one folder, one at a time."""

    def __init__(self, folder: Path, diary: Path) -> None:
        self._folder = os.path.realpath(folder)
        self._diary = os.path.realpath(diary)
        self._files: dict[int, int] = {}
        """The system's number of a file that exists → ours."""
        self._names: dict[str, int] = {}
        self._open: dict[int, Operation] = {}
        """Thread → what it is in the middle of."""
        self.recording = Recording([], [], 0)

    def enter(self, call: Call) -> bool:
        if call.name in ("open", "openat"):
            return self._enter_open(call)
        if call.name in ("unlink", "unlinkat"):
            return self._enter_unlink(call)
        if call.name in _ON_NAMES:
            raise CannotTell(call)
        path = self._path_of(call.thread, call.arguments[_DESCRIPTOR_AT.get(call.name, 0)])
        if path == self._diary and call.name == "write":
            data = read_memory(call.thread, call.arguments[1], call.arguments[2])
            self.recording.answers.append(Answered(self._tick(), json.loads(data)))
            return False
        if not self._is_ours(path):
            return False
        if call.name == "mmap" and not (call.arguments[2] & _PROT_WRITE and call.arguments[3] & _MAP_SHARED):
            return False
        if call.name not in _KNOWN_WRITES:
            raise CannotTell(call, path)
        return self._enter_write(call, path)

    def _enter_write(self, call: Call, path: str) -> bool:
        kind = {"pwrite64": "write", "ftruncate": "truncate"}.get(call.name, "sync")
        found = Path(f"/proc/{call.thread}/fd/{call.arguments[0]}").stat()
        if stat.S_ISDIR(found.st_mode):
            if kind != "sync" or path != self._folder:
                raise CannotTell(call, path)
            self._begin(call, Operation("sync_folder", self._tick()))
            return True
        operation = Operation(kind, self._tick(), file=self._files[found.st_ino])
        if kind == "write":
            operation.data = read_memory(call.thread, call.arguments[1], call.arguments[2])
            operation.offset = call.arguments[3]
        elif kind == "truncate":
            operation.offset = call.arguments[1]
        self._begin(call, operation)
        return True

    def _enter_open(self, call: Call) -> bool:
        place = 0 if call.name == "open" else 1
        flags = call.arguments[place + 1]
        if not flags & (os.O_CREAT | os.O_TRUNC):
            return False
        path = self._named_path(call, place)
        if not self._is_ours(path):
            return False
        if flags & os.O_TRUNC or str(Path(path).parent) != self._folder:
            raise CannotTell(call, path)
        if path in self._names:
            return False
        self._begin(call, Operation("create", self._tick(), name=Path(path).name))
        return True

    def _enter_unlink(self, call: Call) -> bool:
        path = self._named_path(call, 0 if call.name == "unlink" else 1)
        if not self._is_ours(path):
            return False
        self._begin(call, Operation("unlink", self._tick(), name=Path(path).name))
        return True

    def leave(self, call: Call, result: int) -> None:
        operation = self._open.pop(call.thread)
        operation.end = self._tick()
        if result < 0:
            if operation.kind != "unlink":
                raise CannotTell(call, result)
            self.recording.operations.remove(operation)
            return
        path = f"{self._folder}/{operation.name}"
        if operation.kind == "create":
            operation.file = operation.begin
            self._files[Path(path).stat().st_ino] = operation.file
            self._names[path] = operation.file
        elif operation.kind == "unlink":
            operation.file = self._names.pop(path)
        elif operation.kind == "write" and result != len(operation.data):
            raise CannotTell(call, result)

    def settle(self) -> None:
        """What a process was in the middle of when it died was done or was not: the files say which."""
        for operation in self._open.values():
            operation.end = self._tick()
            if not self._was_done(operation):
                self.recording.operations.remove(operation)
        self._open.clear()

    def _was_done(self, operation: Operation) -> bool:
        if operation.kind.startswith("sync"):
            return False
        path = Path(self._folder, operation.name)
        if operation.kind == "create" and path.exists():
            operation.file = operation.begin
            self._files[path.stat().st_ino] = self._names[str(path)] = operation.file
            return True
        if operation.kind in ("create", "unlink"):
            is_gone = not path.exists()
            if is_gone and operation.kind == "unlink":
                operation.file = self._names.pop(str(path))
            return is_gone and operation.kind == "unlink"
        name = next(name for name, file in self._names.items() if file == operation.file)
        found = Path(name).read_bytes()
        if operation.kind == "truncate":
            return len(found) == operation.offset
        # Whatever of it arrived stands there now; where nothing did, what stood there before.
        operation.data = found[operation.offset : operation.offset + len(operation.data)]
        return operation.data != b""

    def _begin(self, call: Call, operation: Operation) -> None:
        self._open[call.thread] = operation
        self.recording.operations.append(operation)

    def _tick(self) -> int:
        self.recording.length += 1
        return self.recording.length - 1

    def _is_ours(self, path: str) -> bool:
        return (path == self._folder or path.startswith(f"{self._folder}/")) and not path.endswith("-shm")

    @staticmethod
    def _path_of(thread: int, descriptor: int) -> str:
        try:
            path = str(Path(f"/proc/{thread}/fd/{descriptor}").readlink())
        except OSError:
            return ""
        return path.removesuffix(" (deleted)")

    @staticmethod
    def _named_path(call: Call, place: int) -> str:
        name = read_text(call.thread, call.arguments[place])
        at = call.arguments[0] % 2**32 if place else _AT_FDCWD
        base = Path(f"/proc/{call.thread}/{'cwd' if at == _AT_FDCWD else f'fd/{at}'}").readlink()
        return os.path.normpath(base / name)


def record(plans: list[dict[str, Any]]) -> Recording:
    """What the processes that carried out these plans did to their folder, which was empty."""
    recorder = Recorder(Path(plans[0]["folder"]), Path(plans[0]["diary"]))
    for plan in plans:
        pid = os.fork()
        if pid == 0:
            log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            try:
                ask_to_be_traced()
                carry_out(plan)
            except BaseException:  # noqa: BLE001 - a fork must not go on as its parent would
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(follow(pid, recorder))
        recorder.settle()
        if status != plan["ends"]:
            raise CannotTell(f"a process ended with {status} instead of {plan['ends']}")
    return recorder.recording


def main() -> None:
    plans = json.loads(Path(sys.argv[1]).read_bytes())
    Path(sys.argv[2]).write_bytes(msgspec.msgpack.encode(record(plans)))


if __name__ == "__main__":
    main()
