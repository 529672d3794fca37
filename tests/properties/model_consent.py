"""Who agreed, in the model: issuers' grants and members' consent, in the order of docs/spec/messages.md."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.properties.model_state import Block, Member, State, reject
from tests.properties.model_values import canonical, is_signed, key_id_of

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
        if sender == member.custodian == issuer and member.till_speaks:
            return []
        reject("CONSENT_MISSING")
    is_open = consent["counterparty"] == "any" and wanted.purpose == "redeem"
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
    public, grants = find_speaker(state, block, member, message, wanted.points)
    text = {
        "@type": "consent",
        "counterparty": consent["counterparty"],
        "expires": consent["expires"],
        "key": consent["key"],
        "member": message["member"],
        "nonce": consent["nonce"],
        "points": consent["points"],
        "program": message["program"],
        "purpose": wanted.purpose,
        **wanted.extra,
    }
    if not is_signed(
        public=public,
        purpose="consent",
        chain=block.chain,
        body=canonical(text),
        signature=consent["signature"],
    ):
        reject("CONSENT_SIGNATURE_INVALID")
    if (consent["key"], consent["nonce"]) in state.nonces:
        reject("CONSENT_USED")
    return grants


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
    custody = state.keys.get(key)
    if (
        custody is None
        or (custody.participant, custody.purpose) != (member.custodian, "custody")
        or not custody.valid_from <= block.height < custody.valid_to
    ):
        reject("CONSENT_KEY_UNKNOWN")
    if member.public is not None and not member.custodian_speaks:
        reject("CONSENT_NOT_CUSTODIAN")
    if not is_foreign:
        return custody.public, []
    slot = (program, "custody", member.custodian)
    if slot not in state.grants or state.grants[slot].expires < block.time:
        reject("CUSTODY_GRANT_MISSING")
    if not state.grants[slot].allows(points, block.day):
        reject("CUSTODY_GRANT_EXHAUSTED")
    return custody.public, [(slot, points)]


def spend_nonce(state: State, message: dict[str, Any]) -> None:
    """A nonce is its key's: whoever else uses the same is not concerned."""
    if "consent" in message:
        state.nonces[message["consent"]["key"], message["consent"]["nonce"]] = True
