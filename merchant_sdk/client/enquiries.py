"""What a participant may look up. Reading sees what was written: a node is asked for an answer that knows of
everything this merchant was told is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from ledger.log.policy import format_policy
from merchant_sdk.client.asking import Asking, C, R
from merchant_sdk.policies import Policies
from merchant_sdk.programs import Program
from merchant_sdk.receipt import Receipt
from merchant_sdk.records import Evidence
from merchant_sdk.results import Balance, HistoryEntry, Position

FOLLOW_SECONDS: Final = 1.0
"""So long whoever follows waits before the next look."""


class EnquiryVerbs(Asking[R, C]):
    """The verbs that move nothing."""

    async def balances(self, member: str, *, min_height: int | None = None) -> list[Balance]:
        """A member's accounts, as far as we may see them."""
        return await self._connection.reader.list_balances(member, None, self._wait_for(min_height))

    async def balance(
        self, member: str, program: str | None = None, *, min_height: int | None = None
    ) -> Balance:
        """A member's account in one program, ours unless told; one that was never used is empty."""
        name = await self._get_program(program)
        rows = await self._connection.reader.list_balances(member, name, self._wait_for(min_height))
        empty = Balance(member=member, program=name, points=0, available=0, held=0, height=0)
        return next((row for row in rows if row.program == name), empty)

    async def history(self, member: str, program: str | None = None) -> AsyncIterator[HistoryEntry]:
        """A member's entries, newest first, fetched as they are asked for."""
        before: int | None = None
        while True:
            page = await self._connection.reader.get_history_page(
                member, program, before, self._wait_for(None)
            )
            for entry in page.read():
                yield entry
            if page.next is None:
                return
            before = page.next

    async def events(self, after: int = 0, *, follow: bool = False) -> AsyncIterator[HistoryEntry]:
        """Everything that concerns us behind the index ``after``, oldest first, each entry once.

        Keep the `index` of the last one you are done with: it is where to go on. With ``follow`` it waits for
        more and never ends; else it ends with what is there.
        """
        reader = self._connection.reader
        while True:
            page = await reader.get_events_page(after, self._wait_for(None))
            for entry in page.read():
                yield entry
            after = page.next
            if after + 1 >= page.size:
                if not follow:
                    return
                await asyncio.sleep(FOLLOW_SECONDS)

    async def order(self, reference: str) -> list[HistoryEntry]:
        """Every entry of ours that names this number, oldest first: earned, spent, captured, returned."""
        return await self._connection.reader.list_order(reference, self._wait_for(None))

    async def program(self, program: str | None = None) -> Program:
        """A program's pars and policy, ours unless told: what its points are worth, how they are spent."""
        return await self._connection.reader.get_program(await self._get_program(program))

    async def positions(self) -> list[Position]:
        """What we are owed, less what we owe."""
        return await self._connection.reader.list_positions(self._wait_for(None))

    async def receipt(self, index: int) -> Receipt:
        """The receipt of an entry, verified, of the history we trust. Keep its `data`."""
        return await self._connection.fetch_receipt(index)

    async def wait_witnessed(self, index: int, timeout_seconds: float = 60.0) -> Receipt:
        """The receipt of an entry as soon as enough witnesses of the policy in force have cosigned it.

        Raises `RefusedByNode` ``NOT_WITNESSED`` after so long. Without a quorum there is nothing to wait for.
        """
        return await self._connection.wait_witnessed(index, timeout_seconds)

    async def policy(self) -> str:
        """The policy file by which receipts are verified offline."""
        return format_policy(await self._connection.get_policy()).decode("utf-8", "surrogateescape")

    async def policies(self) -> Policies:
        """That policy and those that followed or follow from it, as far as we know: its ``text`` verifies
        receipts of any epoch.
        """
        return await self._connection.get_policies()

    def list_evidence(self) -> list[Evidence]:
        """Signed notes of the log that contradicted each other, if that was ever found."""
        return self._connection.outbox.list_evidence()

    def count_waiting(self) -> int:
        """How many transactions of the outbox are not known to be committed."""
        return self._connection.outbox.count_waiting(self._connection.core.participant)

    def _wait_for(self, min_height: int | None) -> int:
        """The height asked for, or that of the last we were told is done."""
        return self._connection.core.height if min_height is None else min_height
