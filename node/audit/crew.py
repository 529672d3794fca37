"""The worker processes of one audit: what they are given to do, and what came of it.

Bundles are prepared a few groups ahead of the one that is being executed, by whichever worker has the least
to do, and used in their order. Signatures are checked by whoever has time, this process among them, when it
would otherwise wait. So how many processes there are, and how fast each is, changes how long an audit takes
and nothing else.

A worker that ends before it was told to ends the audit without a verdict: what it had in hand was not looked
at.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Final, NamedTuple, Self

from ledger.keys import SignedText
from ledger.log.tiles import TILE_WIDTH
from node.audit.preparing import Bundle, Irregular, Prepared
from node.audit.sources import LeafSource, SourceUnavailable
from node.audit.tasks import (
    Answer,
    CheckTask,
    PrepareTask,
    Task,
    Terms,
    Unavailable,
    check_signatures,
    read_bundles,
    receive,
    send,
)

GROUP_BUNDLES: Final = 16
"""Bundles are prepared in groups of so many: 4,096 leaves."""
GROUPS_AHEAD: Final = 3
"""So many groups a worker are prepared, or being prepared, at a time."""
LOT: Final = 128
"""Signatures are checked in lots of so many: some five milliseconds."""
LOTS_WAITING: Final = 64
"""With more lots than these, checking comes before executing further."""
TASKS_AHEAD: Final = 8
"""So many tasks a worker has at most."""


class _Worker(NamedTuple):
    process: subprocess.Popen[bytes]
    connection: socket.socket
    reader: threading.Thread
    tasks: deque[Task]
    """What it was given and has not answered, in order."""


class Crew:
    """Worker processes for one log, from `__enter__` to `__exit__`.

    Whatever waits for them raises `Irregular` where one of them found something, and `SourceUnavailable`
    where one of them was lost or could not read.
    """

    def __init__(self, source: LeafSource, terms: Terms, *, workers: int, first: int = 0) -> None:
        """``first``: the leaf to begin with. Groups have the same numbers wherever that is."""
        self._source = source
        self._terms = terms
        self._count = workers
        self._workers: list[_Worker] = []
        self._answers: SimpleQueue[tuple[int, Answer | EOFError]] = SimpleQueue()
        bundles = -(-terms.size // TILE_WIDTH)
        begin = first // TILE_WIDTH
        self._first_group = begin // GROUP_BUNDLES
        self._groups = [
            range(max(begin, each), min(each + GROUP_BUNDLES, bundles))
            for each in range(0, bundles, GROUP_BUNDLES)
        ]
        self._asked = self._first_group
        """Groups that were given to workers, with those before the first."""
        self._used = self._first_group
        self._prepared: dict[int, Prepared] = {}
        self._questions: list[SignedText] = []
        self._lots: deque[list[SignedText]] = deque()

    def __enter__(self) -> Self:
        for number in range(self._count):
            self._workers.append(self._start(number))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            # It holds nothing and writes nothing, so it need not be asked to end.
            worker.process.kill()
            worker.process.wait()
            worker.reader.join()
            worker.connection.close()

    def read_prepared(self) -> Iterator[Prepared]:
        """The bundles of the log from where it begins, prepared, in order."""
        for number in range(self._first_group, len(self._groups)):
            self._used = number
            while number not in self._prepared:
                self._hand_out()
                if self._answers.empty() and self._lots:
                    self._check_lot()
                else:
                    self._take_answer()
            yield self._prepared.pop(number)

    def ask(self, questions: list[SignedText]) -> None:
        """These signatures will be checked before `finish` returns."""
        self._questions += questions
        while len(self._questions) >= LOT:
            self._lots.append(self._questions[:LOT])
            del self._questions[:LOT]
        self._take_answers()
        self._hand_out()
        while len(self._lots) > LOTS_WAITING:
            self._check_lot()
            self._take_answers()
            self._hand_out()

    def finish(self) -> None:
        """Every task was answered, and every answer was good."""
        if self._questions:
            self._lots.append(self._questions)
            self._questions = []
        while self._lots or any(worker.tasks for worker in self._workers):
            self._hand_out()
            if self._answers.empty() and self._lots:
                self._check_lot()
            else:
                self._take_answer()
        self._take_answers()

    def _start(self, number: int) -> _Worker:
        """A worker that knows the terms."""
        ours, theirs = socket.socketpair()
        home = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
        try:
            # -P: nothing is imported from the folder that somebody happens to stand in.
            process = subprocess.Popen(  # noqa: S603 - this very program
                [sys.executable, "-P", "-m", "node.audit.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                pass_fds=[theirs.fileno()],
            )
        except OSError as error:
            ours.close()
            raise SourceUnavailable("WORKER_NOT_STARTED", reason=str(error)) from None
        finally:
            theirs.close()
        reader = threading.Thread(target=self._read_answers, args=(number, ours), daemon=True)
        worker = _Worker(process, ours, reader, deque())
        reader.start()
        self._send(worker, self._terms)
        return worker

    def _read_answers(self, number: int, connection: socket.socket) -> None:
        """Take answers in as they come, so that no worker waits until somebody has time for its own."""
        try:
            while True:
                self._answers.put((number, receive(connection)))
        except (EOFError, OSError):
            self._answers.put((number, EOFError()))

    def _send(self, worker: _Worker, value: Task | Terms) -> None:
        try:
            send(worker.connection, value)
        except OSError:
            raise _lost(worker) from None

    def _hand_out(self) -> None:
        """Whoever can take a task has one, as far as there are any."""
        while True:
            worker = min(self._workers, key=lambda each: len(each.tasks))
            if len(worker.tasks) >= TASKS_AHEAD:
                return
            task = self._choose_task()
            if task is None:
                return
            worker.tasks.append(task)
            self._send(worker, task)

    def _choose_task(self) -> Task | None:
        limit = self._used + GROUPS_AHEAD * self._count
        if self._asked < min(limit, len(self._groups)):
            bundles = self._groups[self._asked]
            self._asked += 1
            return PrepareTask(bundles, self._read(bundles))
        return self._give_lot()

    def _give_lot(self) -> Task | None:
        return CheckTask(self._lots.popleft()) if self._lots else None

    def _read(self, bundles: range) -> list[Bundle] | None:
        """What the worker cannot read itself."""
        if self._terms.opening is not None:
            return None
        return read_bundles(self._source, bundles, self._terms)

    def _check_lot(self) -> None:
        if not check_signatures(self._lots.popleft()):
            raise Irregular("signature")

    def _take_answers(self) -> None:
        while not self._answers.empty():
            self._take_answer()

    def _take_answer(self) -> None:
        """Wait for an answer, and take it."""
        number, answer = self._answers.get()
        worker = self._workers[number]
        if isinstance(answer, EOFError):
            raise _lost(worker)
        task = worker.tasks.popleft()
        if isinstance(task, PrepareTask):
            self._take_bundles(task, answer)
        elif isinstance(answer, Unavailable):
            raise SourceUnavailable(answer.code, **answer.facts)
        elif answer is not True:
            raise Irregular("signature")

    def _take_bundles(self, task: PrepareTask, answer: Answer) -> None:
        if isinstance(answer, Unavailable):
            raise SourceUnavailable(answer.code, **answer.facts)
        if not isinstance(answer, Prepared):
            raise Irregular("bundles")
        self._prepared[task.bundles.start // GROUP_BUNDLES] = answer


def _lost(worker: _Worker) -> SourceUnavailable:
    """What there is to say when a worker is not there any more."""
    worker.process.kill()
    return SourceUnavailable("WORKER_LOST", status=worker.process.wait())
