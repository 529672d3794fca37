"""The shop that dies: a real process with an outbox, killed without warning at a place it was told.

    python -m tests.merchant_sdk.dying_shop

reads one plan a line (JSON), forks, and lets the fork carry it out: it earns, queues or flushes from a few
threads. What it is about to ask and what it was told is written down at once; what was written when the
process died, its file keeps. Says `{"pid"}` when the fork runs; `wait` lines are answered with its status.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import resource
import signal
import sys
import threading
import time
from typing import Any

import httpx2  # noqa: F401  # loaded before the fork, so that a fork begins at once
import stamina  # noqa: F401

from contracts.messages import Earn
from merchant_sdk import CommonpointError, Merchant
from tests.merchant_sdk.genesis import get_system_time, keys_of

DONE = 7
"""The exit status of a fork that carried out its plan to the end."""


def lay_fuse(place: str, occurrence: int) -> None:
    """The n-th time that `module:Class.method:before` or `…:after` is reached, the process is gone."""
    module, name, when = place.split(":")
    owner_name, method_name = name.split(".")
    owner = getattr(importlib.import_module(module), owner_name)
    method = getattr(owner, method_name)
    left = [occurrence]

    def reach(point: str) -> None:
        if point == when:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)

    if inspect.iscoroutinefunction(method):

        async def wrapped(*args: Any, **named: Any) -> Any:
            reach("before")
            found = await method(*args, **named)
            reach("after")
            return found
    else:

        def wrapped(*args: Any, **named: Any) -> Any:
            reach("before")
            found = method(*args, **named)
            reach("after")
            return found

    setattr(owner, method_name, wrapped)


class Shop:
    """What the fork does, and its diary."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self._diary = os.open(plan["diary"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, *words: object) -> None:
        os.write(self._diary, json.dumps(words).encode() + b"\n")

    def open(self) -> Merchant:
        plan = self.plan
        return Merchant(
            "fresh",
            plan["urls"],
            keys=keys_of("fresh"),
            chain=plan["chain"],
            outbox=plan["outbox"],
            program="fresh",
            retries=0,
            timeout_seconds=plan.get("timeout_seconds", 10),
        )

    def earn(self, shop: Merchant, references: list[str]) -> None:
        for reference in references:
            self.note("asked", reference)
            try:
                done = shop.earn(self.plan["member"], "1", reference)
            except CommonpointError as error:
                self.note("failed", reference, error.fate, error.code, str(error))
            else:
                self.note("done", reference, done.code)

    def reserve(self, shop: Merchant, references: list[str]) -> None:
        for reference in references:
            self.note("asked", reference)
            allowance = shop.reserve(self.plan["member"], 50, reference=reference, without_code=True)
            self.note("done", reference, allowance.reference)

    def queue(self, shop: Merchant, references: list[str]) -> None:
        for first in range(0, len(references), 5):
            part = references[first : first + 5]
            messages = [
                Earn(
                    amount=1_000_000,
                    member=self.plan["member"],
                    occurred_at=get_system_time(),
                    program="fresh",
                    reference=reference,
                )
                for reference in part
            ]
            self.note("asked", *part)
            asyncio.run(shop._verbs._connection.queue(messages))
            self.note("queued", *part)

    def flush(self, shop: Merchant, _references: list[str]) -> None:
        for resent in shop.flush():
            error = resent.error
            told = [error.fate, error.code, str(error)] if error is not None else ["done"]
            self.note("resent", resent.transaction_id, *told)
            for result in resent.results:
                self.note("done", result.message.reference, result.code, result.index)

    def carry_out(self) -> None:
        plan = self.plan
        if plan.get("file_bytes_max"):
            # A full disk, as far as this process can tell: the system writes nothing past this size.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (plan["file_bytes_max"], resource.RLIM_INFINITY))
        if plan.get("user"):
            os.setgid(plan["user"])
            os.setuid(plan["user"])
        act = getattr(self, plan["act"])
        try:
            shop = self.open()
            if plan.get("place"):
                lay_fuse(plan["place"], plan.get("occurrence", 1))
            self.note("open")
            while plan.get("gate") and not os.path.exists(plan["gate"]):  # noqa: PTH110
                time.sleep(0.002)
            count = plan.get("threads", 1)
            threads = [
                threading.Thread(target=act, args=(shop, plan.get("references", [])[number::count]))
                for number in range(count)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            shop.close()
        except CommonpointError as error:
            self.note("error", type(error).__name__, error.fate, str(error))


def main() -> None:
    children: list[int] = []
    for line in sys.stdin:
        plan = json.loads(line)
        if "wait" in plan:
            print(json.dumps({"status": os.waitpid(plan["wait"], 0)[1]}), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            null = os.open(os.devnull, os.O_RDWR)
            log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for old, new in ((null, 0), (log, 1), (log, 2)):
                os.dup2(old, new)
            try:
                Shop(plan).carry_out()
                os._exit(DONE)
            except BaseException:  # noqa: BLE001 - a fork must not go on as its parent would
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(1)
        children.append(pid)
        print(json.dumps({"pid": pid}), flush=True)


if __name__ == "__main__":
    main()
