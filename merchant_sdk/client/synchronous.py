"""The same verbs for programs without an event loop, from as many threads as there are tills.

    with Merchant("fresh", url, key=seed, chain="alliance/5f…", outbox="outbox.db") as shop:
        done = shop.earn(member, "45.60", reference="A-1029")
        print(done.points, done.balance)

One thread of its own runs the event loop behind all of them, so calls that many threads make at once still
travel as one signed transaction. A `Merchant` is made after a fork, never before.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from contracts.messages.enrolment import MemberKey
from merchant_sdk.amounts import Amount
from merchant_sdk.client.verbs import Options, Verbs
from merchant_sdk.errors import ConfigurationError
from merchant_sdk.points_code import PointsCode
from merchant_sdk.receipt import Receipt
from merchant_sdk.records import Evidence
from merchant_sdk.results import Balance, Committed, HistoryEntry, Position, Quote, Resent
from merchant_sdk.wallet import Wallet

T = TypeVar("T")


class Merchant:
    """A participant at the ledger. Any thread may call."""

    def __init__(
        self,
        participant: str | None = None,
        url: str | Sequence[str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._process = os.getpid()
        self._verbs: Verbs[Receipt] = Verbs(participant, url, fetch_receipt=self.receipt, **options)
        self._loop = asyncio.new_event_loop()
        # A program that ends without closing must not hang on a thread that waits for work.
        self._thread = threading.Thread(target=self._loop.run_forever, name="commonpoint", daemon=True)
        self._thread.start()

    @property
    def participant(self) -> str:
        """Our participant id."""
        return self._verbs.participant

    @property
    def chain(self) -> str:
        """The chain string: what everything is held to."""
        return self._verbs.chain

    def enrol(self, member: str | Wallet | None = None, key: Wallet | MemberKey | None = None) -> str:
        """The id of a new member of ours, with a key of their own where given; a wallet brings both."""
        return self._run(self._verbs.enrol(member, key))

    def quote(self, *, program: str, series: str, target: str, points: int) -> Quote:
        """What exchanging up to ``points`` of a series would bring now."""
        return self._run(self._verbs.quote(program=program, series=series, target=target, points=points))

    def earn(
        self,
        member: str,
        amount: Amount,
        reference: str,
        *,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Committed[Receipt]:
        """Points for a purchase of ``amount`` ("45.60"), net of what was paid with points.

        They are ours unless ``program`` says whose; the purchase was now unless ``occurred_at`` says when.
        """
        return self._run(
            self._verbs.earn(member, amount, reference, program=program, occurred_at=occurred_at)
        )

    def redeem(
        self,
        code: PointsCode | str,
        points: int,
        reference: str,
        *,
        program: str | None = None,
        amount: Amount | None = None,
        occurred_at: int | None = None,
    ) -> Committed[Receipt]:
        """Take ``points`` in payment: with the points code a member shows, or from a member of ours by id.

        ``amount`` is the whole order's, where the issuer's ceilings depend on it.
        """
        return self._run(
            self._verbs.redeem(
                code, points, reference, program=program, amount=amount, occurred_at=occurred_at
            )
        )

    def exchange(
        self, code: PointsCode | str, quote: Quote, reference: str, *, occurred_at: int | None = None
    ) -> Committed[Receipt]:
        """Carry out the exchange quoted, with the member's consent (`Wallet.consent_for_exchange`)."""
        return self._run(self._verbs.exchange(code, quote, reference, occurred_at=occurred_at))

    def submit(
        self,
        messages: Sequence[Any],
        *,
        transaction_id: str | None = None,
        not_after: int | None = None,
        atomic: bool = False,
    ) -> list[Committed[Receipt]]:
        """One result a message (`contracts.messages`), turned down or not, as a transaction of their own."""
        return self._run(
            self._verbs.submit(messages, transaction_id=transaction_id, not_after=not_after, atomic=atomic)
        )

    def flush(self) -> list[Resent[Receipt]]:
        """What came of everything in the outbox that was not known to be committed. Ask at every start."""
        return self._run(self._verbs.flush())

    def balances(self, member: str, *, min_height: int | None = None) -> list[Balance]:
        """A member's accounts, as far as we may see them."""
        return self._run(self._verbs.balances(member, min_height=min_height))

    def balance(self, member: str, program: str | None = None, *, min_height: int | None = None) -> Balance:
        """A member's account in one program, ours unless told; one that was never used is empty."""
        return self._run(self._verbs.balance(member, program, min_height=min_height))

    def history(self, member: str, program: str | None = None) -> Iterator[HistoryEntry]:
        """A member's entries, newest first, fetched as they are asked for."""
        entries = self._verbs.history(member, program)
        while (entry := self._run(_get_next(entries))) is not None:
            yield entry

    def order(self, reference: str) -> list[HistoryEntry]:
        """Every entry of ours under this reference, oldest first."""
        return self._run(self._verbs.order(reference))

    def positions(self) -> list[Position]:
        """What we are owed, less what we owe."""
        return self._run(self._verbs.positions())

    def receipt(self, index: int) -> Receipt:
        """The receipt of an entry, verified, of the history we trust. Keep its `data`."""
        return self._run(self._verbs.receipt(index))

    def policy(self) -> str:
        """The policy file by which receipts are verified offline."""
        return self._run(self._verbs.policy())

    def list_evidence(self) -> list[Evidence]:
        """Signed notes of the log that contradicted each other, if that was ever found."""
        return self._verbs.list_evidence()

    def count_waiting(self) -> int:
        """How many transactions of the outbox are not known to be committed."""
        return self._verbs.count_waiting()

    def connect(self) -> Self:
        """The chain is reached and is the pinned one; every verb does this by itself at first."""
        self._run(self._verbs.connect())
        return self

    def close(self) -> None:
        """What was asked is answered, then everything is closed."""
        if self._loop.is_closed():
            return
        self._run(self._verbs.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        fault = None
        if self._loop.is_closed():
            fault = "this merchant is closed"
        elif os.getpid() != self._process:
            fault = "make a Merchant after the fork: its thread stayed with the parent"
        elif threading.get_ident() == self._thread.ident:
            fault = "called from inside its own event loop; use AsyncMerchant there"
        if fault is not None:
            work.close()
            raise ConfigurationError(fault)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            # Whoever pressed the key no longer waits; what was not sent yet is not sent.
            future.cancel()
            raise


async def _get_next(entries: AsyncIterator[HistoryEntry]) -> HistoryEntry | None:
    return await anext(entries, None)
