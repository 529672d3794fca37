"""Random messages of enrolment, each honest or wrong in one chosen way."""

from __future__ import annotations

from typing import Any

from tests.properties.alliance import UNFIT_KEYS
from tests.properties.draws import Draws

CHOICES = ("stop_replacement", "custodian_on", "custodian_off", "till_on", "till_off")


def new_member_key(draws: Draws, member: str, twist: str | None) -> dict[str, Any]:
    pair = draws.alliance.new_pair()
    key = draws.alliance.prove_possession(pair, draws.member() if twist == "unproved" else member)
    if twist == "unfit":
        key["public"] = draws.rng.choice(UNFIT_KEYS)
    else:
        draws.alliance.member_pairs.setdefault(member, []).append(pair)
    return key


def enrol(draws: Draws, _sender: str) -> dict[str, Any]:
    twist = draws.twist(("exists", "unfit", "unproved"))
    member = draws.alliance.new_member()
    if twist == "exists" or len(draws.state.members) > 160:
        member = draws.member()
    message = {"@type": "enrol", "member": member}
    if twist in ("unfit", "unproved") or draws.rng.random() < 0.6:
        message["key"] = new_member_key(draws, member, twist)
    return message


def change_key(draws: Draws, sender: str, kind: str) -> dict[str, Any]:
    """`add_member_key` or `replace_member_key`, for a member it fits unless a twist says otherwise."""
    twist = draws.twist(("no_member", "foreign", "wrong_state", "unfit", "unproved"))
    fitting = [
        name
        for name, member in draws.state.members.items()
        if (member.custodian == sender or twist == "foreign")
        and ((member.public is None) == (kind == "add_member_key") or twist == "wrong_state")
    ]
    member = draws.rng.choice(fitting) if fitting else draws.member()
    if twist == "no_member":
        member = draws.stranger
    return {"@type": kind, "key": new_member_key(draws, member, twist), "member": member}


def set_member_choice(draws: Draws, _sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(
        ("no_member", "keyless", "expired", "edge", "too_long", "edge_long", "forged", "old_key", "used")
    )
    longest = 1000 * draws.parameter("consent_seconds_max")
    members = {name: member.at(draws.time) for name, member in draws.state.members.items()}
    keyed = [name for name, member in members.items() if (member.public is None) == (twist == "keyless")]
    name = rng.choice(keyed) if keyed else draws.member()
    choice = rng.choice(CHOICES)
    pending = [other for other in keyed if members[other].pending]
    if choice == "stop_replacement" and pending and rng.random() < 0.7:
        name = rng.choice(pending)
    own = draws.alliance.member_pairs.get(name) or [draws.alliance.new_pair()]
    pair = next((pair for pair in own if pair.public == members[name].public), own[-1])
    expires = {"expired": -1, "edge": 0, "too_long": longest + 1, "edge_long": longest}
    nonce = draws.alliance.new_nonce()
    if twist == "used" and name in draws.spent:
        nonce = rng.choice(draws.spent[name])
    message = draws.alliance.sign_choice(
        rng.choice(own) if twist == "old_key" else pair,
        choice=choice,
        expires=draws.time + expires.get(twist or "", rng.randrange(longest + 1)),
        member=draws.stranger if twist == "no_member" else name,
        nonce=nonce,
    )
    if twist == "forged":
        message["choice"] = rng.choice([other for other in CHOICES if other != choice])
    return message
