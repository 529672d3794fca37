"""Members in the model: pseudonyms, their keys, and who may speak for them."""

from __future__ import annotations

from typing import Any

from tests.properties.model_state import Block, Member, State, reject
from tests.properties.model_values import canonical, day_of, is_fit_key, is_signed, key_id_of


def check_new_key(block: Block, member: str, key: dict[str, Any]) -> None:
    if not is_fit_key(key["public"]):
        reject("KEY_REFUSED")
    text = canonical({"@type": "possession", "member": member, "public": key["public"]})
    if not is_signed(
        public=key["public"], purpose="possession", chain=block.chain, body=text, signature=key["possession"]
    ):
        reject("POSSESSION_INVALID")


def find_own_member(state: State, block: Block, sender: str, message: dict[str, Any]) -> Member:
    if message["member"] not in state.members:
        reject("MEMBER_UNKNOWN")
    member = state.members[message["member"]].at(block.time)
    if member.custodian != sender:
        reject("NOT_CUSTODIAN")
    return member


def enrol(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    if message["member"] in state.members:
        reject("MEMBER_EXISTS")
    public = None
    if "key" in message:
        check_new_key(block, message["member"], message["key"])
        public = message["key"]["public"]
    state.members[message["member"]] = Member(
        sender, public, 0, None, custodian_speaks=False, till_speaks=True
    )
    return {"code": "OK"}


def waits_until(state: State, block: Block) -> int:
    return block.time + 1000 * state.parameter("key_replacement_delay_seconds", block.height)


def event(name: str, message: dict[str, Any], at: int) -> dict[str, Any]:
    return {"code": "OK", "events": [{"about": message["member"], "at": at, "name": name}]}


def add_member_key(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    member = find_own_member(state, block, sender, message)
    if member.public is not None:
        reject("MEMBER_KEY_EXISTS")
    check_new_key(block, message["member"], message["key"])
    until = waits_until(state, block)
    state.members[message["member"]] = member._replace(public=message["key"]["public"], waits_until=until)
    return event("MEMBER_KEY_ADDED", message, until)


def replace_member_key(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    member = find_own_member(state, block, sender, message)
    if member.public is None:
        reject("MEMBER_KEY_MISSING")
    check_new_key(block, message["member"], message["key"])
    until = waits_until(state, block)
    state.members[message["member"]] = member._replace(pending=(message["key"]["public"], until))
    return event("MEMBER_KEY_REPLACEMENT", message, until)


def set_member_choice(state: State, block: Block, _sender: str, message: dict[str, Any]) -> dict[str, Any]:
    if message["member"] not in state.members:
        reject("MEMBER_UNKNOWN")
    member = state.members[message["member"]].at(block.time)
    if member.public is None:
        reject("MEMBER_KEY_MISSING")
    if message["expires"] < block.time:
        reject("CONSENT_EXPIRED")
    if message["expires"] > block.time + 1000 * state.parameter("consent_seconds_max", block.height):
        reject("CONSENT_TOO_LONG")
    text = {name: message[name] for name in ("choice", "expires", "member", "nonce")}
    if not is_signed(
        public=member.public,
        purpose="choice",
        chain=block.chain,
        body=canonical({"@type": "choice", **text}),
        signature=message["signature"],
    ):
        reject("CONSENT_SIGNATURE_INVALID")
    day = day_of(message["expires"], block.offset)
    nonce = (key_id_of(member.public), day, message["nonce"])
    if nonce in state.nonces:
        reject("CONSENT_USED")
    if message["choice"] == "stop_replacement":
        if member.pending is None:
            reject("NO_REPLACEMENT_PENDING")
        member = member._replace(pending=None)
    elif message["choice"] in ("custodian_on", "custodian_off"):
        member = member._replace(custodian_speaks=message["choice"] == "custodian_on")
    else:
        member = member._replace(till_speaks=message["choice"] == "till_on")
    state.members[message["member"]] = member
    state.nonces[nonce] = True
    return {"code": "OK"}
