"""Messages whose fate is open, as far as this process knows: by their bytes, so that the very same call made
again is found without asking the outbox, which knows the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from merchant_sdk.client.core import Signed


class Place(NamedTuple):
    """Where a message stands whose fate is open."""

    id: str
    number: int
    total: int
    atomic: bool


class OpenMessages:
    """The messages of open transactions."""

    def __init__(self) -> None:
        self._places: dict[bytes, Place] = {}

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._places)

    def get(self, message: bytes) -> Place | None:
        """Where this message stands."""
        return self._places.get(message)

    def find(self, messages: Sequence[bytes], *, atomic: bool) -> str | None:
        """The open transaction of exactly these messages."""
        places = [self._places.get(message) for message in messages]
        first = places[0] if places else None
        if first is None:
            return None
        wanted = [Place(first.id, number, len(messages), atomic) for number in range(len(messages))]
        return first.id if places == wanted else None

    def remember(self, signed: Signed) -> None:
        """The transaction's fate is open."""
        header = signed.transaction.header
        for number, message in enumerate(signed.transaction.message_bytes):
            self._places[message] = Place(header.id, number, header.count, header.atomic is True)

    def forget(self, transaction_id: str) -> None:
        """It is open no more, or somebody has it in hand."""
        for message in [each for each, place in self._places.items() if place.id == transaction_id]:
            del self._places[message]
