"""Limits: how much one participant, one token or one address may ask of this node in a second, so that
nobody's loop keeps the others waiting.

Submissions count for the participant whose signature verified, and only when a transaction is newly taken.
What somebody merely claims in another's name counts for nobody; nor do bytes that were signed once and are
sent again, since whoever has seen them can send them. Reads count for the token: its role and the key it was
given for. What comes without a good token counts for the address it comes from.

An address never decides over a submission. Behind one there may be a proxy with the whole alliance, and an
honest order must not be turned down for what a neighbour sent; what garbage costs is bounded by its size and
by the order of the checks. For the same reason this machine's own address has no limit: a proxy stands there.

Nothing here is written down or shared between nodes, and memory is bounded: whoever comes with more addresses
than are remembered pushes out others' past, which gives those others more room and never less.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter
from starlette.types import Scope

from ledger.errors import Refused
from node.api.identity import BEARER
from node.keystore import Unusable
from node.tokens import TokenIssuer

BURST_SECONDS: Final = 10
"""Whoever was quiet may ask for so many seconds' worth at once."""
KEYS_MAX: Final = 16_384
"""So many participants, tokens and addresses are remembered, of each."""
RATE_MAX: Final = 1_000_000
_SECOND: Final = 1_000_000_000
UNCOUNTED: Final = frozenset({"/healthz", "/readyz"})
"""What monitoring asks; a node that is busy with strangers is still alive."""
_OPTION: Final = re.compile(r"([a-z]{1,20})=([0-9]{1,7})")


class Rates(NamedTuple):
    """How much a second; 0 is no limit."""

    transactions: int = 1_000
    """New transactions of one participant."""
    messages: int = 20_000
    """Messages in them."""
    reads: int = 200
    """Requests with one token."""
    addresses: int = 100
    """Requests without a good token from one address (of IPv6 one /64)."""


UNLIMITED: Final = Rates(0, 0, 0, 0)


def get_default_rates(clock: str) -> Rates:
    """What holds where the operator says nothing. On a chain whose time is told, a rate a second means
    nothing, and nobody waits behind its load.
    """
    return UNLIMITED if clock == "simulated" else Rates()


def read_rates(options: Iterable[str], *, default: Rates) -> Rates:
    """The rates with what the operator says otherwise, as ``name=number``. Raises `Unusable`."""
    rates = default
    for option in options:
        spelled = _OPTION.fullmatch(option)
        if spelled is None or spelled[1] not in Rates._fields or int(spelled[2]) > RATE_MAX:
            names = ", ".join(Rates._fields)
            advice = f"NAME=NUMBER a second, 0 to {RATE_MAX}, 0 for no limit; the names are {names}."
            raise Unusable("BAD_LIMIT", advice=advice, option=option[:100])
        rates = rates._replace(**{spelled[1]: int(spelled[2])})
    return rates


class Buckets:
    """One token bucket a key, for as many keys as may be remembered; the longest unused are forgotten first.

    A bucket is one number: the moment at which it will be full again. A forgotten bucket is a full one.
    """

    def __init__(self, per_second: int, *, clock: Callable[[], int], keys_max: int = KEYS_MAX) -> None:
        self._cost = -(-_SECOND // per_second) if per_second else 0
        self._burst = per_second * BURST_SECONDS
        self._clock = clock
        """Nanoseconds that never go back."""
        self._keys_max = keys_max
        self._full_at: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def find_wait(self, key: str, count: int = 1) -> int:
        """Nanoseconds until ``count`` may be taken; 0 where they may be now. Nothing is taken.

        More than a bucket ever holds may be taken out of a full one, which owes the rest.
        """
        now = self._clock()
        ahead = max(self._full_at.get(key, 0) - now, 0)
        return max(ahead - (self._burst - min(count, self._burst)) * self._cost, 0)

    def take(self, key: str, count: int = 1) -> None:
        """So many are taken, and the key was the last to be used."""
        if not self._cost:
            return
        now = self._clock()
        self._full_at[key] = max(self._full_at.pop(key, 0), now) + count * self._cost
        if len(self._full_at) > self._keys_max:
            del self._full_at[next(iter(self._full_at))]


class Limits:
    """The limits of one node, counted in memory. Any thread."""

    def __init__(
        self,
        rates: Rates,
        *,
        tokens: TokenIssuer,
        registry: CollectorRegistry,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._tokens = tokens
        self._transactions = Buckets(rates.transactions, clock=clock)
        self._messages = Buckets(rates.messages, clock=clock)
        self._reads = Buckets(rates.reads, clock=clock)
        self._addresses = Buckets(rates.addresses, clock=clock)
        self._lock = threading.Lock()
        self._counter = Counter(
            "commonpoint_limited", "Turned down by a limit, by which.", ["limit"], registry=registry
        )
        for name in Rates._fields:
            self._counter.labels(name)

    def count_submission(self, sender: str, messages: int) -> None:
        """A new transaction whose signature verified is counted. Raises `Refused` ``BUSY``, and then nothing
        is.
        """
        with self._lock:
            wait = self._transactions.find_wait(sender)
            limit = "transactions"
            if not wait:
                wait = self._messages.find_wait(sender, messages)
                limit = "messages"
            if not wait:
                self._transactions.take(sender)
                self._messages.take(sender, messages)
                return
        self._refuse(limit, wait)

    def count_request(self, scope: Scope) -> None:
        """A request that is no submission is counted. Raises `Refused` ``BUSY``."""
        account = find_account(scope, self._tokens)
        if account is not None:
            self.count(*account)

    def count(self, limit: str, key: str) -> None:
        """One more of ``reads`` or ``addresses`` for this key. Raises `Refused` ``BUSY``."""
        buckets = self._reads if limit == "reads" else self._addresses
        with self._lock:
            wait = buckets.find_wait(key)
            if not wait:
                buckets.take(key)
                return
        self._refuse(limit, wait)

    def _refuse(self, limit: str, wait: int) -> None:
        self._counter.labels(limit).inc()
        raise Refused("BUSY", limit=limit, retry_after_seconds=-(-wait // _SECOND))


def find_account(scope: Scope, tokens: TokenIssuer) -> tuple[str, str] | None:
    """Which limit a request that is no submission counts against, and for whom; None where it has none."""
    asker = _find_asker(scope, tokens)
    if asker is not None:
        return "reads", asker
    address = None if scope["path"] in UNCOUNTED else get_address_key(scope.get("client"))
    return None if address is None else ("addresses", address)


def _find_asker(scope: Scope, tokens: TokenIssuer) -> str | None:
    """Whose token it is, where it is one of ours. Each key of a subject counts for itself: a key that was
    stolen and revoked cannot use up what the others have.
    """
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    spelled = BEARER.fullmatch(given[0].decode("latin-1")) if len(given) == 1 else None
    if spelled is None:
        return None
    try:
        bearer = tokens.verify(spelled[1])
    except Refused:
        return None
    return f"{bearer.role} {bearer.key or ''}"


def get_address_key(client: tuple[str, int] | None) -> str | None:
    """What an address is counted under: itself, of IPv6 its network, and this machine not at all."""
    if client is None:
        return None
    try:
        address = ip_address(client[0].partition("%")[0])
    except ValueError:
        return client[0][:100]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return None if address.is_loopback else f"{int(address) >> 64:x}::/64"
        address = address.ipv4_mapped
    return None if address.is_loopback else str(address)
