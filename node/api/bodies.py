"""Bodies: no more is read of a request than may be in it, whatever its headers say.

A declared length above the limit is refused before a byte is read; a body that turns out longer, chunked or
lying, is refused at the first byte too many. Nothing here looks at what the bytes are, nor at the content
type they claim to have.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from typing import Final

from starlette.types import Receive

from ledger.errors import Refused
from ledger.values import TRANSACTION_BYTES_MAX

TRANSACTION_BODY_BYTES_MAX: Final = TRANSACTION_BYTES_MAX + 4_096
SMALL_BODY_BYTES_MAX: Final = 4_096
"""For everything that is not a transaction."""
_DRAIN_BYTES_MAX: Final = 64 * 1024 * 1024
_DRAIN_SECONDS: Final = 10.0
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")


class Disconnected(Exception):
    """There is nobody left to answer."""


async def read_body(headers: Iterable[tuple[bytes, bytes]], receive: Receive, *, limit: int) -> bytes:
    """The whole body. Raises `Refused` ``TOO_LARGE``, or `Disconnected`."""
    for name, value in headers:
        if name == b"content-length" and (_LENGTH.fullmatch(value) is None or int(value) > limit):
            raise Refused("TOO_LARGE", allowed=limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise Refused("TOO_LARGE", allowed=limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def drain(receive: Receive) -> None:
    """The rest of a refused body has gone by unread, as far as is reasonable.

    Who still sends does not listen yet: closing now would reset the connection and take the refusal with it.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            size = 0
            while size < _DRAIN_BYTES_MAX:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
