"""A participant's desk: what it asks of the ledger, sent through its own SDK client and proven.

Each has a client of its own, with its own keys and nobody else's. Households have wallets: they sign
for their key when they are enrolled, show a points code where they pay with points away from home, and agree
to each exchange. Whatever a desk returns has been verified by the SDK against the chain that was pinned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from merchant_sdk import AsyncMerchant, Committed, Quote, Statement, Wallet
from scripts.year import ledgerbook
from scripts.year.alliance import KEY_PURPOSES, SERIES, TERMS, derive, derive_text, get_seed
from scripts.year.story import Household, Visit

_LIFETIME_MILLIS: Final = 600_000
"""A transaction of the hour may still be taken so long after its end; the block comes at the end itself."""


class Order(NamedTuple):
    """One transaction to be: what a merchant asks with one of its keys in one block."""

    merchant: str
    purpose: str
    messages: list[Any]
    attempt: int = 1
    """The second is a checkout that was clicked twice."""


class Wallets:
    """Every household's wallet, seeded."""

    def __init__(self, chain: str) -> None:
        self._chain = chain
        self._wallets: dict[int, Wallet] = {}

    def get(self, household: Household) -> Wallet:
        """The household's wallet, made when it is first needed."""
        wallet = self._wallets.get(household.number)
        if wallet is None:
            wallet = Wallet(
                self._chain,
                member=household.member,
                seed=derive("wallet", household.number),
                randomness=_Drawn(household.number),
            )
            self._wallets[household.number] = wallet
        return wallet


class _Drawn:
    """What a wallet takes for random: one drawn number after the other, the same ones in every run."""

    def __init__(self, household: int) -> None:
        self._household = household
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return derive("nonce", self._household, self._count)[:size]


class Desk:
    """One participant at the ledger."""

    def __init__(
        self,
        participant: str,
        url: str,
        *,
        chain: str,
        clock: Callable[[], int],
        keys: Mapping[str, Any] | None = None,
    ) -> None:
        """``keys`` by purpose, where they are not the seeded ones."""
        self.participant = participant
        self._own = ledgerbook.OwnLines(participant)
        self._asked = 0
        self.shop = AsyncMerchant(
            participant,
            url,
            keys=keys or {purpose: get_seed(participant, purpose) for purpose in KEY_PURPOSES},
            chain=chain,
            program=participant if participant in TERMS else None,
            clock=clock,
            ids=self._make_id,
            # Each call is a transaction of its own: how many there are must not depend on who is quick.
            group_messages=1,
        )

    def _make_id(self) -> str:
        self._asked += 1
        return derive_text("call", self.participant, self._asked)

    def note(self, result: Committed[Any]) -> None:
        """An answer is in our books."""
        self._own.add(result)

    async def read_statement(self, window: int) -> Statement:
        """A window's statement, verified by the SDK, and held to what our own tills were told.

        Raises `StatementDisagrees`.
        """
        statement = await self.shop.statement(window)
        self._own.close(statement)
        return statement

    def get_example(self, source: str) -> ledgerbook.Order | None:
        """An order of the window closed last whose points this issuer has to pay us for."""
        return self._own.examples.get((source, self.participant, "redeem"))

    async def submit(self, order: Order, *, time: int) -> list[Committed[Any]]:
        """The proven results of an order, in its block at ``time``, one a message."""
        return await self.shop.submit(
            order.messages,
            transaction_id=derive_text("transaction", order.merchant, order.purpose, time, order.attempt),
            not_after=time + _LIFETIME_MILLIS,
        )

    async def quote(self, visit: Visit) -> Quote | None:
        """What the household's exchange would bring, or None where it wants none."""
        if visit.swap is None:
            return None
        swap = visit.swap
        return await self.shop.quote(
            program=swap.program, series=SERIES, target=swap.target, points=swap.points
        )
