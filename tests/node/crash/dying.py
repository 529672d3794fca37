"""The process that dies: a real node under load, killed without warning at a place it was told.

    python -m tests.node.crash.dying

reads one plan a line (JSON), forks, and lets the fork carry it out: it opens the node and sends the trade
with a few senders at a time. Each answer is written down the moment it is given, before the engine goes on.
Forking saves the second it takes to load everything; the fork is a process like any other, and SIGKILL is
final.

Says `{"pid"}` when the fork runs and `{"status"}` (as of waitpid) when it has ended.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ledger.errors import Refused
from node.answers import Taken
from node.core import NodeCore
from node.storage.place import PostgresqlPlace
from tests.node.crash.trade import Trade, make_trade
from tests.node.engine.town import Town, run_clock

DONE = 7
"""The exit status of a fork that carried out its plan to the end."""


class Fuse:
    """Kills this process the n-th time that a place is reached, counted from when it is lit."""

    def __init__(self, place: str | None, occurrence: int) -> None:
        self._place = place
        self._left = occurrence
        self._is_lit = False

    def light(self) -> None:
        self._is_lit = True

    def reach(self, place: str) -> None:
        if place != self._place or not self._is_lit:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)

    def lay(self) -> None:
        """A place that is no step of a commit is `module:Class.method:before` or `…:after`: wrap it."""
        if self._place is None or ":" not in self._place:
            return
        module, name, when = self._place.split(":")
        owner_name, method_name = name.split(".")
        owner = getattr(importlib.import_module(module), owner_name)
        method = getattr(owner, method_name)

        def wrapped(*args: Any, **named: Any) -> Any:
            if when == "before":
                self.reach(f"{module}:{name}:{when}")
            found = method(*args, **named)
            if when == "after":
                self.reach(f"{module}:{name}:{when}")
            return found

        setattr(owner, method_name, wrapped)


class Diary:
    """What was answered, written down at once. What was written when the process died, its file keeps."""

    def __init__(self, path: str, core: NodeCore) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._core = core

    def note(self, number: int) -> Callable[[Future[Taken]], None]:
        """A callback for the answer to a transaction: the engine itself runs it as it answers."""

        def write(future: Future[Taken]) -> None:
            error = future.exception()
            line: dict[str, Any] = {"number": number, "checkpoint": self._core.checkpoint}
            if error is None:
                taken = future.result()
                line |= {"height": taken.height, "index": taken.index, "time": taken.time}
                line["outcomes"] = [outcome.decode() for outcome in taken.outcomes]
            else:
                line["refused"] = getattr(error, "code", repr(error))
            self.write(line)

        return write

    def write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def send(core: NodeCore, diary: Diary, transactions: list[tuple[int, bytes]]) -> None:
    """Each after the answer to the one before, until the node takes no more."""
    for number, data in transactions:
        try:
            future = core.submit(data)
        except Refused as refusal:
            diary.write({"number": number, "refused": refusal.code})
            return
        future.add_done_callback(diary.note(number))
        if future.exception() is not None:
            return


def send_all(core: NodeCore, diary: Diary, trade: Trade, senders: int) -> None:
    """The beginning in order, the rest with some senders beside each other."""
    numbered = list(enumerate(trade.all))
    begin = len(trade.begin)
    send(core, diary, numbered[:begin])
    threads = [
        threading.Thread(target=send, args=(core, diary, numbered[begin + first :: senders]))
        for first in range(senders)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def carry_out(plan: dict[str, Any]) -> None:
    for name, value in plan["settings"].items():
        module, _, constant = name.rpartition(".")
        setattr(importlib.import_module(module), constant, value)
    town = Town(Path(plan["folder"]))
    if plan.get("address"):
        town.database = PostgresqlPlace(plan["address"])
    trade = make_trade(town, seed=plan["seed"], count=plan["count"])
    fuse = Fuse(plan["place"], plan["occurrence"])
    fuse.lay()
    if plan["at_start"]:
        fuse.light()
    core = town.open(clock=run_clock(), on_step=fuse.reach)
    fuse.light()
    diary = Diary(plan["diary"], core)
    if plan["file_bytes_max"]:
        # A full disk, as far as this process can tell: the system writes nothing past this size.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = max(file.stat().st_size for file in town.database.parent.iterdir()) + plan["file_bytes_max"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    send_all(core, diary, trade, plan["senders"])
    is_ready = core.is_ready
    try:
        core.stop()
    finally:
        # Only now has the engine's thread come to its end, and everybody been told.
        diary.write({"end": is_ready})
        os._exit(DONE)


def main() -> None:
    for line in sys.stdin:
        plan = json.loads(line)
        pid = os.fork()
        if pid == 0:
            null = os.open(os.devnull, os.O_RDWR)
            log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for old, new in ((null, 0), (log, 1), (log, 2)):
                os.dup2(old, new)
            try:
                carry_out(plan)
            except BaseException:  # noqa: BLE001 - a fork must not go on as its parent would
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(1)
        print(json.dumps({"pid": pid}), flush=True)
        print(json.dumps({"status": os.waitpid(pid, 0)[1]}), flush=True)


if __name__ == "__main__":
    main()
