"""Who agreed, in the model: issuers' grants and members' consent, in the order of docs/spec/messages.md."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.properties.model_state import Block, Member, State, reject
from tests.properties.model_values import canonical, day_of, is_signed, key_id_of

GrantKey = tuple[str, str, str]


def check_grants(state: State, block: Block, wanted: list[tuple[GrantKey, int]]) -> None:
    """All are there, none has ended, each has room: the earlier code is the answer, whichever grant it is."""
    if any(slot not in state.grants for slot, _ in wanted):
        reject("GRANT_MISSING")
    if any(state.grants[slot].expires < block.time for slot, _ in wanted):
        reject("GRANT_EXPIRED")
    if not all(state.grants[slot].allows(points, block.day) for slot, points in wanted):
        reject("GRANT_EXHAUSTED")


def use_grants(state: State, block: Block, wanted: list[tuple[GrantKey, int]]) -> None:
    for slot, points in wanted:
        state.grants[slot] = state.grants[slot].after(points, block.day)


class Wanted(NamedTuple):
    """What a message asks of a member, as the consent has to cover it."""

    purpose: str
    counterparty: str
    points: int
    """What is taken, which for an exchange may be less than was offered."""
    extra: dict[str, Any]


def check_consent(
    state: State, block: Block, sender: str, message: dict[str, Any], wanted: Wanted
) -> list[tuple[GrantKey, int]]:
    """The member, or somebody who may, agreed to this. The custody grants it uses up."""
    member: Member = state.members[message["member"]].at(block.time)
    issuer = state.programs[message["program"]].issuer
    consent = message.get("consent")
    if consent is None:
        is_till = wanted.purpose in ("redeem", "hold")
        if is_till and sender == member.custodian == issuer and member.till_speaks:
            return []
        reject("CONSENT_MISSING")
    check_terms(state, block, consent, wanted)
    public, grants = find_speaker(state, block, member, message, wanted.points)
    whose = {"member": message["member"], "program": message["program"]}
    check_signed(state, block, consent, public, {**whose, "purpose": wanted.purpose, **wanted.extra})
    return grants


def check_receiver(state: State, block: Block, message: dict[str, Any], points: int) -> None:
    """Who is to receive an exchange's points agreed to that; whose points they are makes no difference."""
    consent = message.get("recipient_consent")
    if consent is None:
        reject("CONSENT_MISSING")
    wanted = Wanted("receive", message["member"], points, {})
    state.asking["member"] = message["recipient"]  # whose consent it is, where its limits are on trial
    check_terms(state, block, consent, wanted)
    state.asking["member"] = message["member"]
    member = state.members[message["recipient"]].at(block.time)
    if member.public is not None and consent["key"] == key_id_of(member.public):
        public = member.public
    else:
        public = find_custody_key(state, block, member, consent["key"])
    whose = {"member": message["recipient"], "program": message["target"]}
    check_signed(state, block, consent, public, {**whose, "purpose": "receive"})


def check_terms(state: State, block: Block, consent: dict[str, Any], wanted: Wanted) -> None:
    """Made out to the right one, for now, and for enough."""
    is_open = consent["counterparty"] == "any" and wanted.purpose in ("redeem", "hold")
    if not is_open and consent["counterparty"] != wanted.counterparty:
        reject("CONSENT_WRONG_COUNTERPARTY")
    if consent["expires"] < block.time:
        reject("CONSENT_EXPIRED")
    longest = state.parameter("open_consent_seconds_max" if is_open else "consent_seconds_max", block.height)
    if consent["expires"] > block.time + 1000 * longest:
        reject("CONSENT_TOO_LONG")
    if wanted.points > consent["points"]:
        reject("CONSENT_TOO_SMALL")
    if is_open and wanted.points > state.parameter("open_consent_points_max", block.height):
        reject("CONSENT_ABOVE_OPEN_LIMIT")


def check_signed(
    state: State, block: Block, consent: dict[str, Any], public: str, about: dict[str, Any]
) -> None:
    """This key signed this consent about this, and it was not used before."""
    text = {
        "@type": "consent",
        "counterparty": consent["counterparty"],
        "expires": consent["expires"],
        "key": consent["key"],
        "nonce": consent["nonce"],
        "points": consent["points"],
        **about,
    }
    if not is_signed(
        public=public,
        purpose="consent",
        chain=block.chain,
        body=canonical(text),
        signature=consent["signature"],
    ):
        reject("CONSENT_SIGNATURE_INVALID")
    if nonce_of(block, consent) in state.nonces:
        reject("CONSENT_USED")


def find_custody_key(state: State, block: Block, member: Member, key: str) -> str:
    """The public key of the custodian, where it may speak for the member."""
    custody = state.keys.get(key)
    if (
        custody is None
        or (custody.participant, custody.purpose) != (member.custodian, "custody")
        or not custody.valid_from <= block.height < custody.valid_to
    ):
        reject("CONSENT_KEY_UNKNOWN")
    if member.public is not None and not member.custodian_speaks:
        reject("CONSENT_NOT_CUSTODIAN")
    return custody.public


def find_speaker(
    state: State, block: Block, member: Member, message: dict[str, Any], points: int
) -> tuple[str, list[tuple[GrantKey, int]]]:
    """The public key behind a consent's key id, and the custody grant it needs."""
    program, key = message["program"], message["consent"]["key"]
    is_foreign = state.programs[program].issuer != member.custodian
    if member.public is not None and key == key_id_of(member.public):
        if is_foreign and block.time < member.waits_until:
            reject("CONSENT_KEY_WAITING")
        return member.public, []
    public = find_custody_key(state, block, member, key)
    if not is_foreign:
        return public, []
    slot = (program, "custody", member.custodian)
    if slot not in state.grants or state.grants[slot].expires < block.time:
        reject("CUSTODY_GRANT_MISSING")
    if not state.grants[slot].allows(points, block.day):
        reject("CUSTODY_GRANT_EXHAUSTED")
    return public, [(slot, points)]


def nonce_of(block: Block, consent: dict[str, Any]) -> tuple[str, int, str]:
    return consent["key"], day_of(consent["expires"], block.offset), consent["nonce"]


def spend_nonces(state: State, block: Block, *consents: dict[str, Any] | None) -> None:
    """A nonce is its key's and its day's: whoever else uses the same is not concerned."""
    for consent in consents:
        if consent is not None:
            state.nonces[nonce_of(block, consent)] = True
