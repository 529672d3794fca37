"""Members and opening balances sent to the ledger: as often as it takes, with one effect.

Nothing here remembers how far it came. Each line is one message for ever: its reference is worked out from
what will stand on the ledger anyway (the random pseudonym, the days, program and series), and the time it
says is that of the first run. So whoever was interrupted, wherever, begins again with the first line:
transactions that were signed before are sent again as they were, what the ledger has it answers as before,
and what it does not have it takes. A line that was imported with other points before is told, never added.

Customers are enrolled with the custody key, balances brought with the govern key, up to 1,000 a transaction.
Every answer is believed because it proves itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from contracts.messages import Enrol, ImportBalance
from ledger.codec import encode, sha256, to_base64url
from ledger.keys import Signer
from ledger.outcome import Outcome
from ledger.transaction import compute_digest, sign_transaction
from node.migration.balances import Balance
from node.migration.journal import Journal
from node.migration.members import Begun, MemberBook
from node.remote.connection import NodeRefused
from node.remote.submission import Submitter

BATCH_MESSAGES_MAX: Final = 1_000
_NOT_AFTER_MILLIS: Final = 600_000
_SIGN_ANEW: Final = frozenset({"EXPIRED", "KEY_NOT_VALID"})
_ENROLLED: Final = frozenset({"OK", "MEMBER_EXISTS"})
_BROUGHT: Final = frozenset({"OK", "ALREADY_DONE"})


class Difference(NamedTuple):
    """A line of the file that is not on the ledger."""

    line: int
    customer: str
    points: int
    code: str


class Reconciled:
    """What the file says against what the ledger took."""

    def __init__(self) -> None:
        self.lines = 0
        self.members = 0
        self.points = 0
        """In the file."""
        self.accepted_points = 0
        """On the ledger, by now, for these very lines."""
        self.differences: list[Difference] = []

    @property
    def missing_points(self) -> int:
        """What the differences come to."""
        return sum(each.points for each in self.differences)


class Import:
    """One import of one file."""

    def __init__(
        self,
        submitter: Submitter,
        book: MemberBook,
        journal: Journal,
        *,
        begun: Begun,
        chain: str,
        participant: str,
        custody: Signer,
        govern: Signer,
        now: Callable[[], int],
    ) -> None:
        self._submitter = submitter
        self._book = book
        self._journal = journal
        self._begun = begun
        self._chain = chain
        self._participant = participant
        self._custody = custody
        self._govern = govern
        self._now = now
        self._enrolled: set[str] = set()
        self.result = Reconciled()

    def run(self, balances: Iterable[Balance]) -> Iterator[int]:
        """Send all of them; answers after each batch how many lines are done.

        Raises `NodeRefused`, `SourceUnavailable` or `Unverified`: then nothing is lost, and it is run again.
        """
        waiting = iter(balances)
        while batch := list(islice(waiting, BATCH_MESSAGES_MAX)):
            self._send(batch)
            self.result.lines += len(batch)
            yield self.result.lines

    def _send(self, batch: Sequence[Balance]) -> None:
        # On the disk before the ledger hears of it: otherwise a crash could leave points of nobody.
        self._book.take_up(balance.customer for balance in batch)
        failed = self._enrol(batch)
        brought: list[tuple[Balance, ImportBalance]] = []
        for balance in batch:
            self.result.points += balance.points
            if balance.customer in failed:
                self._differ(balance, failed[balance.customer])
            elif balance.points:
                brought.append((balance, self._make_message(balance)))
        if not brought:
            return
        outcomes = self._submit([message for _, message in brought], self._govern)
        for (balance, _), outcome in zip(brought, outcomes, strict=True):
            if outcome.code in _BROUGHT:
                self.result.accepted_points += balance.points
            else:
                self._differ(balance, outcome.code)

    def _enrol(self, batch: Sequence[Balance]) -> dict[str, str]:
        """Every customer in the batch is a member; those that are not, with the code."""
        customers = [
            customer
            for customer in dict.fromkeys(balance.customer for balance in batch)
            if customer not in self._enrolled
        ]
        if not customers:
            return {}
        messages = [Enrol(member=self._find(customer)) for customer in customers]
        outcomes = self._submit(messages, self._custody)
        codes = {each: outcome.code for each, outcome in zip(customers, outcomes, strict=True)}
        failed = {customer: code for customer, code in codes.items() if code not in _ENROLLED}
        self._enrolled.update(customer for customer in customers if customer not in failed)
        self.result.members += len(customers) - len(failed)
        return failed

    def _make_message(self, balance: Balance) -> ImportBalance:
        member = self._find(balance.customer)
        return ImportBalance(
            earned_day=balance.earned_day,
            expires_day=balance.expires_day,
            member=member,
            occurred_at=self._begun.occurred_at,
            points=balance.points,
            program=self._begun.program,
            reference=make_reference(
                self._begun.program, self._begun.series, member, balance.earned_day, balance.expires_day
            ),
            series=self._begun.series,
        )

    def _submit(self, messages: Sequence[Any], signer: Signer) -> list[Outcome]:
        message_bytes = [encode(message) for message in messages]
        digest = compute_digest([sha256(each) for each in message_bytes])
        for sent in self._journal.find(digest):
            try:
                return self._submitter.submit(sent.restore(messages, message_bytes)).outcomes
            except NodeRefused as refusal:
                # Too late for this one, and the ledger does not have it: it is signed anew.
                if refusal.code not in _SIGN_ANEW:
                    raise
        transaction = sign_transaction(
            messages,
            chain=self._chain,
            sender=self._participant,
            transaction_id=f"import-{secrets.token_hex(16)}",
            not_after=self._now() + _NOT_AFTER_MILLIS,
            signer=signer,
        )
        self._journal.add(transaction)
        return self._submitter.submit(transaction).outcomes

    def _find(self, customer: str) -> str:
        return self._book.find(customer) or ""

    def _differ(self, balance: Balance, code: str) -> None:
        self.result.differences.append(Difference(balance.line, balance.customer, balance.points, code))


def make_reference(program: str, series: str, member: str, earned_day: int, expires_day: int) -> str:
    """The reference of an opening balance.

    It hides nothing and tells nothing: all that it is made of stands on the ledger beside it, and the
    pseudonym in it is random, so it leads no further than that does.
    """
    text = f"commonpoint/import/v1\n{program}\n{series}\n{member}\n{earned_day}\n{expires_day}"
    return f"import-{to_base64url(sha256(text.encode()))[:32]}"
