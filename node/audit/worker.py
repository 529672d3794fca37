"""A worker process of an audit: it prepares bundles and checks signatures, one task after the other.

    python -m node.audit.worker NUMBER-OF-AN-OPEN-SOCKET

It is told about the ledger once, then answers each task in the order they came, until the socket is closed.
It knows nothing of the state, writes nothing, and concludes nothing.
"""

from __future__ import annotations

import gc
import signal
import socket
import sys
import threading
from contextlib import nullcontext
from queue import SimpleQueue

from contracts.rulebook import CURRENT
from ledger.errors import CommonpointError, InvalidBlock
from node.audit.preparing import Bundle, Irregular, Preparer
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


class Worker:
    """Does tasks about one ledger."""

    def __init__(self, terms: Terms, source: LeafSource | None) -> None:
        self._terms = terms
        self._source = source
        self._preparer = Preparer(
            CURRENT.message_type,
            signed_size=terms.signed_size,
            has_partial_tiles=terms.has_partial_tiles,
            has_tiles=terms.has_tiles,
        )

    def do(self, task: Task) -> Answer:
        """The answer to a task."""
        if isinstance(task, CheckTask):
            return check_signatures(task.questions)
        try:
            return self._preparer.prepare(self._get_bundles(task))
        except SourceUnavailable as error:
            return Unavailable(error.code, error.facts)
        except (Irregular, CommonpointError):
            return None

    def _get_bundles(self, task: PrepareTask) -> list[Bundle]:
        if task.given is not None:
            return task.given
        if self._source is None:
            raise Irregular("no source")
        return read_bundles(self._source, task.bundles, self._terms)


def _take_in(connection: socket.socket, tasks: SimpleQueue[Task | None]) -> None:
    """Take tasks from the socket as they come, so that whoever sends one never waits for another's answer."""
    try:
        while True:
            tasks.put(receive(connection))
    except (EOFError, OSError):
        tasks.put(None)


def run(connection: socket.socket) -> None:
    """Answer until nobody asks any more."""
    terms: Terms = receive(connection)
    try:
        with nullcontext() if terms.opening is None else terms.opening() as source:
            _answer(connection, Worker(terms, source))
    except (SourceUnavailable, InvalidBlock) as error:
        # Opening it was no use. That is the answer, whatever is asked first.
        receive(connection)
        send(
            connection, Unavailable(error.code, error.facts) if isinstance(error, SourceUnavailable) else None
        )


def _answer(connection: socket.socket, worker: Worker) -> None:
    tasks: SimpleQueue[Task | None] = SimpleQueue()
    threading.Thread(target=_take_in, args=(connection, tasks), daemon=True).start()
    while (task := tasks.get()) is not None:
        send(connection, worker.do(task))


def main() -> None:
    """Work over the socket whose number was given."""
    # An interrupt from the terminal goes to all; the process that started this one closes the socket then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nothing here refers in circles.
    gc.disable()
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        try:
            run(connection)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


if __name__ == "__main__":
    main()
