"""Settling together: the verbs of `merchant_sdk.client.clearing`, blocking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from merchant_sdk.amounts import Amount
from merchant_sdk.client.blocking import Blocking, Done
from merchant_sdk.statement import Statement
from merchant_sdk.windows import Exposure, Window, Windows


class BlockingClearing(Blocking):
    """The verbs by which windows are closed and paid."""

    def cut_window(self, effective_height: int | None = None) -> Done:
        """The open window ends before this height, a few blocks ahead unless told. For the operator."""
        return self._run(self._verbs.cut_window(effective_height))

    def countersign(
        self,
        window: int | Statement,
        verdict: Literal["agree", "dispute"],
        *,
        lines: Sequence[int] = (),
    ) -> Done:
        """What we say of a window's statement: that it is right, or which of our ``lines`` are not.

        The statement is fetched unless you give the `Statement` that you have read. Before we agree it is
        verified against itself and the one before it: `Unverified`, and nothing is signed, where it is wrong.
        Who has disputed may agree later.
        """
        return self._run(self._verbs.countersign(window, verdict, lines=lines))

    def attest_payment(self, window: int, transfer: int, bank_reference: str) -> Done:
        """We have paid this transfer of a window, or have been paid it: with our bank's reference.

        ``transfer`` is its number: its place among the statement's.
        """
        return self._run(self._verbs.attest_payment(window, transfer, bank_reference))

    def attest_cover(self, participant: str, cover: Amount, *, expires: int, reserve: Amount = "0") -> Done:
        """What stands behind a participant's debts ("5000.00") until ``expires``. For the trustee."""
        return self._run(self._verbs.attest_cover(participant, cover, expires=expires, reserve=reserve))

    def attest_fund(self, fund: Amount) -> Done:
        """What the alliance's own fund holds. For the trustee."""
        return self._run(self._verbs.attest_fund(fund))

    def set_brand_shares(self, shares: Mapping[str, int]) -> Done:
        """How what we are paid is split among our brands from the next cut on: brand → parts, in order."""
        return self._run(self._verbs.set_brand_shares(shares))

    def windows(self) -> Windows:
        """The open window with what it has come to for us, and those that were cut, newest first."""
        return self._run(self._verbs.windows())

    def window(self, window: int) -> Window:
        """A window that was cut: who has signed it, who disputes, and what has been paid."""
        return self._run(self._verbs.window(window))

    def statement(self, window: int) -> Statement:
        """A window's statement, verified against itself and against the one before it. Keep its `data`."""
        return self._run(self._verbs.statement(window))

    def exposures(self) -> list[Exposure]:
        """What everybody owes that is not settled, and how much of their limit that is."""
        return self._run(self._verbs.exposures())
