"""What both faces of the SDK share, without a socket, a file or a thread: dates and signs, and reads what was
proven.

`Core` knows who we are, on which chain, with which keys, and what time the ledger keeps. On a chain with the
system's clock that is this machine's, corrected where a node tells us that it is wrong; a simulated chain is
told its time, so there it is the time of the last block we heard of. A clock given by the caller wins over
both.

It never says that something is committed: `merchant_sdk.trust` does.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from contracts.messages import Message
from ledger.calendar import get_day
from ledger.errors import Refused
from ledger.genesis import Origin
from ledger.keys import Signer
from ledger.transaction import Transaction, TransactionDecoder, sign_transaction
from ledger.values import MESSAGES_MAX, TRANSACTION_BYTES_MAX
from merchant_sdk.claims import Proven
from merchant_sdk.errors import ConfigurationError, InvalidRequest, RefusedByNode, Unverified
from merchant_sdk.records import Pending
from merchant_sdk.requests import choose_purposes
from merchant_sdk.results import OUTCOME_DECODER, Committed

R = TypeVar("R")

LIFETIME_SECONDS: Final = 600
SIMULATED_LIFETIME_SECONDS: Final = 3_600
"""A simulated chain may jump by an hour, the longest a transaction may live."""
HEADER_BYTES_MAX: Final = 1_024
"""More than the header, the signature and the brackets around them ever take."""
MESSAGE_BYTES_MAX: Final = TRANSACTION_BYTES_MAX - HEADER_BYTES_MAX
_DECODER: Final = TransactionDecoder(Message)


class Signed(NamedTuple):
    """A signed transaction, and what of it the outbox keeps."""

    transaction: Transaction
    pending: Pending

    @classmethod
    def make(cls, transaction: Transaction, data: bytes) -> Signed:
        """The transaction and its canonical bytes."""
        header = transaction.header
        return cls(transaction, Pending(header.sender, header.id, data, header.not_after))

    @classmethod
    def read(cls, pending: Pending) -> Signed:
        """A transaction as it was stored."""
        try:
            return cls(_DECODER.decode(pending.data), pending)
        except Refused as refusal:
            raise ConfigurationError(
                "the outbox holds what this SDK cannot read", reason=str(refusal)
            ) from None

    @property
    def id(self) -> str:
        """The transaction id."""
        return self.pending.id


def get_system_time() -> int:
    """Milliseconds UTC of this machine."""
    return time.time_ns() // 1_000_000


def make_transaction_id() -> str:
    """A new transaction id: 128 random bits."""
    return secrets.token_hex(16)


class Core(Generic[R]):
    """Who we are on one chain, and how we sign and read there."""

    def __init__(
        self,
        *,
        participant: str,
        chain: str,
        signers: Mapping[str, Signer],
        fetch_receipt: Callable[[int], R],
        clock: Callable[[], int] | None = None,
        ids: Callable[[], str] = make_transaction_id,
        lifetime_seconds: int | None = None,
    ) -> None:
        self.participant = participant
        self.chain = chain
        self.signers = signers
        self.ids = ids
        self._fetch_receipt = fetch_receipt
        self._clock = clock
        self._lifetime_seconds = lifetime_seconds
        self._is_simulated = False
        self._time = 0
        """The time of the last block we heard of."""
        self.height = 0
        """The height of the highest block that took something of ours: what reading waits for."""
        self._utc_offset_minutes = 0
        self._skew_millis = 0
        self._ahead_millis: int | None = None
        """How far ahead this ledger lets a transaction live, once it has said so."""

    def meet(self, origin: Origin, *, time: int) -> None:
        """The chain is known: what its clock is, and what it shows."""
        self._is_simulated = origin.settings.clock == "simulated"
        self._time = max(time, origin.settings.time)
        self._utc_offset_minutes = origin.settings.utc_offset_minutes

    @property
    def is_simulated(self) -> bool:
        """Whether the chain is told its time."""
        return self._is_simulated

    @property
    def is_told_time(self) -> bool:
        """Whether the time is not this machine's: a simulated chain's, or the caller's own clock."""
        return self._is_simulated or self._clock is not None

    def get_machine_time(self) -> int:
        """As `get_time`, without what we learned of this machine's clock: what a restart would begin with."""
        return self.get_time() - (0 if self.is_told_time else self._skew_millis)

    def get_time(self) -> int:
        """The ledger's time now, as well as we know it, in milliseconds UTC."""
        if self._clock is not None:
            return self._clock()
        return self._time if self._is_simulated else get_system_time() + self._skew_millis

    def get_day(self, moment: int) -> int:
        """The ledger's day of a moment, once the chain is known."""
        return get_day(moment, utc_offset_minutes=self._utc_offset_minutes)

    def choose_signer(self, messages: Sequence[Any]) -> Signer:
        """The key that may sign these messages together. Raises `ConfigurationError` where we have none."""
        return self.signers[self.choose_purpose(messages)]

    def choose_purpose(self, messages: Sequence[Any]) -> str:
        """The purpose of that key."""
        purposes = choose_purposes(messages)
        for purpose in purposes:
            if purpose in self.signers:
                return purpose
        raise ConfigurationError(
            "no key for this: give it in keys={purpose: key}",
            needed=" or ".join(purposes),
            given=sorted(self.signers),
        )

    def sign(
        self,
        messages: Sequence[Any],
        *,
        signer: Signer | None = None,
        transaction_id: str | None = None,
        not_after: int | None = None,
        atomic: bool = False,
    ) -> Signed:
        """One signed transaction of these messages. Raises `InvalidRequest` where they are too many."""
        if not 0 < len(messages) <= MESSAGES_MAX:
            raise InvalidRequest("a transaction has 1 to 8192 messages", messages=len(messages))
        transaction = sign_transaction(
            messages,
            chain=self.chain,
            sender=self.participant,
            transaction_id=self.ids() if transaction_id is None else transaction_id,
            not_after=self._get_not_after() if not_after is None else not_after,
            signer=signer or self.choose_signer(messages),
            atomic=atomic,
        )
        data = transaction.encode()
        if len(data) > TRANSACTION_BYTES_MAX:
            raise InvalidRequest("a transaction has at most 2 MiB", bytes=len(data))
        return Signed.make(transaction, data)

    def read_results(self, signed: Signed, proven: Proven) -> list[Committed[R]]:
        """One result a message, of an answer that was proven and accepted."""
        answer, transaction = proven.answer, signed.transaction
        self._time = max(self._time, answer.time)
        self.height = max(self.height, answer.height)
        decode, transaction_id, fetch = OUTCOME_DECODER.decode, signed.id, self._fetch_receipt
        height, time_ = answer.height, answer.time
        try:
            return [
                Committed(
                    message=message,
                    outcome=decode(outcome),
                    index=index,
                    height=height,
                    time=time_,
                    transaction_id=transaction_id,
                    fetch_receipt=fetch,
                )
                for index, (message, outcome) in enumerate(
                    zip(transaction.messages, proven.outcomes, strict=True), start=answer.index + 1
                )
            ]
        except msgspec.MsgspecError as error:
            # It is in the log, so it is committed; but a later rulebook's outcome may be beyond this SDK.
            raise Unverified("OUTCOME_UNREADABLE", facts={"reason": str(error)[:200]}) from None

    def learn(self, refusal: RefusedByNode) -> bool:
        """Whether the refusal told us how this ledger's clock stands, so that signing anew may succeed."""
        if self._clock is not None:
            return False
        facts = refusal.facts
        told = facts.get("time" if refusal.code == "EXPIRED" else "allowed")
        if not isinstance(told, int):
            return False
        if refusal.code == "EXPIRED" and not self._is_simulated:
            self._skew_millis = told - get_system_time()
            return True
        if refusal.code == "EXPIRED":
            moved = told > self._time
            self._time = max(self._time, told)
            return moved
        if refusal.code == "NOT_AFTER_TOO_FAR":
            self._ahead_millis = told - self.get_time()
            return self._ahead_millis > 0
        return False

    def _get_not_after(self) -> int:
        now = self.get_time()
        seconds = self._lifetime_seconds
        if seconds is None:
            seconds = SIMULATED_LIFETIME_SECONDS if self._is_simulated else LIFETIME_SECONDS
        ahead = seconds * 1000
        if self._ahead_millis is not None:
            ahead = min(ahead, self._ahead_millis)
        return now + ahead
