"""The verbs of a merchant at the ledger, once: what `AsyncMerchant` is and what `Merchant` drives.

They differ in one thing only: what asking a result for its receipt, or a hold for its capture, gives. That is
the thing itself, or one to be awaited.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self

from contracts.messages.enrolment import AddMemberKey, MemberKey
from ledger.log.policy import Policy
from merchant_sdk.client.asking import C, R
from merchant_sdk.client.clearing import ClearingVerbs
from merchant_sdk.client.connection import Connection
from merchant_sdk.client.core import Core, make_transaction_id
from merchant_sdk.client.earning import EarningVerbs
from merchant_sdk.client.endpoints import EndpointVerbs
from merchant_sdk.client.enquiries import EnquiryVerbs
from merchant_sdk.client.governing import GoverningVerbs
from merchant_sdk.client.grouping import GROUP_MESSAGES, GROUP_SECONDS, Grouping
from merchant_sdk.client.limits import LimitVerbs
from merchant_sdk.client.offline import OfflineVerbs
from merchant_sdk.client.promise_verbs import PromiseVerbs
from merchant_sdk.client.spending import SpendingVerbs
from merchant_sdk.errors import InvalidRequest
from merchant_sdk.outbox import Outbox
from merchant_sdk.requests import make_enrol
from merchant_sdk.results import Committed, Resent
from merchant_sdk.settings import Key, read_settings
from merchant_sdk.transport import Transport
from merchant_sdk.wallet import Wallet, make_member_id

if TYPE_CHECKING:
    import httpx2


class Verbs(
    EarningVerbs[R, C],
    SpendingVerbs[R, C],
    LimitVerbs[R, C],
    EnquiryVerbs[R, C],
    OfflineVerbs[R, C],
    EndpointVerbs[R, C],
    GoverningVerbs[R, C],
    ClearingVerbs[R, C],
    PromiseVerbs[R, C],
):
    """A participant at the ledger. Belongs to one event loop."""

    def __init__(
        self,
        participant: str | None = None,
        url: str | Sequence[str] | None = None,
        *,
        fetch_receipt: Callable[[int], R],
        capture_with: Callable[..., C],
        release_with: Callable[..., C],
        settle_with: Callable[..., C],
        wait_with: Callable[[int, float], Any],
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
        group_seconds: float = GROUP_SECONDS,
        group_messages: int = GROUP_MESSAGES,
        promise_seconds: float | None = None,
        http: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        settings = read_settings(
            participant=participant, url=url, key=key, keys=keys, chain=chain, policy=policy, outbox=outbox
        )
        self._member_ids = member_ids
        self._capture_with = capture_with
        self._release_with = release_with
        self._settle_with = settle_with
        self._outbox_path = settings.outbox
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
            grouping=Grouping(seconds=group_seconds, messages=group_messages),
            program=program,
            wait_with=wait_with,
            promise_seconds=promise_seconds,
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

    async def add_member_key(self, member: str, key: Wallet | MemberKey) -> Committed[R]:
        """A member of ours who had no key has this one; a phone sends what its `Wallet.possession` gave."""
        if isinstance(key, Wallet):
            if member != key.member:
                raise InvalidRequest("this wallet is another member's", member=member, wallet=key.member)
            key = key.possession()
        return await self._connection.ask(AddMemberKey(key=key, member=member))

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

    async def submit_all(self, messages: Iterable[Any]) -> AsyncIterator[Committed[R]]:
        """One result a message, in their order, turned down or not: as many transactions as it takes.

        Several are under way at once, so what one message needs of another is not to be counted on. Raises
        where a transaction does not go well: those after the last result are then to be asked for again.
        """
        async with aclosing(self._connection.submit_all(messages)) as groups:
            async for results in groups:
                for result in results:
                    yield result

    async def flush(self) -> list[Resent[R]]:
        """What came of everything in the outbox that was not known to be committed. Ask at every start.

        A line that fails is no error here: what stays open says so in its `Resent.error`.
        """
        return await self._connection.flush()

    async def connect(self) -> Self:
        """The chain is reached and is the pinned one; every verb does this by itself at first."""
        await self._connection.open()
        return self

    async def close(self) -> None:
        """What was asked is answered, then everything is closed."""
        await self._connection.close()
        if self._till_store is not None:
            self._till_store.close()
