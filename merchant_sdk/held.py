"""A hold, ready to be completed: `capture` takes what the order came to in the end, `release` gives all of it
back.

After a restart the same is done by the order's number, `shop.capture("A-1")`. What is neither captured nor
released goes back by itself once `expires` has passed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from merchant_sdk.results import Committed

R = TypeVar("R")
C = TypeVar("C")


class Held(Committed[R], Generic[R, C], frozen=True, kw_only=True):
    """Points set aside for an order."""

    capture_with: Callable[..., C]
    release_with: Callable[..., C]

    @property
    def reference(self) -> str:
        """The order's number: what to keep for after a restart."""
        reference: str = self.message.reference
        return reference

    @property
    def held(self) -> int:
        """Points set aside."""
        points: int = self.message.points
        return points

    @property
    def expires(self) -> int:
        """The last moment at which it can be captured, milliseconds UTC of the ledger's time."""
        expires: int = self.message.expires
        return expires

    def capture(self, points: int | None = None) -> C:
        """Take ``points`` of what is held, all unless told, once; the rest goes back."""
        return self.capture_with(self, points)

    def release(self) -> C:
        """Give back all that is held."""
        return self.release_with(self)
