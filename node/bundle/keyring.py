"""Keys, each with where it is known from: the genesis, an entry whose own signature is proven, or somebody's
word.

A participant's key stands in the genesis, or was registered by `admit` or `add_key`; a member's by `enrol`,
`add_member_key` or `replace_member_key`. Each of those is a transaction with a signature of its own, so every
key leads back to the genesis, which hashes to the chain string.

That a key was not revoked in between is not shown: the ledger itself takes nothing of a revoked key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from msgspec import UNSET

from contracts.messages.enrolment import AddMemberKey, Enrol, ReplaceMemberKey
from contracts.messages.registry import AddKey, Admit
from ledger.codec import from_base64url
from ledger.errors import Unverified
from ledger.genesis import Origin
from ledger.keys import is_valid_signature, key_id, signed_text
from ledger.leaves import TransactionLeaf
from node.bundle.consents import GivenConsent
from node.bundle.file import StatedKey
from node.bundle.naming import Entry

STATED: Final = "stated"
GENESIS: Final = "genesis"
_CUSTODY: Final = "custody"
MEMBER: Final = "member"
"""What stands for a purpose with a member's own key."""


class KnownKey(NamedTuple):
    """A public key, whose it is, and why that is believed."""

    key: str
    holder: str
    """A participant, or a member."""
    public: str
    purpose: str
    valid_from: int
    """The first height at which it counts."""
    source: str | int
    """`GENESIS`, `STATED`, or the index of the entry that registered it."""


class Keyring:
    """The keys known so far, each by its id and holder."""

    def __init__(self, origin: Origin, stated: Iterable[StatedKey] = ()) -> None:
        self._keys: dict[tuple[str, str], KnownKey] = {}
        for each in stated:
            if key_id(from_base64url(each.public, size=32)) != each.key:
                raise Unverified("STATED_KEY", key=each.key, participant=each.participant)
            self._add(KnownKey(each.key, each.participant, each.public, each.purpose, 0, STATED))
        for participant in origin.participants:
            for key in participant.keys:
                self._add(_make(participant.participant, key.public, key.purpose, 0, GENESIS))

    def find(self, key: str, holder: str) -> KnownKey | None:
        """The key of this id, where it is this holder's."""
        return self._keys.get((key, holder))

    def register(self, entry: Entry) -> list[KnownKey]:
        """The keys that this entry registered are known; which they are."""
        found = list(read_registered(entry))
        for each in found:
            self._add(each)
        return found

    def _add(self, key: KnownKey) -> None:
        known = self._keys.get((key.key, key.holder))
        # What is proven counts, whoever stated it before.
        if known is None or known.source == STATED:
            self._keys[key.key, key.holder] = key


def read_registered(entry: Entry) -> Iterator[KnownKey]:
    """The keys that an entry registered, if it did."""
    message, transaction = entry.message, entry.transaction
    if transaction is None or not entry.is_done:
        return
    height = transaction.height + 1
    match message:
        case Admit():
            for key in message.keys:
                yield _make(message.participant, key.public, key.purpose, height, entry.place)
        case AddKey():
            yield _make(transaction.header.sender, message.public, message.purpose, height, entry.place)
        case Enrol() | AddMemberKey() | ReplaceMemberKey():
            if message.key is not UNSET:
                # A member's key counts from its own block on.
                public = message.key.public
                yield _make(message.member, public, MEMBER, transaction.height, entry.place)


def verify_transaction(keys: Keyring, transaction: TransactionLeaf, *, header: bytes) -> KnownKey:
    """The key that signed this header, which is its sender's. Raises `Unverified`."""
    told = transaction.header
    key = keys.find(told.key, told.sender)
    if key is None:
        raise Unverified("KEY_NOT_SHOWN", key=told.key, participant=told.sender)
    if transaction.height < key.valid_from:
        raise Unverified("KEY_NOT_VALID", key=told.key, height=transaction.height, valid_from=key.valid_from)
    text = signed_text(purpose="transaction", chain=told.chain, body=header)
    if not _is_signed(key, text, transaction.signature):
        raise Unverified("TRANSACTION_SIGNATURE", key=told.key, participant=told.sender, id=told.id)
    return key


def find_speaker(keys: Keyring, given: GivenConsent, custodian: str | None) -> KnownKey | None:
    """The key that a consent was signed with: the member's own, or their custodian's."""
    own = keys.find(given.consent.key, given.member)
    if own is not None or custodian is None:
        return own
    return keys.find(given.consent.key, custodian)


def verify_consent(key: KnownKey, given: GivenConsent) -> None:
    """The consent was signed with this key, which could speak by then. Raises `Unverified`."""
    height = 0 if given.entry.transaction is None else given.entry.transaction.height
    if key.purpose not in (MEMBER, _CUSTODY):
        raise Unverified("WRONG_PURPOSE", index=given.entry.place, key=key.key, purpose=key.purpose)
    if height < key.valid_from:
        raise Unverified("KEY_NOT_VALID", key=key.key, height=height, valid_from=key.valid_from)
    if not _is_signed(key, given.text, given.consent.signature):
        raise Unverified("CONSENT_SIGNATURE", key=key.key, entry=given.entry.place)


def _is_signed(key: KnownKey, text: bytes, signature: str) -> bool:
    return is_valid_signature(
        public=from_base64url(key.public, size=32), text=text, signature=from_base64url(signature, size=64)
    )


def _make(holder: str, public: str, purpose: str, valid_from: int, source: str | int) -> KnownKey:
    return KnownKey(key_id(from_base64url(public, size=32)), holder, public, purpose, valid_from, source)
