"""Grants: no liability is made, and no point is accepted, for an issuer by somebody else's signature alone.

A grant has a kind, a grantee, an end and a budget of points a day and in all. What is used is counted in
block time and only by success.
"""

from __future__ import annotations

from contracts.mechanics.records import GRANT, GrantRecord
from ledger.errors import Rejected
from ledger.rule import Asked
from ledger.state import StateView


def get_grant_key(program: str, grantee: str, kind: str) -> str:
    """The state key of the one grant of this kind."""
    return f"{program}|{grantee}|{kind}"


def check_grant(
    state: StateView, asked: Asked, *, program: str, grantee: str, kind: str
) -> tuple[str, GrantRecord]:
    """The grant that covers this, with its key. Raises `Rejected` ``GRANT_MISSING`` or ``GRANT_EXPIRED``."""
    return check_grants(state, asked, (program, grantee, kind))[0]


def check_grants(
    state: StateView, asked: Asked, *wanted: tuple[str, str, str]
) -> list[tuple[str, GrantRecord]]:
    """The grants that cover (program, grantee, kind) each.

    One that is missing is told before one that ended.
    """
    keys = [get_grant_key(*one) for one in wanted]
    found: list[tuple[str, GrantRecord]] = []
    for key in keys:
        grant: GrantRecord | None = state.get(GRANT, key)
        if grant is None:
            raise Rejected("GRANT_MISSING", grant=key)
        found.append((key, grant))
    for key, grant in found:
        if grant.expires < asked.block.time:
            raise Rejected("GRANT_EXPIRED", grant=key, expired=grant.expires)
    return found


def use_grant(
    key: str, grant: GrantRecord, asked: Asked, points: int, *, code: str = "GRANT_EXHAUSTED"
) -> tuple[str, str, GrantRecord]:
    """The change that counts ``points`` against the grant. Raises `Rejected` with ``code`` where its budget
    ends.
    """
    used_day = grant.used_day if grant.day == asked.block.day else 0
    if used_day + points > grant.budget_day or grant.used_total + points > grant.budget_total:
        raise Rejected(code, grant=key, points=points)
    record = GrantRecord(
        grant.budget_day,
        grant.budget_total,
        grant.expires,
        asked.block.day,
        used_day + points,
        grant.used_total + points,
    )
    return GRANT, key, record
