"""The verbs of a merchant at the ledger, once: what `AsyncMerchant` is and what `Merchant` drives.

They differ in one thing only, what asking a result for its receipt gives: a receipt, or one to be awaited.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypedDict, TypeVar

from contracts.messages.enrolment import MemberKey
from ledger.log.policy import Policy, format_policy
from merchant_sdk.amounts import Amount
from merchant_sdk.client.connection import Connection
from merchant_sdk.client.core import Core, make_transaction_id
from merchant_sdk.errors import InvalidRequest
from merchant_sdk.outbox import Outbox
from merchant_sdk.points_code import PointsCode
from merchant_sdk.receipt import Receipt
from merchant_sdk.records import Evidence
from merchant_sdk.requests import make_earn, make_enrol, make_exchange, make_redeem, read_code
from merchant_sdk.results import Balance, Committed, HistoryEntry, Position, Quote, Resent
from merchant_sdk.settings import Key, read_settings
from merchant_sdk.transport import Transport
from merchant_sdk.wallet import Wallet, make_member_id

if TYPE_CHECKING:
    import httpx2

R = TypeVar("R")


class Options(TypedDict, total=False):
    """The keywords of a merchant. All of them may be left out, as far as the environment says them."""

    key: Key | None
    """The key of the order system (purpose `transact`), or a folder with a key file for each purpose."""
    keys: Mapping[str, Key] | None
    """Keys by purpose: transact, till, custody, govern."""
    chain: str | None
    """The chain string of the alliance: the anchor of all trust."""
    policy: Policy | str | bytes | None
    """A policy file; without one, epoch 0's follows from the chain."""
    outbox: str | os.PathLike[str] | None
    """Where signed transactions are kept; without a path, in memory, and gone with the process."""
    program: str | None
    """Our own program, where we issue several."""
    clock: Callable[[], int] | None
    """The ledger's time in milliseconds UTC, for simulations."""
    ids: Callable[[], str]
    """Makes transaction ids."""
    member_ids: Callable[[], str]
    """Makes the ids of new members."""
    lifetime_seconds: int | None
    """How long a signed transaction may wait to be taken."""
    timeout_seconds: float
    """How long a node may take to answer."""
    retries: int
    """How often what failed in passing is sent again."""
    group_seconds: float
    """How long a call may wait for company while another is under way."""
    http: httpx2.AsyncBaseTransport | None
    """Another way to carry requests, for tests and sandboxes."""


class Verbs(Generic[R]):
    """A participant at the ledger. Belongs to one event loop."""

    def __init__(
        self,
        participant: str | None = None,
        url: str | Sequence[str] | None = None,
        *,
        fetch_receipt: Callable[[int], R],
        key: Key | None = None,
        keys: Mapping[str, Key] | None = None,
        chain: str | None = None,
        policy: Policy | str | bytes | None = None,
        outbox: str | os.PathLike[str] | None = None,
        program: str | None = None,
        clock: Callable[[], int] | None = None,
        ids: Callable[[], str] = make_transaction_id,
        member_ids: Callable[[], str] = make_member_id,
        lifetime_seconds: int | None = None,
        timeout_seconds: float = 30.0,
        retries: int = 2,
        group_seconds: float = 0.005,
        http: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        settings = read_settings(
            participant=participant, url=url, key=key, keys=keys, chain=chain, policy=policy, outbox=outbox
        )
        self._member_ids = member_ids
        core = Core(
            participant=settings.participant,
            chain=settings.chain,
            signers=settings.signers,
            fetch_receipt=fetch_receipt,
            clock=clock,
            ids=ids,
            lifetime_seconds=lifetime_seconds,
        )
        transport = Transport(settings.urls, timeout_seconds=timeout_seconds, retries=retries, http=http)
        self._connection = Connection(
            settings,
            core=core,
            transport=transport,
            outbox=Outbox(settings.outbox),
            group_seconds=group_seconds,
            program=program,
        )

    @property
    def participant(self) -> str:
        """Our participant id."""
        return self._connection.core.participant

    @property
    def chain(self) -> str:
        """The chain string: what everything is held to."""
        return self._connection.core.chain

    async def enrol(self, member: str | Wallet | None = None, key: Wallet | MemberKey | None = None) -> str:
        """The id of a new member of ours, with a key of their own where given; a wallet brings both."""
        wallet = next((each for each in (member, key) if isinstance(each, Wallet)), None)
        if wallet is not None:
            if isinstance(member, str) and member != wallet.member:
                raise InvalidRequest("this wallet is another member's", member=member, wallet=wallet.member)
            member, key = wallet.member, wallet.possession()
        name = member if isinstance(member, str) else self._member_ids()
        await self._connection.ask(make_enrol(member=name, key=key if isinstance(key, MemberKey) else None))
        return name

    async def quote(self, *, program: str, series: str, target: str, points: int) -> Quote:
        """What exchanging up to ``points`` of a series would bring now."""
        return await self._connection.reader.get_quote(
            program=program, series=series, target=target, points=points
        )

    async def earn(
        self,
        member: str,
        amount: Amount,
        reference: str,
        *,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Committed[R]:
        """Points for a purchase of ``amount`` ("45.60"), net of what was paid with points.

        They are ours unless ``program`` says whose; the purchase was now unless ``occurred_at`` says when.
        """
        connection = self._connection
        program = program or await connection.get_program()
        message = make_earn(
            member=member, amount=amount, reference=reference, program=program, occurred_at=occurred_at
        )
        return await connection.ask(message, is_dated=occurred_at is not None)

    async def redeem(
        self,
        code: PointsCode | str,
        points: int,
        reference: str,
        *,
        program: str | None = None,
        amount: Amount | None = None,
        occurred_at: int | None = None,
    ) -> Committed[R]:
        """Take ``points`` in payment: with the points code a member shows, or from a member of ours by id.

        ``amount`` is the whole order's, where the issuer's ceilings depend on it.
        """
        connection = self._connection
        code = read_code(code)
        if isinstance(code, PointsCode):
            if program not in (None, code.program):
                raise InvalidRequest("this code is for other points", program=program, code=code.program)
            program = code.program
        program = program or await connection.get_program()
        message = make_redeem(
            code=code,
            points=points,
            reference=reference,
            program=program,
            amount=amount,
            occurred_at=occurred_at,
        )
        return await connection.ask(message, is_dated=occurred_at is not None)

    async def exchange(
        self, code: PointsCode | str, quote: Quote, reference: str, *, occurred_at: int | None = None
    ) -> Committed[R]:
        """Carry out the exchange quoted, with the member's consent (`Wallet.consent_for_exchange`)."""
        found = read_code(code)
        if not isinstance(found, PointsCode):
            raise InvalidRequest("an exchange needs the member's own consent", member=found)
        message = make_exchange(code=found, quote=quote, reference=reference, occurred_at=occurred_at)
        return await self._connection.ask(message, is_dated=occurred_at is not None)

    async def submit(
        self,
        messages: Sequence[Any],
        *,
        transaction_id: str | None = None,
        not_after: int | None = None,
        atomic: bool = False,
    ) -> list[Committed[R]]:
        """One result a message (`contracts.messages`), turned down or not, as a transaction of their own."""
        return await self._connection.submit(
            messages, transaction_id=transaction_id, not_after=not_after, atomic=atomic
        )

    async def flush(self) -> list[Resent[R]]:
        """What came of everything in the outbox that was not known to be committed. Ask at every start."""
        return await self._connection.flush()

    async def balances(self, member: str, *, min_height: int | None = None) -> list[Balance]:
        """A member's accounts, as far as we may see them."""
        return await self._connection.reader.list_balances(member, None, min_height)

    async def balance(
        self, member: str, program: str | None = None, *, min_height: int | None = None
    ) -> Balance:
        """A member's account in one program, ours unless told; one that was never used is empty."""
        name = program or await self._connection.get_program()
        rows = await self._connection.reader.list_balances(member, name, min_height)
        empty = Balance(member=member, program=name, points=0, available=0, held=0, height=0)
        return next((row for row in rows if row.program == name), empty)

    async def history(self, member: str, program: str | None = None) -> AsyncIterator[HistoryEntry]:
        """A member's entries, newest first, fetched as they are asked for."""
        before: int | None = None
        while True:
            page = await self._connection.reader.get_history_page(member, program, before)
            for entry in page.read():
                yield entry
            if page.next is None:
                return
            before = page.next

    async def order(self, reference: str) -> list[HistoryEntry]:
        """Every entry of ours under this reference, oldest first."""
        return await self._connection.reader.list_order(reference)

    async def positions(self) -> list[Position]:
        """What we are owed, less what we owe."""
        return await self._connection.reader.list_positions()

    async def receipt(self, index: int) -> Receipt:
        """The receipt of an entry, verified, of the history we trust. Keep its `data`."""
        return await self._connection.fetch_receipt(index)

    async def policy(self) -> str:
        """The policy file by which receipts are verified offline."""
        return format_policy(await self._connection.get_policy()).decode("utf-8", "surrogateescape")

    def list_evidence(self) -> list[Evidence]:
        """Signed notes of the log that contradicted each other, if that was ever found."""
        return self._connection.outbox.list_evidence()

    def count_waiting(self) -> int:
        """How many transactions of the outbox are not known to be committed."""
        return self._connection.outbox.count_waiting(self.participant)

    async def connect(self) -> Self:
        """The chain is reached and is the pinned one; every verb does this by itself at first."""
        await self._connection.open()
        return self

    async def close(self) -> None:
        """What was asked is answered, then everything is closed."""
        await self._connection.close()
