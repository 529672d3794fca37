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
from typing import Any, Final, get_args

from msgspec import UNSET

from contracts.mechanics.settlement_records import OPEN_WINDOW
from contracts.messages import CutWindow, Grant, OpenProgram, OpenSeries, SetBrandShares
from contracts.rulebook import CURRENT_VERSION
from ledger.codec import to_base64url
from ledger.genesis import (
    Constitution,
    Genesis,
    GenesisKey,
    GenesisParticipant,
    Voter,
    VotingKind,
    VotingRule,
    encode_genesis,
)
from ledger.keys import SeedSigner
from merchant_sdk import AsyncMerchant, Merchant, Wallet
from node.api.app import make_app
from node.core import NodeCore, get_system_time
from node.feed import Feed
from node.sandbox_line import SandboxClock, SandboxLine
from node.tokens import TokenIssuer
from node.webhooks.delivery import Webhooks

OPERATOR: Final = "alliance"
MERCHANTS: Final = ("fresh", "petrol", "pharmacy", "cinema")
URL: Final = "http://127.0.0.1"
_PURPOSES: Final = ("govern", "transact", "till", "custody")
_GRANTS: Final = ("earn", "redeem", "exchange_out", "exchange_in")
_START: Final = 1_767_225_600_000  # 2026-01-01 UTC
_BUDGET: Final = 10**12
_MORE_THAN_HALF: Final = 5_001


def make_constitution(
    voters: Sequence[str] = MERCHANTS,
    *,
    approve_basis_points: int = _MORE_THAN_HALF,
    notice_heights: int = 0,
    trustee: str = OPERATOR,
) -> Constitution:
    """A constitution in which each of these has one vote and every kind of decision takes as much."""
    return Constitution(
        minimum_voters=1,
        rules=[
            VotingRule(approve_basis_points, kind, notice_heights) for kind in sorted(get_args(VotingKind))
        ],
        trustee=trustee,
        voters=[Voter(name, 1) for name in sorted(voters)],
    )


class Sandbox:
    """A running alliance.

    An operator, merchants each with a program of its own name, grants among all of them.
    """

    def __init__(
        self, folder: Path, merchants: Sequence[str], seed: str, constitution: Constitution | None = None
    ) -> None:
        self._constitution = constitution
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
        self._line = SandboxLine(make_app(self.core, tokens=tokens, feed=feed, webhooks=self._webhooks))
        self._wallets = 0
        self._clerk: Merchant | None = None
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

    def pass_blocks(self, count: int = 1) -> int:
        """So many blocks are made in which nothing happens but what was due; the height of the last."""
        height = 0
        for _ in range(count):
            # No block is made of nothing. That the operator has no brands changes nothing.
            (done,) = self._operator().submit([SetBrandShares(shares=[])])
            height = done.height
        return height

    def cut_window(self) -> int:
        """The open settlement window is cut and stated; its number."""
        before = self.core.get_record(OPEN_WINDOW, OPEN_WINDOW)
        (named,) = self._operator().submit([CutWindow(effective_height=self.core.head.height + 2)])
        error = named.get_error()
        if error is not None:
            raise error
        self.pass_blocks()
        return before.number if before else 1

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

    def _operator(self) -> Merchant:
        if self._clerk is None:
            self._clerk = self.merchant(OPERATOR)
        return self._clerk

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
            constitution=self._constitution or UNSET,
            currency="CNY",
            engine="solo",
            log_key=to_base64url(self._make_signer("log", "log").public),
            name="sandbox",
            operator=OPERATOR,
            parameters=[],
            rulebook=CURRENT_VERSION,
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
def sandbox(
    *,
    merchants: Sequence[str] = MERCHANTS,
    seed: str = "sandbox",
    constitution: Constitution | None = None,
) -> Iterator[Sandbox]:
    """An alliance that lasts as long as the block. The same seed makes the same keys and the same chain.

    With a ``constitution`` (`make_constitution`) merchants vote; without one the operator decides alone.
    """
    with tempfile.TemporaryDirectory(prefix="commonpoint-sandbox-") as folder:
        running = Sandbox(Path(folder), merchants, seed, constitution)
        try:
            yield running
        finally:
            running.close()
