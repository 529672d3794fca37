"""The core's end: transactions that workers have vetted go into the mempool, answers and blocks go back.

All frames to one worker go through one queue, in the order in which things happened: a worker hears of a
block before it hears of an answer out of it, and before anything that was asked after it. The thread that
makes blocks only ever appends to a queue; sending is the event loop's business. Nothing waits for company:
what has gathered by the time the loop looks is sent together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import structlog

from ledger.errors import CommonpointError
from ledger.executor import ExecutedBlock
from ledger.transaction import Vetting
from node.answers import Taken
from node.api.simulation import Cutter
from node.core import NodeCore
from node.link import wire
from node.link.calls import CoreCalls
from node.link.figures import WorkerFigures
from node.link.frames import Splitter, encode_frame
from node.link.wire import Answers, Block, Declined, FromCore, FromWorker, Returned, Told

CALL_THREADS: Final = 4

log = structlog.get_logger("commonpoint.link")


class Service:
    """What all links of one core share. Lives on one event loop."""

    def __init__(self, core: NodeCore, *, calls: CoreCalls, figures: WorkerFigures) -> None:
        self.core = core
        self.calls = calls
        self.figures = figures
        self.cutter = Cutter(core)
        self.threads = ThreadPoolExecutor(CALL_THREADS, thread_name_prefix="link")
        self._links: tuple[Link, ...] = ()

    def add(self, link: Link) -> None:
        """From here on the link hears of every block."""
        self._links = (*self._links, link)

    def remove(self, link: Link) -> None:
        """The link is no more."""
        self._links = tuple(each for each in self._links if each is not link)

    def publish(self, block: ExecutedBlock) -> None:
        """Every worker will hear of the block. Called by the thread that made it."""
        if not self._links:
            return
        told = Block(block.head, self.core.checkpoint, b"".join(block.leaf_hashes))
        frame = encode_frame(FromCore.BLOCK, wire.encode(told))
        for link in self._links:
            link.queue(frame)

    def publish_note(self, note: str) -> None:
        """Every worker will show the newest checkpoint with the lines of this note. Any thread."""
        frame = encode_frame(FromCore.NOTE, wire.encode(note))
        for link in self._links:
            link.queue(frame)

    def find_head(self) -> tuple[Any, str]:
        """Head and checkpoint of one moment: the two move one after the other."""
        while True:
            head, checkpoint = self.core.head, self.core.checkpoint
            if int(checkpoint.split("\n", 2)[1]) == head.size:
                return head, checkpoint


class Link(asyncio.Protocol):
    """One worker's link, as the core has it."""

    def __init__(
        self,
        service: Service,
        *,
        make_setup: Callable[[], wire.Setup],
        on_ready: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._service = service
        self._make_setup = make_setup
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._splitter = Splitter()
        self._queue: deque[bytes | tuple[int, Future[Taken]]] = deque()
        self._is_woken = False
        self._transport: asyncio.Transport | None = None
        self._is_stopping = False
        self._account = service.figures.open()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The worker is told what it needs to know."""
        self._transport = transport  # type: ignore[assignment]  # a stream's transport
        self._service.add(self)
        # Blocks made from here on are queued behind this; one that is in the setup already is passed over.
        self._write(encode_frame(FromCore.SETUP, wire.encode(self._make_setup())))
        if self._is_stopping:
            self.stop()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - either way it is gone
        """The worker is gone. What it submitted is decided all the same; nobody is left to be told."""
        self._transport = None
        self._service.remove(self)
        self._account.close()
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        """Frames have come."""
        for kind, payload in self._splitter.feed(data):
            if kind == FromWorker.SUBMISSIONS:
                self._admit(payload)
            elif kind == FromWorker.CALL:
                self._call(wire.CALL.decode(payload))
            elif kind == FromWorker.FIGURES:
                self._account.update(wire.FIGURES.decode(payload))
            elif kind == FromWorker.READY:
                self._on_ready()

    def queue(self, one: bytes | tuple[int, Future[Taken]]) -> None:
        """A frame, or the answer to a submission, will be sent in its turn. Any thread."""
        self._queue.append(one)
        if not self._is_woken:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._flush)

    def stop(self) -> None:
        """The worker is told to answer what it has in hand and to end."""
        self._is_stopping = True
        self._write(encode_frame(FromCore.STOP, b""))

    def _admit(self, payload: bytes) -> None:
        core = self._service.core
        for each in wire.SUBMISSIONS.decode(payload):
            try:
                vetting = Vetting(each.lengths, each.hashes, each.verified_by)
                future = core.admit(core.decode_vetted(each.data, vetting))
            except Exception as error:  # noqa: BLE001 - handed to the request that it belongs to
                if not isinstance(error, CommonpointError):
                    log.error("a submission failed", error=repr(error))  # noqa: TRY400 - told in one line
                future = Future()
                future.set_exception(error)
            future.add_done_callback(partial(self._note, each.number))

    def _note(self, number: int, future: Future[Taken]) -> None:
        self.queue((number, future))

    def _flush(self) -> None:
        """All that has gathered goes out, in its order."""
        self._is_woken = False
        queue = self._queue
        frames: list[bytes] = []
        answers = Answers([], [])
        while queue:
            one = queue.popleft()
            if isinstance(one, bytes):
                _close(answers, frames)
                frames.append(one)
                continue
            number, future = one
            error = future.exception()
            if error is None:
                taken = future.result()
                answers.told.append(Told(number, taken.height, taken.index, taken.time, taken.outcomes))
            else:
                answers.declined.append(Declined(number, wire.make_fault(error)))
        _close(answers, frames)
        self._write(b"".join(frames))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)

    def _call(self, call: wire.Call) -> None:
        if call.name == "catch_up":
            self._return(call.number, None, None)
        elif call.name == "cut":
            task = self._loop.create_task(self._service.cutter.cut(*call.arguments))
            task.add_done_callback(partial(self._finish_call, call))
        else:
            work = self._loop.run_in_executor(
                self._service.threads, self._service.calls.run, call.name, call.arguments
            )
            work.add_done_callback(partial(self._finish_call, call))

    def _finish_call(self, call: wire.Call, done: asyncio.Future[Any]) -> None:
        error = done.exception()
        if error is None:
            self._return(call.number, done.result(), None)
            return
        if not isinstance(error, CommonpointError):
            log.error("a worker's call failed", call=call.name, error=repr(error))
        self._return(call.number, None, wire.make_fault(error))

    def _return(self, number: int, value: Any, fault: wire.Fault | None) -> None:
        """What was asked is told, behind whatever happened before."""
        self._flush()
        returned = Returned(number, wire.encode(value), fault)
        self._write(encode_frame(FromCore.RETURN, wire.encode(returned)))


def _close(answers: Answers, frames: list[bytes]) -> None:
    """The answers gathered so far are a frame."""
    if answers.told or answers.declined:
        frames.append(encode_frame(FromCore.ANSWERS, wire.encode(answers)))
        answers.told, answers.declined = [], []
