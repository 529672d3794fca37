"""Settling together: a window is cut, its statement read, checked and countersigned, its transfers attested.

Nothing is agreed to unseen: before we sign that a statement is right, its bytes, its arithmetic and its place
behind the statement before are checked here. Whether our own lines are right is for our books to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import UNSET

from contracts.messages import (
    AttestCover,
    AttestFund,
    AttestPayment,
    Countersign,
    CutWindow,
    SetBrandShares,
)
from contracts.messages.settlement import BrandShare
from merchant_sdk.amounts import Amount, get_micros
from merchant_sdk.client.alliance import ask_alliance
from merchant_sdk.client.asking import Asking, C, R
from merchant_sdk.client.governing import HEIGHTS_AHEAD
from merchant_sdk.errors import Unverified
from merchant_sdk.results import Committed
from merchant_sdk.statement import Statement
from merchant_sdk.windows import Exposure, Window, Windows


class ClearingVerbs(Asking[R, C]):
    """The verbs by which windows are closed and paid."""

    async def cut_window(self, effective_height: int | None = None) -> Committed[R]:
        """The open window ends before this height, a few blocks ahead unless told. For the operator."""
        if effective_height is None:
            effective_height = (await ask_alliance(self._connection).get_windows()).height + HEIGHTS_AHEAD
        return await self._connection.ask(CutWindow(effective_height=effective_height))

    async def countersign(
        self,
        window: int | Statement,
        verdict: Literal["agree", "dispute"],
        *,
        lines: Sequence[int] = (),
    ) -> Committed[R]:
        """What we say of a window's statement: that it is right, or which of our ``lines`` are not.

        The statement is fetched unless you give the `Statement` that you have read. Before we agree it is
        verified against itself and the one before it: `Unverified`, and nothing is signed, where it is wrong.
        Who has disputed may agree later.
        """
        found = window if isinstance(window, Statement) else await self._get_statement(window)
        if verdict == "agree":
            await self._verify(found)
        message = Countersign(
            lines=list(lines) or UNSET,
            statement=found.hash,
            verdict=verdict,
            window=found.window,
        )
        return await self._connection.ask(message)

    async def attest_payment(self, window: int, transfer: int, bank_reference: str) -> Committed[R]:
        """We have paid this transfer of a window, or have been paid it: with our bank's reference.

        ``transfer`` is its number: its place among the statement's.
        """
        message = AttestPayment(bank_reference=bank_reference, transfer=transfer, window=window)
        return await self._connection.ask(message)

    async def attest_cover(
        self, participant: str, cover: Amount, *, expires: int, reserve: Amount = "0"
    ) -> Committed[R]:
        """What stands behind a participant's debts ("5000.00") until ``expires``. For the trustee."""
        message = AttestCover(
            cover=get_micros(cover),
            expires=expires,
            participant=participant,
            reserve=get_micros(reserve),
        )
        return await self._connection.ask(message)

    async def attest_fund(self, fund: Amount) -> Committed[R]:
        """What the alliance's own fund holds. For the trustee."""
        return await self._connection.ask(AttestFund(fund=get_micros(fund)))

    async def set_brand_shares(self, shares: Mapping[str, int]) -> Committed[R]:
        """How what we are paid is split among our brands from the next cut on: brand → parts, in order."""
        listed = [BrandShare(brand=brand, parts=parts) for brand, parts in shares.items()]
        return await self._connection.ask(SetBrandShares(shares=listed))

    async def windows(self) -> Windows:
        """The open window with what it has come to for us, and those that were cut, newest first."""
        return await ask_alliance(self._connection).get_windows()

    async def window(self, window: int) -> Window:
        """A window that was cut: who has signed it, who disputes, and what has been paid."""
        return await ask_alliance(self._connection).get_window(window)

    async def statement(self, window: int) -> Statement:
        """A window's statement, verified against itself and against the one before it. Keep its `data`."""
        found = await self._get_statement(window)
        await self._verify(found)
        return found

    async def exposures(self) -> list[Exposure]:
        """What everybody owes that is not settled, and how much of their limit that is."""
        return await ask_alliance(self._connection).list_exposures()

    async def _get_statement(self, window: int) -> Statement:
        found = await ask_alliance(self._connection).get_statement(window)
        if found.window != window:
            raise Unverified("STATEMENT_DIFFERS", facts={"asked": window, "found": found.window})
        return found

    async def _verify(self, found: Statement) -> None:
        chain = self._connection.core.chain
        if found.content.chain != chain:
            raise Unverified("STATEMENT_DIFFERS", facts={"expected": chain, "found": found.content.chain})
        previous = None if found.window == 1 else await self._get_statement(found.window - 1)
        found.verify(previous)
