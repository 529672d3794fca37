"""A bundle checked by a stranger: offline, with the chain string and nothing else.

 (1) the file is one canonical bundle; (2) its genesis hashes to the pinned chain string, and from it, by
 the trust policies in the file, each under the one before, follows whose checkpoints count; (3) every
 receipt holds under one and the same checkpoint, in the order of the log, none twice; (4) every
 transaction's message hashes are those that were signed, and the messages shown are among them; (5) every
 key is that of the genesis or of an entry here that is itself signed with such a key, and every transaction
 is signed with its sender's; (6) every consent is signed, and its text stands here as it was signed; (7)
 every entry names the order, completes it or undoes it, and nothing stands here that is not needed for it.

What cannot be checked from the file is said (`Verified.remarks`), never passed over: keys taken on the
maker's word, consents whose key is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from contracts.rulebook import RULEBOOKS, get_purposes
from ledger.codec import encode, from_base64url, sha256, to_base64url
from ledger.errors import InvalidBlock, Refused, Unverified
from ledger.genesis import Origin, read_genesis
from ledger.leaves import ENTRY_DECODER, compute_tag
from ledger.log.note import Checkpoint
from ledger.log.policy import Policy, verify_checkpoint
from ledger.log.tlog_proof import parse_tlog_proof
from ledger.policy_chain import PolicyChain
from ledger.receipt import Receipt, verify_receipt
from ledger.transaction import compute_digest
from node.bundle.consents import GivenConsent, read_consents
from node.bundle.file import Bundle, decode_bundle
from node.bundle.keyring import (
    STATED,
    Keyring,
    KnownKey,
    find_speaker,
    verify_consent,
    verify_transaction,
)
from node.bundle.naming import Entry, find_family, read_entry


class VerifiedConsent(NamedTuple):
    """A consent, and the key it was signed with; None where the bundle does not show it."""

    given: GivenConsent
    key: KnownKey | None

    @property
    def is_verified(self) -> bool:
        """Whether the signature was checked: that of an entry that was turned down may be anything."""
        return self.key is not None and self.given.entry.is_done


class Verified(NamedTuple):
    """What a bundle that holds says."""

    bundle: Bundle
    origin: Origin
    checkpoint: Checkpoint
    entries: list[Entry]
    context: list[Entry]
    signed_by: dict[int, KnownKey]
    """Entry → the key that signed its transaction."""
    consents: list[VerifiedConsent]
    remarks: list[str]
    """What could not be checked from this file alone."""


def verify_bundle(data: bytes, *, chain: str, policy: Policy | None = None) -> Verified:
    """What these bytes say, once all of it holds. Raises `Unverified`, whose code names the check."""
    bundle = decode_bundle(data)  # (1)
    origin = _read_origin(bundle, chain)  # (2)
    policies = PolicyChain.of_origin(origin)
    policies.accept_all([] if bundle.policies is UNSET else bundle.policies)
    entries, checkpoint = _verify_receipts(bundle.entries, origin=origin, policies=policies)  # (3)
    if policy is not None:
        verify_checkpoint(policy, parse_tlog_proof(bundle.entries[0].proof).checkpoint)
    context: list[Entry] = []
    if bundle.context:
        context, other = _verify_receipts(bundle.context, origin=origin, policies=policies)
        if other != checkpoint:
            raise Unverified("CHECKPOINTS_DIFFER", expected=checkpoint.size, found=other.size)
    _verify_digests(bundle, [*entries, *context], chain=chain)  # (4)
    keys = Keyring(origin, bundle.stated)
    signed_by = _verify_signatures(keys, entries, context)  # (5)
    consents = _verify_consents(bundle, keys, entries, context)  # (6)
    _verify_belonging(bundle, entries)  # (7)
    _verify_need(bundle, [*signed_by.values()], consents, context)
    return Verified(
        bundle=bundle,
        origin=origin,
        checkpoint=checkpoint,
        entries=entries,
        context=context,
        signed_by=signed_by,
        consents=consents,
        remarks=_remark(signed_by, consents),
    )


def _read_origin(bundle: Bundle, chain: str) -> Origin:
    try:
        origin = read_genesis([leaf.encode() for leaf in bundle.genesis])
    except InvalidBlock as error:
        raise Unverified(error.check, **error.facts) from None
    for told in (bundle.chain, origin.chain):
        if told != chain:
            raise Unverified("WRONG_CHAIN", expected=chain, found=told)
    if origin.settings.rulebook not in RULEBOOKS:
        raise Unverified("RULEBOOK_UNKNOWN", found=origin.settings.rulebook, known=sorted(RULEBOOKS))
    return origin


def _verify_receipts(
    receipts: Sequence[Receipt], *, origin: Origin, policies: PolicyChain
) -> tuple[list[Entry], Checkpoint]:
    """The entries that the receipts prove, in order, and the one checkpoint they stand under."""
    note: str | None = None
    found: list[Entry] = []
    checkpoint: Checkpoint | None = None
    for receipt in receipts:
        proof = parse_tlog_proof(receipt.proof)
        _, epoch = policies.verify_signed(proof.checkpoint)
        verified = verify_receipt(receipt, policies.get_signing(epoch))
        if verified.checkpoint.origin != origin.chain:
            raise Unverified("WRONG_CHAIN", expected=origin.chain, found=verified.checkpoint.origin)
        if receipt.epoch != epoch:
            raise Unverified("RECEIPT_EPOCH", expected=epoch, found=receipt.epoch)
        if epoch != policies.newest.epoch:
            raise Unverified("POLICY_UNNEEDED", expected=epoch, found=policies.newest.epoch)
        if proof.extra is not None:
            raise Unverified("RECEIPT_EXTRA", index=verified.leaf_index)
        if note is None:
            note, checkpoint = proof.checkpoint, verified.checkpoint
        if proof.checkpoint != note:
            raise Unverified("CHECKPOINTS_DIFFER", index=verified.leaf_index)
        if found and verified.leaf_index <= found[-1].place:
            raise Unverified("ENTRIES_OUT_OF_ORDER", index=verified.leaf_index)
        found.append(_read(receipt, verified.leaf_index, origin))
    if checkpoint is None:
        raise Unverified("BUNDLE_MALFORMED", reason="no entry in it")
    return found, checkpoint


def _read(receipt: Receipt, place: int, origin: Origin) -> Entry:
    transaction = receipt.transaction.encode() if isinstance(receipt.transaction, str) else None
    try:
        entry = read_entry(
            place,
            receipt.entry.encode(),
            transaction,
            utc_offset_minutes=origin.settings.utc_offset_minutes,
        )
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unverified("ENTRY_MALFORMED", index=place, reason=str(error)[:200]) from None
    if entry is None:
        raise Unverified("ENTRY_MALFORMED", index=place, reason="another leaf")
    return entry


def _verify_digests(bundle: Bundle, entries: Sequence[Entry], *, chain: str) -> None:
    """(4) What is shown is what was signed."""
    signed = {each.tag: each.messages for each in bundle.transactions}
    if len(signed) != len(bundle.transactions):
        raise Unverified("TRANSACTION_TWICE", transactions=len(bundle.transactions))
    used: list[str] = []
    for entry in entries:
        if entry.transaction is None or entry.transaction_leaf is None:
            continue
        header = entry.transaction.header
        tag = compute_tag(entry.transaction_leaf).decode("ascii")
        messages = signed.get(tag)
        if messages is None:
            raise Unverified("DIGESTS_MISSING", index=entry.place, id=header.id)
        if tag not in used:
            used.append(tag)
            _verify_header(entry, messages, chain=chain)
        message = bytes(ENTRY_DECODER.decode(entry.leaf).message)
        if to_base64url(sha256(message)) not in messages:
            raise Unverified("MESSAGE_NOT_SIGNED", index=entry.place, id=header.id)
    if used != list(signed):
        raise Unverified("TRANSACTION_UNNEEDED", expected=len(used), found=len(signed))


def _verify_header(entry: Entry, messages: Sequence[str], *, chain: str) -> None:
    if entry.transaction is None:
        return
    header = entry.transaction.header
    if header.chain != chain:
        raise Unverified("WRONG_CHAIN", expected=chain, found=header.chain)
    try:
        digest = compute_digest([from_base64url(each, size=32) for each in messages])
    except Refused as refusal:
        raise Unverified("DIGESTS_MALFORMED", **refusal.facts) from None
    if (header.count, header.digest) != (len(messages), digest):
        raise Unverified("DIGEST_MISMATCH", index=entry.place, id=header.id)


def _verify_signatures(
    keys: Keyring, entries: Sequence[Entry], context: Sequence[Entry]
) -> dict[int, KnownKey]:
    """(5) Each transaction is signed by its sender; the key of each entry, by index."""
    signed_by: dict[int, KnownKey] = {}
    # What registers keys comes first in the log, so by then its own key is known.
    for entry, registers in [*((each, True) for each in context), *((each, False) for each in entries)]:
        if entry.transaction is None:
            continue
        key = verify_transaction(keys, entry.transaction, header=encode(entry.transaction.header))
        if key.purpose not in get_purposes(type(entry.message)):
            raise Unverified("WRONG_PURPOSE", index=entry.place, key=key.key, purpose=key.purpose)
        signed_by[entry.place] = key
        if registers and not (keys.register(entry) or entry.kind == "enrol"):
            raise Unverified("CONTEXT_UNNEEDED", index=entry.place)
    return signed_by


def _verify_consents(
    bundle: Bundle, keys: Keyring, entries: Sequence[Entry], context: Sequence[Entry]
) -> list[VerifiedConsent]:
    """(6) Consents are signed, and their copies are what was signed."""
    custodians = {each.message.member: each.sender for each in context if each.kind == "enrol"}
    given = [each for entry in entries for each in read_consents(bundle.chain, entry)]
    copies = [(copy.entry, copy.text) for copy in bundle.consents]
    if copies != [(each.entry.place, each.text.decode()) for each in given]:
        raise Unverified("CONSENT_TEXT_DIFFERS", expected=len(given), found=len(copies))
    found: list[VerifiedConsent] = []
    for each in given:
        key = find_speaker(keys, each, custodians.get(each.member))
        if key is not None and each.entry.is_done:
            verify_consent(key, each)
        found.append(VerifiedConsent(each, key))
    return found


def _verify_belonging(bundle: Bundle, entries: Sequence[Entry]) -> None:
    """(7) Every entry is of the order's family."""
    names = [each.name for each in entries]
    own = (bundle.sender, bundle.reference)
    seeds = [
        entry
        for entry, name in zip(entries, names, strict=True)
        if name is not None and (name[0], name[2]) == own
    ] or [
        entry for entry in entries if entry.target is not None and (entry.target[0], entry.target[2]) == own
    ]
    if not seeds:
        raise Unverified("ORDER_NOT_NAMED", sender=bundle.sender, reference=bundle.reference)
    family = find_family(seeds, entries)
    for entry in entries:
        if entry not in family:
            raise Unverified("ENTRY_OF_ANOTHER_ORDER", index=entry.place)


def _verify_need(
    bundle: Bundle,
    signers: Sequence[KnownKey],
    consents: Sequence[VerifiedConsent],
    context: Sequence[Entry],
) -> None:
    """Nothing stands in the file that nothing else needs."""
    used = [*signers, *(each.key for each in consents if each.key is not None)]
    sources = {key.source for key in used}
    spoken_for = {each.given.member for each in consents}
    for entry in context:
        is_enrolment = entry.kind == "enrol" and entry.message.member in spoken_for
        if entry.place not in sources and not is_enrolment:
            raise Unverified("CONTEXT_UNNEEDED", index=entry.place)
    needed = {(key.holder, key.key) for key in used if key.source == STATED}
    if sorted(needed) != [(each.participant, each.key) for each in bundle.stated]:
        raise Unverified("STATED_KEYS_DIFFER", expected=len(needed), found=len(bundle.stated))


def _remark(signed_by: dict[int, KnownKey], consents: Iterable[VerifiedConsent]) -> list[str]:
    stated = sorted({(key.key, key.holder) for key in signed_by.values() if key.source == STATED})
    remarks = [
        f"That key {key} is {holder}'s is the word of whoever made this file: its registration is not in it."
        for key, holder in stated
    ]
    remarks += [
        f"The consent in leaf {each.given.entry.place} was not checked: "
        f"the registration of its key {each.given.consent.key} is not in this file."
        for each in consents
        if each.key is None
    ]
    return remarks
