"""What the processes of one audit ask of each other, and how it is sent.

Tasks and answers are pickled: the socket between two processes of one program has no name, and nobody else
can reach it. Nothing that was read from a ledger is ever unpickled.
"""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

from ledger.keys import SignedText, is_valid_signature
from ledger.log.tiles import TILE_WIDTH
from node.audit.preparing import Bundle, Prepared
from node.audit.sources import LeafSource

_LENGTH_BYTES: Final = 8
Opening = Callable[[], AbstractContextManager[LeafSource]]
"""Opens the same log once more, in another process: it can be pickled."""


class Terms(NamedTuple):
    """What a worker is told about the ledger first."""

    size: int
    signed_size: int
    has_partial_tiles: bool
    opening: Opening | None
    """How the worker reads bundles itself; without it they come with the task."""
    has_tiles: bool = True
    """Whether hash tiles come with the bundles. Without them whoever asks holds the roots against its own."""


class PrepareTask(NamedTuple):
    """Prepare these bundles; answered with `Prepared`, or None where something in them is irregular."""

    bundles: range
    given: list[Bundle] | None


class CheckTask(NamedTuple):
    """Check these signatures; answered with whether all are valid."""

    questions: list[SignedText]


class Unavailable(NamedTuple):
    """The worker's source could not be read: the error's code and facts."""

    code: str
    facts: dict[str, Any]


Task = PrepareTask | CheckTask
Answer = Prepared | Unavailable | bool | None


def send(connection: socket.socket, value: Any) -> None:
    """The value is on its way to the other process."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    connection.sendall(len(data).to_bytes(_LENGTH_BYTES, "big"))
    connection.sendall(data)


def receive(connection: socket.socket) -> Any:
    """The next value from the other process. Raises `EOFError` where there is none any more."""
    length = int.from_bytes(_receive_exactly(connection, _LENGTH_BYTES), "big")
    return pickle.loads(_receive_exactly(connection, length))  # noqa: S301 - as above


def _receive_exactly(connection: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    position = 0
    while position < length:
        # One call for all of it: the thread that waits here holds up no other meanwhile.
        count = connection.recv_into(view[position:], length - position, socket.MSG_WAITALL)
        if not count:
            raise EOFError
        position += count
    return data


def check_signatures(questions: list[SignedText]) -> bool:
    """Whether every one of these signatures is valid."""
    return all(
        is_valid_signature(public=public, text=text, signature=signature)
        for public, text, signature in questions
    )


def read_bundles(source: LeafSource, bundles: range, terms: Terms) -> list[Bundle]:
    """Neighbouring bundles as stored; nothing is believed yet."""
    read: list[Bundle] = []
    for index in bundles:
        width = min(TILE_WIDTH, terms.size - index * TILE_WIDTH)
        data = source.read_bundle(index, width)
        is_kept = terms.has_tiles and (terms.has_partial_tiles or width == TILE_WIDTH)
        read.append(Bundle(index, width, data, source.read_tile(0, index, width) if is_kept else None))
    return read
