"""Transaction signatures, checked ahead by a second process so that a second core has something to do.

A signature takes as long as a dozen simple messages, and whether it is valid depends on nothing but the key,
the text and the signature. So blocks are read a little ahead, and what their signatures come to is asked of a
checker: this very module, run by itself. Whose key it has to be is decided where the block is executed; there
a signature that was found valid under that key is not checked again, and every other one is.

The checker only ever saves time. Where it cannot be started or ends early, all is checked in the one process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple, Self

import msgspec

from ledger.codec import from_base64url
from ledger.errors import InvalidBlock, Refused
from ledger.keys import is_valid_signature, signed_text
from ledger.transaction import Transaction
from node.audit.recorded import RecordedBlock

GROUP_LEAVES: Final = 4_096
"""Blocks are read ahead in groups of about so many leaves."""
GROUPS_AHEAD: Final = 3
WORTH_ASKING = 256
"""A group with fewer transactions is left to the executor; so a small log never starts a checker."""
_LENGTH_BYTES: Final = 4

Asked = tuple[str, bytes, str]
"""Public key (base64url), the signed text, signature (base64url)."""
FindPublic = Callable[[str], str | None]
"""Key id → public key as far as it is known yet."""


class _Group(NamedTuple):
    blocks: list[RecordedBlock]
    asked: list[tuple[Transaction, str]]
    """Transactions that were asked about, and under which key."""
    answer: Future[bytes] | None


class SignatureChecker:
    """A checker process, started when there is enough to ask."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._is_over = False
        # One question at a time, while the caller goes on: waiting for a pipe needs no processor.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="signatures")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        if self._process is not None:
            # It holds nothing and writes nothing, so it need not be asked to end.
            self._process.kill()
            self._process.wait()
        self._thread.shutdown(cancel_futures=True)
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    # What was written and not read any more is of no use to anybody.
                    with suppress(BrokenPipeError):
                        pipe.close()

    def read_ahead(
        self, blocks: Iterator[RecordedBlock], *, chain: str, find_public: FindPublic
    ) -> Iterator[RecordedBlock]:
        """The same blocks, their signatures checked where that was in time. A fault comes where it came."""
        waiting: deque[_Group] = deque()
        fault: InvalidBlock | None = None
        is_at_end = False
        while True:
            while not is_at_end and len(waiting) < GROUPS_AHEAD:
                gathered, is_at_end, fault = _gather(blocks)
                waiting.append(self._ask(gathered, chain=chain, find_public=find_public))
            if not waiting:
                break
            group = waiting.popleft()
            self._note(group)
            yield from group.blocks
        if fault is not None:
            raise fault

    def _ask(self, blocks: list[RecordedBlock], *, chain: str, find_public: FindPublic) -> _Group:
        asked: list[tuple[Transaction, str]] = []
        for block in blocks:
            for transaction in block.transactions:
                public = find_public(transaction.header.key)
                if public is not None:
                    asked.append((transaction, public))
        if len(asked) < WORTH_ASKING or self._is_over:
            return _Group(blocks, [], None)
        question = [
            (
                public,
                signed_text(purpose="transaction", chain=chain, body=transaction.header_bytes),
                transaction.signature,
            )
            for transaction, public in asked
        ]
        return _Group(blocks, asked, self._thread.submit(self._exchange, msgspec.msgpack.encode(question)))

    def _note(self, group: _Group) -> None:
        """What was found valid need not be checked again under the same key."""
        if group.answer is None:
            return
        try:
            answer = group.answer.result()
        except (OSError, EOFError):
            self._is_over = True
            return
        for (transaction, public), is_valid in zip(group.asked, answer, strict=True):
            if is_valid:
                transaction.verified_by = public

    def _exchange(self, question: bytes) -> bytes:
        """One byte a signature. Raises `OSError` or `EOFError` where the checker is not there."""
        if self._process is None:
            self._process = _start_checker()
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise EOFError
        _write_frame(stdin, question)
        return _read_frame(stdout)


def _gather(blocks: Iterator[RecordedBlock]) -> tuple[list[RecordedBlock], bool, InvalidBlock | None]:
    """The next blocks, whether there are no more, and the fault that ended them."""
    gathered: list[RecordedBlock] = []
    leaves = 0
    try:
        while leaves < GROUP_LEAVES:
            block = next(blocks, None)
            if block is None:
                return gathered, True, None
            gathered.append(block)
            leaves += len(block.leaves)
    except InvalidBlock as fault:
        return gathered, True, fault
    return gathered, False, None


def _start_checker() -> subprocess.Popen[bytes]:
    """This module by itself, importing what this process imports."""
    home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", "node.audit.signatures"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


def _write_frame(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
    pipe.flush()


def _read_frame(pipe: IO[bytes]) -> bytes:
    length = pipe.read(_LENGTH_BYTES)
    data = pipe.read(int.from_bytes(length, "big"))
    if len(length) < _LENGTH_BYTES or len(data) < int.from_bytes(length, "big"):
        raise EOFError
    return data


def check_signatures(asked: list[Asked]) -> bytes:
    """One byte a signature: 1 where it is valid."""
    return bytes(_is_valid(*each) for each in asked)


def _is_valid(public: str, text: bytes, signature: str) -> bool:
    try:
        raw = from_base64url(signature, size=64)
        return is_valid_signature(public=from_base64url(public, size=32), text=text, signature=raw)
    except Refused:
        return False


def answer(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until nobody asks any more."""
    decoder = msgspec.msgpack.Decoder(list[Asked])
    while True:
        try:
            question = _read_frame(questions)
        except EOFError:
            return
        _write_frame(answers, check_signatures(decoder.decode(question)))


if __name__ == "__main__":
    answer(sys.stdin.buffer, sys.stdout.buffer)
