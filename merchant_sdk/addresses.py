"""Which of several addresses of one ledger is asked: the one that answered last, for as long as it is well.

An address that fails rests for a while, and the next one is asked meanwhile; so a dead address costs one
connect timeout and not one a call. There is no race, no probing in the background and no voting: what makes
an answer true is its proof, whoever gives it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

REST_SECONDS: Final = 30.0
"""So long an address that failed is asked only where no other one is left."""
BANNED_SECONDS: Final = 600.0
"""The same for one that showed another ledger or another history."""


class Addresses:
    """The nodes of one ledger, and how they were when they were asked last."""

    def __init__(self, urls: tuple[str, ...], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.all = urls
        self._clock = clock
        self._current = urls[0]
        self._resting: dict[str, float] = dict.fromkeys(urls, 0.0)
        """Address → until when."""

    @property
    def current(self) -> str:
        """The address that is asked next."""
        return self.choose(())

    def choose(self, tried: Collection[str]) -> str:
        """The best address that was not tried yet; if all were, the best of all."""
        begin = self.all.index(self._current)
        order = [*self.all[begin:], *self.all[:begin]]
        left = [url for url in order if url not in tried] or order
        now = self._clock()
        well = [url for url in left if self._resting[url] <= now]
        return well[0] if well else min(left, key=lambda url: self._resting[url])

    def leave(self, url: str, seconds: float = REST_SECONDS) -> None:
        """The address rests. Many calls that fail at the same one leave it once."""
        self._resting[url] = max(self._resting[url], self._clock() + seconds)
        self._current = self.choose(())
