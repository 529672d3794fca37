"""Who may read what: decisions over what is already known, one function for each kind of thing.

Everybody's sales are in one log, so a reader sees what concerns them and no more: a participant its own
entries and its side of others', a custodian and a member what happens to the member's points, an auditor
everything. What somebody may not see and what does not exist must be told apart by nobody: callers give one
answer for both and, where a record decides, look up the same for both.

Nothing here reads a state, a log or a clock, and nothing here says how somebody proved who they are: that is
the token's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from contracts.mechanics.records import Member
from contracts.messages.governance import CancelProposal, CloseProposal, Enact, Propose, Vote
from contracts.messages.settlement import (
    Abort,
    AttestCover,
    AttestFund,
    AttestPayment,
    Confirm,
    Countersign,
    Cut,
    CutWindow,
)
from ledger.errors import Refused
from ledger.outcome import Outcome

Kind = Literal["participant", "member", "auditor", "follower", "operator"]
Lookup = Callable[[str], str | None]
"""Program → issuer, or member → custodian."""

ROLE_PATTERN: Final = (
    r"\A(auditor|follower|operator|participant:[a-z0-9][a-z0-9.-]{1,62}|member:m_[0-9a-hjkmnp-tv-z]{26})\Z"
)
_ROLE: Final = re.compile(ROLE_PATTERN)
_ROUNDING: Final = "rounding:"
_COMMON: Final = (
    Propose,
    Vote,
    CancelProposal,
    Enact,
    CloseProposal,
    CutWindow,
    Cut,
    Countersign,
    Confirm,
    AttestPayment,
    AttestCover,
    AttestFund,
    Abort,
)
"""What the alliance decides and settles together: every participant hears of it, and may keep its receipt."""


class Role(NamedTuple):
    """Who is asking: a kind, and for participants and members which one."""

    kind: Kind
    id: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


class Concerned(NamedTuple):
    """Whom an entry concerns."""

    participants: frozenset[str]
    members: frozenset[str]
    is_common: bool = False
    """Every participant, whichever: it is about what the alliance decides or settles."""


def parse_role(text: str) -> Role:
    """The role as tokens and the command line spell it. Raises `Refused` ``BAD_REQUEST``."""
    if _ROLE.match(text) is None:
        raise Refused("BAD_REQUEST", role=text[:100])
    kind, _, subject = text.partition(":")
    return Role(kind, subject)  # type: ignore[arg-type]  # the pattern names the kinds


def get_owner(account: str) -> str:
    """The participant a leg or a position belongs to: a rounding account is its participant's own."""
    return account.removeprefix(_ROUNDING)


def can_read_member(role: Role, member_id: str, member: Member) -> bool:
    """A member's keys and choices: the custodian, the member, an auditor."""
    if role.kind == "participant":
        return role.id == member.custodian
    return role.kind == "auditor" or (role.kind == "member" and role.id == member_id)


def get_readable_programs(
    role: Role, member_id: str, member: Member, issuers: Mapping[str, str]
) -> frozenset[str]:
    """The programs in which this asker may see the member's points: all of them, an issuer's own, or none."""
    if can_read_member(role, member_id, member):
        return frozenset(issuers)
    if role.kind == "participant":
        return frozenset(program for program, issuer in issuers.items() if issuer == role.id)
    return frozenset()


def get_concerned(
    *, sender: str | None, message: Any, outcome: Outcome, get_issuer: Lookup, get_custodian: Lookup
) -> Concerned:
    """Whom an entry concerns: its sender, issuers, leg parties, members with their custodians, those it
    names, and every participant where the alliance decides or settles.
    """
    members = {
        name for field in ("member", "recipient") if isinstance(name := getattr(message, field, None), str)
    }
    found: set[str | None] = {sender}
    found.update(get_custodian(member) for member in members)
    for field in ("program", "target"):
        program = getattr(message, field, None)
        if isinstance(program, str):
            found.add(get_issuer(program))
    # The grantee of a grant, an organisation that is admitted, the acceptor whose hold lapsed.
    found.update(
        name
        for field in ("to", "participant", "sender")
        if isinstance(name := getattr(message, field, None), str)
    )
    if outcome.legs:
        for leg in outcome.legs:
            found.update((get_owner(leg.source), get_owner(leg.destination)))
    return Concerned(
        frozenset(name for name in found if name is not None),
        frozenset(members),
        is_common=isinstance(message, _COMMON),
    )


def can_read_entry(role: Role, concerned: Concerned) -> bool:
    """An entry and its receipt: whoever it concerns, an auditor."""
    if role.kind == "participant":
        return concerned.is_common or role.id in concerned.participants
    return role.kind == "auditor" or (role.kind == "member" and role.id in concerned.members)


def can_read_transaction(role: Role, sender: str) -> bool:
    """What came of a transaction, and every entry under an order's reference: its sender, an auditor."""
    return role.kind == "auditor" or (role.kind == "participant" and role.id == sender)


def can_read_position(role: Role, account: str) -> bool:
    """A net position: the participant's own, with its rounding account; an auditor all."""
    return role.kind == "auditor" or (role.kind == "participant" and role.id == get_owner(account))


def can_read_owed(role: Role, source: str, destination: str) -> bool:
    """A row of the bilateral matrix: the two it is about, an auditor."""
    return can_read_position(role, source) or can_read_position(role, destination)


def can_read_tally(role: Role, issuer: str) -> bool:
    """How many points of a program went which way: its issuer, an auditor."""
    return role.kind == "auditor" or (role.kind == "participant" and role.id == issuer)


def can_read_grant_use(role: Role, *, issuer: str, grantee: str) -> bool:
    """How much of a grant is used: the issuer, the grantee, an auditor. That it exists any role may see."""
    return role.kind == "auditor" or (role.kind == "participant" and role.id in (issuer, grantee))


def can_read_decisions(role: Role) -> bool:
    """Who governs, what is proposed, the windows with their statements, who owes how much of its limit:
    participants, who vote on it, sign it and lend on it; auditors; the operator.
    """
    return role.kind in ("participant", "auditor", "operator")


def is_clearing_party(role: Role) -> bool:
    """Whether there are positions, bilateral rows and tallies for this kind of asker at all."""
    return role.kind in ("participant", "auditor")


def can_read_bundles(role: Role) -> bool:
    """Entry bundles, which are everybody's sales: an auditor, a follower."""
    return role.kind in ("auditor", "follower")


def can_read_metrics(role: Role | None, *, is_loopback: bool) -> bool:
    """The node's figures: whoever is on the machine itself, the operator."""
    return is_loopback or (role is not None and role.kind == "operator")


def can_cut_blocks(role: Role) -> bool:
    """Telling a simulated chain the time: the operator."""
    return role.kind == "operator"
