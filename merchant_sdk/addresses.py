"""Which of several addresses of one ledger is asked: the one that answered last, for as long as it is well.

An address that fails rests for a while, twice as long each time until it has answered again, and the next one
is asked meanwhile; so a dead address costs one connect timeout and not one a call. A node that only follows
is passed over with transactions and asked for everything else. There is no race, no probing in the background
and no voting: what makes an answer true is its proof, whoever gives it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

REST_SECONDS: Final = 5.0
"""So long an address that failed is asked only where no other one is left; the first time."""
REST_SECONDS_MAX: Final = 120.0
FOLLOWS_SECONDS: Final = 30.0
"""So long a node that said it takes no transactions is not asked to: it may be made one that does."""
LEARNED_MAX: Final = 4
"""So many addresses beyond those we were given are gone to at the most."""
BANNED_SECONDS: Final = 600.0
"""The same for one that showed another ledger or another history."""


class Addresses:
    """The nodes of one ledger, and how they were when they were asked last."""

    def __init__(self, urls: tuple[str, ...], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.all = urls
        self._given = len(urls)
        self._clock = clock
        self._current = urls[0]
        self._resting: dict[str, float] = dict.fromkeys(urls, 0.0)
        """Address → until when."""
        self._rests: dict[str, int] = dict.fromkeys(urls, 0)
        """Address → how often it was left since it answered last."""
        self._following: dict[str, float] = {}
        """Address that takes no transactions → until when that is believed."""

    @property
    def current(self) -> str:
        """The address that is asked next."""
        return self.choose(())

    def choose(self, tried: Collection[str], *, is_submitting: bool = False) -> str:
        """The best address that was not tried yet; if all were, the best of all. With ``is_submitting`` one
        that takes transactions comes before one that does not.
        """
        begin = self.all.index(self._current)
        order = [*self.all[begin:], *self.all[:begin]]
        left = [url for url in order if url not in tried] or order
        now = self._clock()
        if is_submitting:
            left = [url for url in left if self._following.get(url, 0.0) <= now] or left
        well = [url for url in left if self._resting[url] <= now]
        return well[0] if well else min(left, key=lambda url: self._resting[url])

    def leave(self, url: str, seconds: float | None = None) -> None:
        """The address rests: so long, or as `REST_SECONDS` says. Many calls that fail at the same one leave
        it once.
        """
        now = self._clock()
        if seconds is None:
            if self._resting[url] > now:
                return
            seconds = min(REST_SECONDS * 2 ** min(self._rests[url], 10), REST_SECONDS_MAX)
            self._rests[url] += 1
        self._resting[url] = max(self._resting[url], now + seconds)
        self._current = self.choose(())

    def praise(self, url: str) -> None:
        """The address has answered: if it is left again, it rests as the first time."""
        self._rests[url] = 0

    def note_follower(self, url: str) -> None:
        """The node there says that it takes no transactions."""
        self._following[url] = self._clock() + FOLLOWS_SECONDS

    def learn(self, url: str, *, told_by: str) -> None:
        """A node that follows has said where transactions are taken: that address is asked too.

        Whoever tells it is not believed further than it could itself have answered: a node on this machine
        may name one on this machine, and no other node may; none leads from https to http, or back. What it
        names has to show that it is of our ledger, as every address has to before it is asked anything else.
        """
        if url in self._resting or len(self.all) - self._given >= LEARNED_MAX or not is_address(url):
            return
        if url.partition(":")[0] != told_by.partition(":")[0] or is_loopback(url) != is_loopback(told_by):
            return
        self._resting[url], self._rests[url] = 0.0, 0
        self.all = (*self.all, url)


def is_address(url: str) -> bool:
    """Whether a node may have this address: a scheme and a host, and nothing that hides another."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_plain = not (parts.query or parts.fragment or parts.username or parts.password)
    return parts.scheme in {"http", "https"} and has_host and is_plain


def is_loopback(url: str) -> bool:
    """Whether the address is of this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
