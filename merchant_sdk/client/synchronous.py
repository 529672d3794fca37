"""The same verbs for programs without an event loop, from as many threads as there are tills.

    with Merchant("fresh", url, key=seed, chain="alliance/5f…", outbox="outbox.db") as shop:
        done = shop.earn(member, "45.60", reference="A-1029")
        print(done.points, done.balance)

One thread of its own runs the event loop behind all of them, so calls that many threads make at once still
travel as one signed transaction. A `Merchant` is made after a fork, never before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from contracts.messages.enrolment import MemberKey
from merchant_sdk.client.blocking import Done
from merchant_sdk.client.blocking_clearing import BlockingClearing
from merchant_sdk.client.blocking_earning import BlockingEarning
from merchant_sdk.client.blocking_enquiries import BlockingEnquiries
from merchant_sdk.client.blocking_governing import BlockingGoverning
from merchant_sdk.client.blocking_offline import BlockingOffline
from merchant_sdk.client.blocking_promises import BlockingPromises
from merchant_sdk.client.blocking_spending import BlockingSpending
from merchant_sdk.client.options import Options
from merchant_sdk.client.verbs import Verbs
from merchant_sdk.receipt import Receipt
from merchant_sdk.results import Resent
from merchant_sdk.wallet import Wallet


class Merchant(
    BlockingEarning,
    BlockingSpending,
    BlockingEnquiries,
    BlockingOffline,
    BlockingGoverning,
    BlockingClearing,
    BlockingPromises,
):
    """A participant at the ledger. Any thread may call."""

    def __init__(
        self,
        participant: str | None = None,
        url: str | Sequence[str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        self._verbs = Verbs(
            participant,
            url,
            fetch_receipt=self.receipt,
            capture_with=self.capture,
            release_with=self.release,
            settle_with=self.settle_allowance,
            wait_with=self.wait_witnessed,
            **options,
        )
        self._start()

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

    def add_member_key(self, member: str, key: Wallet | MemberKey) -> Done:
        """A member of ours who had no key has this one; a phone sends what its `Wallet.possession` gave."""
        return self._run(self._verbs.add_member_key(member, key))

    def submit(
        self,
        messages: Sequence[Any],
        *,
        transaction_id: str | None = None,
        not_after: int | None = None,
        atomic: bool = False,
    ) -> list[Done]:
        """One result a message (`contracts.messages`), turned down or not, as a transaction of their own."""
        return self._run(
            self._verbs.submit(messages, transaction_id=transaction_id, not_after=not_after, atomic=atomic)
        )

    def submit_all(self, messages: Iterable[Any]) -> Iterator[Done]:
        """One result a message, in their order, turned down or not: as many transactions as it takes.

        Several are under way at once, so what one message needs of another is not to be counted on. Raises
        where a transaction does not go well: those after the last result are then to be asked for again.
        """
        # A transaction's results at a time: a step from thread to thread costs more than a message does.
        groups = self._verbs._connection.submit_all(messages)  # noqa: SLF001  # of the same merchant
        for results in self._walk(groups):
            yield from results

    def flush(self) -> list[Resent[Receipt]]:
        """What came of everything in the outbox that was not known to be committed. Ask at every start.

        A line that fails is no error here: what stays open says so in its `Resent.error`.
        """
        return self._run(self._verbs.flush())

    def connect(self) -> Self:
        """The chain is reached and is the pinned one; every verb does this by itself at first."""
        self._run(self._verbs.connect())
        return self

    def close(self) -> None:
        """What was asked is answered, then everything is closed."""
        self._stop()

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
