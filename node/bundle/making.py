"""An order gathered into a bundle: its entries, the keys behind their signatures, and proofs for all of it.

It begins with the entries that carry the reference, takes in whatever completes or undoes them, then follows
each signature to the entry that registered its key, and that entry's signature likewise, until the genesis.
The same ledger head gives the same bytes, whoever makes the bundle with the same right to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import UNSET

from ledger.codec import sha256, to_base64url
from ledger.genesis import Origin
from ledger.leaves import ENTRY_DECODER, compute_tag
from ledger.receipt import Receipt
from node.bundle.consents import GivenConsent, read_consents
from node.bundle.file import Bundle, ConsentCopy, SignedMessages, StatedKey
from node.bundle.keyring import Keyring, read_registered
from node.bundle.naming import Entry, find_family, read_entry
from node.bundle.sources import Leaf, OrderSource, Prover, Unbundled


def make_bundle(source: OrderSource, *, origin: Origin, sender: str, reference: str) -> Bundle:
    """The bundle of one order. Raises `Unbundled`, `Unverified` or `SourceUnavailable`."""
    checkpoint, epoch = source.policies.verify_signed(source.note)
    making = _Making(source, origin)
    family = making.gather(sender, reference)
    for entry in family:
        making.follow(entry)
    prover = Prover(source, checkpoint)
    context = [making.context[place] for place in sorted(making.context)]
    return Bundle(
        chain=origin.chain,
        consents=[
            ConsentCopy(entry=given.entry.place, text=given.text.decode())
            for entry in family
            for given in read_consents(origin.chain, entry)
        ],
        context=[_make_receipt(entry, prover, epoch=epoch) for entry in context],
        entries=[_make_receipt(entry, prover, epoch=epoch) for entry in family],
        genesis=[leaf.decode() for leaf in source.genesis],
        policies=list(source.policies.steps[:epoch]) or UNSET,
        reference=reference,
        sender=sender,
        stated=[making.stated[name] for name in sorted(making.stated)],
        transactions=making.list_transactions([*family, *context]),
        version=1,
    )


class _Making:
    """What was gathered so far."""

    def __init__(self, source: OrderSource, origin: Origin) -> None:
        self._source = source
        self._origin = origin
        self._keys = Keyring(origin)
        self._histories: dict[str, list[Entry]] = {}
        self.context: dict[int, Entry] = {}
        self.stated: dict[tuple[str, str], StatedKey] = {}

    def gather(self, sender: str, reference: str) -> list[Entry]:
        """The order's entries, in log order. Raises `Unbundled` ``ORDER_UNKNOWN``."""
        found = {entry.place: entry for entry in self._read(self._source.find_order(sender, reference))}
        own = [entry for entry in found.values() if sender in (entry.sender, _get_acceptor(entry))]
        seeds = [entry for entry in own if getattr(entry.message, "reference", None) == reference] or own
        if not seeds:
            raise Unbundled("ORDER_UNKNOWN", sender=sender, reference=reference)
        asked = {reference}
        while True:
            family = find_family(seeds, found.values())
            names = {name[2] for entry in family for name in (entry.name, entry.target) if name is not None}
            if not names - asked:
                return family
            for name in sorted(names - asked):
                found |= {entry.place: entry for entry in self._read(self._source.find_order(sender, name))}
            asked |= names

    def follow(self, entry: Entry) -> None:
        """The keys behind an entry's signatures are known, or stated, or cannot be shown."""
        if entry.transaction is not None:
            self._need(entry.transaction.header.key, entry.transaction.header.sender)
        for given in read_consents(self._origin.chain, entry):
            self._follow_consent(given)

    def list_transactions(self, entries: Iterable[Entry]) -> list[SignedMessages]:
        """The message hashes of every transaction that the entries are of, in the order met."""
        found: dict[str, SignedMessages] = {}
        for entry in entries:
            if entry.transaction_leaf is None:
                continue
            tag = compute_tag(entry.transaction_leaf).decode("ascii")
            if tag not in found:
                leaf = Leaf(entry.place, entry.leaf, entry.transaction_leaf)
                messages = [_hash_message(sibling) for sibling in self._source.list_siblings(leaf)]
                found[tag] = SignedMessages(messages=messages, tag=tag)
        return list(found.values())

    def _follow_consent(self, given: GivenConsent) -> None:
        history = self._list_history(given.member)
        for entry in history:
            if any(key.key == given.consent.key for key in read_registered(entry)):
                self._take_up(entry)
                return
        # No key of the member's: the custodian spoke, and the enrolment says who that is.
        for entry in history:
            if entry.kind == "enrol" and entry.is_done and entry.sender is not None:
                self._take_up(entry)
                self._need(given.consent.key, entry.sender)
                return

    def _need(self, key: str, participant: str) -> None:
        if self._keys.find(key, participant) is not None or (participant, key) in self.stated:
            return
        place = self._source.find_registration(key, participant)
        if place is not None:
            self._take_up(*self._read([place]))
            return
        stated = self._source.state_key(key, participant)
        if stated is None:
            raise Unbundled("KEY_NOT_SHOWN", key=key, participant=participant)
        self.stated[participant, key] = stated

    def _take_up(self, entry: Entry) -> None:
        if entry.place in self.context or entry.transaction is None:
            return
        self.context[entry.place] = entry
        self._keys.register(entry)
        self._need(entry.transaction.header.key, entry.transaction.header.sender)

    def _list_history(self, member: str) -> list[Entry]:
        if member not in self._histories:
            self._histories[member] = list(self._read(sorted(self._source.list_history(member))))
        return self._histories[member]

    def _read(self, places: Iterable[int]) -> Iterator[Entry]:
        offset = self._origin.settings.utc_offset_minutes
        for place in places:
            leaf = self._source.read_entry(place)
            entry = read_entry(place, leaf.data, leaf.transaction, utc_offset_minutes=offset)
            if entry is None:
                raise Unbundled("LEAF_OUT_OF_PLACE", index=place)
            yield entry


def _make_receipt(entry: Entry, prover: Prover, *, epoch: int) -> Receipt:
    transaction: Any = UNSET if entry.transaction_leaf is None else entry.transaction_leaf.decode()
    return Receipt(
        entry=entry.leaf.decode(), epoch=epoch, proof=prover.prove(entry.place), transaction=transaction
    )


def _get_acceptor(entry: Entry) -> str | None:
    """Whose order an entry is about that nobody sent."""
    return getattr(entry.message, "sender", None) if entry.sender is None else None


def _hash_message(leaf: bytes) -> str:
    return to_base64url(sha256(bytes(ENTRY_DECODER.decode(leaf).message)))
