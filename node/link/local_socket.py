"""The local socket: transactions of programs on the same machine, many under way on one connection.

    request   length (4 bytes) · number (4) · trusted size (8, 0 for none) · a transaction's canonical bytes
    answer    length (4 bytes) · number (4) · status (2) · the body that HTTP would answer with

Integers are big-endian; a length counts the bytes of the body alone. Answers come as they are ready, under
the number that the asker chose. They are the same as over HTTP, refusals too, and so are the checks: whoever
may open the socket, which is the node's own user, is believed no more than anybody else.

A connection has no more than `UNANSWERED_MAX` under way; beyond that nothing is read of it until some are
answered. One that sends what is no request, or takes no answers for half a minute, is closed.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Final

import structlog

from ledger.errors import CommonpointError, Refused
from node.answers import Taken
from node.api.bodies import TRANSACTION_BODY_BYTES_MAX
from node.api.problems import Problem, describe_error, make_problem
from node.api.transactions import check_trusted_size
from node.link.taking import Taker

REQUEST: Final = struct.Struct("!IIQ")
ANSWER: Final = struct.Struct("!IIH")
CONNECTIONS_MAX: Final = 256
UNANSWERED_MAX: Final = 2_048
STUCK_SECONDS: Final = 30.0
_BUFFERED_MAX: Final = 8 * 1024 * 1024

log = structlog.get_logger("commonpoint.link")


class LocalConnection(asyncio.Protocol):
    """One program's connection. Of its bytes nothing is believed."""

    def __init__(self, taker: Taker, others: set[LocalConnection]) -> None:
        self._taker = taker
        self._others = others
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._unanswered = 0
        self._is_paused = False
        self._stuck: asyncio.TimerHandle | None = None
        self._answers: list[bytes] = []
        self._is_finishing = False
        self._idle = asyncio.Event()
        """Set once everything is answered after the end has begun, or nobody is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there; in a crowd they are let go."""
        self._transport = transport  # type: ignore[assignment]  # a stream's transport
        self._transport.set_write_buffer_limits(high=_BUFFERED_MAX)  # type: ignore[union-attr]
        if len(self._others) >= CONNECTIONS_MAX:
            transport.close()
            return
        self._others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - either way they are gone
        """Nobody is left to be answered; what was taken is decided all the same."""
        self._transport = None
        self._idle.set()
        self._others.discard(self)
        self.resume_writing()

    def pause_writing(self) -> None:
        """They do not take what they are told."""
        self._stuck = self._loop.call_later(STUCK_SECONDS, self.close)
        self._bound()

    def resume_writing(self) -> None:
        """They do again."""
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        self._bound()

    def close(self) -> None:
        """The connection ends."""
        if self._transport is not None:
            self._transport.abort()

    async def finish(self) -> None:
        """The worker is stopping: nothing more is read, what is under way is answered, and this ends."""
        self._is_finishing = True
        self._bound()
        if self._unanswered or self._answers:
            await self._idle.wait()
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Requests have come, or pieces of them."""
        received = self._received
        received += data
        position, size = 0, len(received)
        while size - position >= REQUEST.size:
            length, number, trusted_size = REQUEST.unpack_from(received, position)
            if length > TRANSACTION_BODY_BYTES_MAX:
                # Where the next request would begin is not worth waiting for.
                self._answer_problem(number, describe_error(_too_large()))
                self._send()
                if self._transport is not None:
                    self._transport.close()
                return
            begin = position + REQUEST.size
            if size - begin < length:
                break
            position = begin + length
            self._take(number, trusted_size, bytes(received[begin:position]))
        del received[:position]
        self._bound()

    def _take(self, number: int, trusted_size: int, data: bytes) -> None:
        self._unanswered += 1
        if trusted_size > self._taker.core.head.size:
            # Another worker may have told of a block that this one is about to hear of.
            asking = self._loop.run_in_executor(None, self._taker.core.catch_up)
            asking.add_done_callback(lambda _: self._take_now(number, trusted_size, data))
        else:
            self._take_now(number, trusted_size, data)

    def _take_now(self, number: int, trusted_size: int, data: bytes) -> None:
        trusted = trusted_size or None
        try:
            if trusted is not None:
                check_trusted_size(trusted, self._taker.core)
            self._taker.take(data, lambda found: self._hear(number, trusted, found))
        except CommonpointError as refusal:
            self._hear(number, trusted, refusal)

    def _hear(self, number: int, trusted_size: int | None, found: Taken | Exception) -> None:
        """What came of it goes out with whatever else is told in this turn of the loop."""
        self._unanswered -= 1
        if self._transport is None:
            return
        if isinstance(found, Taken):
            body = self._taker.answer(found, trusted_size)
            self._queue(ANSWER.pack(len(body), number, 200) + body)
        elif isinstance(found, CommonpointError):
            self._answer_problem(number, describe_error(found))
        else:
            log.error("a local request failed", error=repr(found))
            self._answer_problem(number, make_problem("INTERNAL"))

    def _answer_problem(self, number: int, problem: Problem) -> None:
        self._queue(ANSWER.pack(len(problem.body), number, problem.status) + problem.body)

    def _queue(self, answer: bytes) -> None:
        if not self._answers:
            self._loop.call_soon(self._send)
        self._answers.append(answer)

    def _send(self) -> None:
        if self._transport is not None and self._answers:
            self._transport.write(b"".join(self._answers))
        self._answers = []
        self._bound()
        if self._is_finishing and not self._unanswered:
            self._idle.set()

    def _bound(self) -> None:
        """No more is read of a connection than it takes answers to."""
        if self._transport is None or self._transport.is_closing():
            return
        is_full = self._unanswered >= UNANSWERED_MAX or self._stuck is not None or self._is_finishing
        if is_full and not self._is_paused:
            self._transport.pause_reading()
        elif self._is_paused and not is_full:
            self._transport.resume_reading()
        self._is_paused = is_full


def _too_large() -> Refused:
    return Refused("TOO_LARGE", allowed=TRANSACTION_BODY_BYTES_MAX)
