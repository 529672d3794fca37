"""A whole alliance inside one process, for a merchant's own tests: real node, real SDK, a clock you turn.

    with sandbox() as alliance:
        shop = alliance.merchant("fresh")
        wallet = alliance.wallet()
        shop.enrol(wallet)
        shop.earn(wallet.member, "45.60", reference="A-1")
        alliance.clock.advance(days=30)

The line can be down, `with alliance.offline(): …`, and replies can be lost,
`with alliance.losing_replies(): …`, to see what a till does then.

Nothing is faked: transactions are signed, executed, hashed, made durable in a temporary folder and proved,
over the same API without a socket; webhooks go to addresses of this machine. Only the time is the sandbox's
own, and the chain says so in its genesis. This is the one module in which node and SDK meet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx2
from starlette.types import ASGIApp

from contracts.messages import Grant, OpenProgram, OpenSeries
from ledger.codec import to_base64url
from ledger.genesis import Genesis, GenesisKey, GenesisParticipant, encode_genesis
from ledger.keys import SeedSigner
from merchant_sdk import AsyncMerchant, Merchant, Wallet
from node.api.app import make_app
from node.core import NodeCore, get_system_time
from node.feed import Feed
from node.tokens import TokenIssuer
from node.webhooks.delivery import Webhooks

OPERATOR: Final = "alliance"
MERCHANTS: Final = ("fresh", "petrol", "pharmacy", "cinema")
URL: Final = "http://127.0.0.1"
_PURPOSES: Final = ("govern", "transact", "till", "custody")
_GRANTS: Final = ("earn", "redeem", "exchange_out", "exchange_in")
_START: Final = 1_767_225_600_000  # 2026-01-01 UTC
_BUDGET: Final = 10**12


class SandboxClock:
    """The sandbox's time. It stands still until it is turned."""

    def __init__(self, now: int) -> None:
        self._now = now

    def __call__(self) -> int:
        """Milliseconds UTC."""
        return self._now

    def advance(self, *, days: int = 0, hours: int = 0, minutes: int = 0, seconds: int = 0) -> int:
        """Turn the clock forward; the next block is of that time."""
        passed = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        if passed < 0:
            raise ValueError("a ledger's time never goes back")
        self._now += passed * 1000
        return self._now


class _Line(httpx2.AsyncBaseTransport):
    """The way to the node, which can be down, as if no cable were plugged in, or lose replies."""

    def __init__(self, app: ASGIApp) -> None:
        self._node = httpx2.ASGITransport(app=app)
        self.is_down = False
        self.loses_replies = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The node's answer."""
        if self.is_down:
            raise httpx2.ConnectError("the line is down", request=request)
        response = await self._node.handle_async_request(request)
        if self.loses_replies and request.method == "POST" and request.url.path == "/v1/transactions":
            await response.aclose()
            raise httpx2.ReadError("the reply was lost", request=request)
        return response


class Sandbox:
    """A running alliance.

    An operator, merchants each with a program of its own name, grants among all of them.
    """

    def __init__(self, folder: Path, merchants: Sequence[str], seed: str) -> None:
        self.clock = SandboxClock(_START)
        self.merchants = tuple(merchants)
        self._seed = seed
        self._open = ExitStack()
        genesis = self._make_genesis()
        self.core = NodeCore.open(
            folder / "ledger.db",
            genesis=genesis,
            signer=self._make_signer("log", "log"),
            clock=self.clock,
            is_told=False,
        )
        self._open.callback(self.core.stop)
        self.chain = self.core.chain
        # Who is asking is a matter of the machine's time; only the ledger's is the sandbox's.
        tokens = TokenIssuer(secret=self._derive("tokens"), chain=self.chain, clock=get_system_time)
        feed = Feed(self.core)
        self._webhooks = Webhooks(folder / "webhooks.db", feed=feed, to_private=True)
        self._webhooks.start()
        self._open.callback(self._webhooks.stop)
        self._open.callback(feed.close)
        self._line = _Line(make_app(self.core, tokens=tokens, feed=feed, webhooks=self._webhooks))
        self._wallets = 0
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def merchant(self, participant: str, **options: Any) -> Merchant:
        """A merchant of the alliance with all its keys, closed with the sandbox.

        It is connected, unless the line is down; `OPERATOR` is the alliance's operator.
        """
        merchant = Merchant(participant, URL, **{**self._connect(participant), **options})
        self._open.callback(merchant.close)
        return merchant if self._line.is_down else merchant.connect()

    def async_merchant(self, participant: str, **options: Any) -> AsyncMerchant:
        """The same for an event loop; `async with` it, or close it, in that loop."""
        return AsyncMerchant(participant, URL, **{**self._connect(participant), **options})

    def keys(self, participant: str) -> dict[str, SeedSigner]:
        """A participant's keys by purpose, for a merchant with fewer of them."""
        return {purpose: self._make_signer(participant, purpose) for purpose in _PURPOSES}

    @contextmanager
    def offline(self) -> Iterator[None]:
        """As long as the block lasts no merchant reaches the node."""
        self._line.is_down = True
        try:
            yield
        finally:
            self._line.is_down = False

    @contextmanager
    def losing_replies(self) -> Iterator[None]:
        """As long as the block lasts transactions arrive and are carried out, and no merchant hears of it."""
        self._line.loses_replies = True
        try:
            yield
        finally:
            self._line.loses_replies = False

    def wallet(self) -> Wallet:
        """A new member's wallet, not enrolled yet, on the sandbox's time."""
        self._wallets += 1
        counter = iter(range(10**9))
        name = f"wallet-{self._wallets}"
        return Wallet(
            self.chain,
            clock=self.clock,
            randomness=lambda count: self._derive(name, str(next(counter)))[:count],
        )

    def close(self) -> None:
        """Every merchant is closed, then the node."""
        self._open.close()

    def _connect(self, participant: str) -> dict[str, Any]:
        return {
            "chain": self.chain,
            "clock": self.clock,
            "http": self._line,
            "keys": self.keys(participant),
        }

    def _make_genesis(self) -> list[bytes]:
        participants = [
            GenesisParticipant(
                keys=[
                    GenesisKey(public=to_base64url(self._make_signer(who, purpose).public), purpose=purpose)
                    for purpose in _PURPOSES
                ],
                name=who.capitalize(),
                participant=who,
            )
            for who in (OPERATOR, *self.merchants)
        ]
        settings = Genesis(
            clock="simulated",
            currency="CNY",
            engine="solo",
            log_key=to_base64url(self._make_signer("log", "log").public),
            name="sandbox",
            operator=OPERATOR,
            parameters=[],
            rulebook=1,
            time=self.clock(),
            utc_offset_minutes=480,
        )
        return encode_genesis(settings, participants)

    def _begin(self) -> None:
        """Every merchant opens its program and grants everything to the others."""
        opening = len(self.merchants) + 1  # the height after every program has been opened
        for who in self.merchants:
            grants = [
                Grant(_BUDGET, _BUDGET, _START * 2, kind, who, other)
                for other in self.merchants
                for kind in _GRANTS
                if other != who
            ]
            begin = [
                OpenProgram(name=who.capitalize(), program=who, spend_per_point=1_000_000),
                OpenSeries(opening, 12, 10_000, 10_000, who, "s1"),
                *grants,
            ]
            for result in self.merchant(who).submit(begin):
                error = result.get_error()
                if error is not None:
                    raise error

    def _make_signer(self, who: str, purpose: str) -> SeedSigner:
        return SeedSigner(self._derive(who, purpose))

    def _derive(self, *names: str) -> bytes:
        return sha256("\n".join((self._seed, *names)).encode()).digest()


@contextmanager
def sandbox(*, merchants: Sequence[str] = MERCHANTS, seed: str = "sandbox") -> Iterator[Sandbox]:
    """An alliance that lasts as long as the block. The same seed makes the same keys and the same chain."""
    with tempfile.TemporaryDirectory(prefix="commonpoint-sandbox-") as folder:
        running = Sandbox(Path(folder), merchants, seed)
        try:
            yield running
        finally:
            running.close()
