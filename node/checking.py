"""Signatures checked ahead, in another process, on another core.

An Ed25519 check takes as long as three operations. The executor announces which signatures a block carries;
they are sent to a process that does nothing else, while the block is executed from its first message on.
Where an answer has not come yet, whoever asks takes over some of what is left, so both are always at work; a
checker that dies or lags costs speed and nothing else. An answer belongs to the very key, text and signature
that were sent; what was not announced is checked where it is asked.

In this process threads would not do: they would take the interpreter's lock back after each check.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import select
import signal
import socket
from collections import deque
from collections.abc import Sequence
from multiprocessing.context import SpawnProcess
from typing import Final

import msgspec

from ledger.keys import SignedText, is_valid_signature

_TOGETHER: Final = 16
"""Signatures a message: the first answers come early, and few messages are made."""
_SENT_MAX: Final = 3
"""So many messages are under way: while one is worked at, the next is there."""
_PATIENCE_SECONDS: Final = 0.005
_WORTH_A_PROCESS: Final = 16
"""A node begins to check apart with the first block that carries so many signatures."""
_ANSWERS_BYTES: Final = 4_096

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[bytes, bytes, bytes]]).decode


class CheckerProcess:
    """A `ledger.keys.SignatureJudge` with a process of its own. For the engine's thread alone."""

    def __init__(self) -> None:
        self._process: SpawnProcess | None = None
        self._socket: socket.socket | None = None
        self._unsent: deque[list[SignedText]] = deque()
        self._sent: deque[list[SignedText]] = deque()
        self._under_way: set[SignedText] = set()
        self._answers: dict[SignedText, bool] = {}
        self.wants_notice = True

    def warm_up(self) -> None:
        """The process is there before anybody needs it."""
        self._socket = self._socket or self._start()

    def _start(self) -> socket.socket:
        """The other process is on its way; it answers when it is there."""
        # Messages keep their borders on such a socket, and one that does not fit is not sent in part.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = multiprocessing.get_context("spawn").Process(
            target=_check_for, args=(theirs,), name="checker", daemon=True
        )
        self._process.start()
        theirs.close()
        ours.setblocking(False)
        return ours

    def expect(self, signed: Sequence[SignedText]) -> None:
        """The other process begins with these, and what is left of an earlier block is forgotten."""
        self._take_answers()
        self._answers.clear()
        self._unsent.clear()
        if self._socket is None and len(signed) < _WORTH_A_PROCESS:
            return
        for start in range(0, len(signed), _TOGETHER):
            self._unsent.append(list(signed[start : start + _TOGETHER]))
        self._send()

    def is_valid(self, signed: SignedText) -> bool:
        """As `is_valid_signature`, from the other process where it has answered by now."""
        while signed not in self._answers:
            self._take_answers()
            self._send()
            if signed in self._answers:
                break
            if signed not in self._under_way:
                # Not sent yet, if it was announced at all: then its neighbours will be asked about next.
                mine = self._unsent.popleft() if self._unsent and signed in self._unsent[0] else [signed]
            elif self._unsent:
                # The other process is at it: meanwhile we take of the work that lies furthest ahead of it.
                mine = self._unsent.pop()
            else:
                mine = []
                if not self._is_answering():
                    # It lags or is not there yet. Nothing more is sent until it has answered.
                    self._under_way.clear()
            for one in mine:
                self._answers[one] = is_valid_signature(
                    public=one.public, text=one.text, signature=one.signature
                )
        return self._answers.pop(signed)

    def close(self) -> None:
        """The other process ends; from here on everything is checked where it is asked."""
        self.wants_notice = False
        self._unsent.clear()
        self._sent.clear()
        self._under_way.clear()
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._process.join(timeout=5)

    def _send(self) -> None:
        """The other side has enough to do, and no more: the rest may be ours."""
        while self._unsent and len(self._sent) < _SENT_MAX:
            try:
                if self._socket is None:
                    self._socket = self._start()
                self._socket.send(_encode(self._unsent[0]))
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            self._sent.append(self._unsent.popleft())
            self._under_way.update(self._sent[-1])

    def _take_answers(self) -> None:
        """Whatever has been answered by now is known."""
        while self._sent and self._socket is not None:
            try:
                found = self._socket.recv(_ANSWERS_BYTES)
            except BlockingIOError:
                return
            except OSError:
                found = b""
            if not found:
                self.close()
                return
            answered = self._sent.popleft()
            self._under_way.difference_update(answered)
            for signed, answer in zip(answered, found, strict=True):
                self._answers[signed] = answer == 1

    def _is_answering(self) -> bool:
        """Whether an answer came within the time that all that is under way should take."""
        if self._socket is None:
            return False
        return bool(select.select([self._socket], [], [], _PATIENCE_SECONDS)[0])


def _check_for(asker: socket.socket) -> None:
    """Answer each message with a byte a signature, in order, until the asker is gone."""
    # Ctrl-C in a terminal reaches every process; ours ends with the node, once it has closed its books.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # It may end in the middle of anything: what it has not been told it works out itself.
    with asker, contextlib.suppress(ConnectionError):
        while wanted := asker.recv(1 << 20):
            found = bytes(
                is_valid_signature(public=public, text=text, signature=signature)
                for public, text, signature in _decode(wanted)
            )
            asker.send(found)
