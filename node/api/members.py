"""Members: who speaks for them, their points, and what happened to those.

The custodian, the member and auditors see all of it. An issuer sees a member's points of its own programs,
once the member has ever had any; before that, the member does not exist for it.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from contracts.mechanics.lots import get_available
from contracts.mechanics.members import get_current_key
from contracts.mechanics.records import DEBT, MEMBER, Member
from ledger.errors import Refused
from ledger.posting import EMPTY_ACCOUNT, Account, get_account_key
from ledger.totals import ACCOUNT_TABLE
from node.access import Role, can_read_member, get_readable_programs
from node.api import answers
from node.api.entries import make_rows
from node.api.identity import RoleParam
from node.api.page import describe
from node.api.parameters import READ_WITH_TOKEN, LimitQuery, MemberPath, OptionalBefore, OptionalProgram
from node.api.reading import answer
from node.api.site import SiteParam
from node.api.view import View

_CODES = ("BAD_REQUEST", "UNAUTHENTICATED", "TOKEN_INVALID", "NOT_FOUND", "NOT_YET")

_NOBODY: Final = Member("", "", 0, "", 0, custodian_speaks=False, till_speaks=False)

router = APIRouter(tags=["members"], responses=describe(*_CODES))


@router.get("/v1/members/{member}", response_model=answers.Member, dependencies=READ_WITH_TOKEN)
def get_member(site: SiteParam, role: RoleParam, member: MemberPath) -> Response:
    """A member's keys and choices: the custodian, the member, an auditor."""
    return answer(site, lambda view: _show_member(view, role, member))


@router.get("/v1/members/{member}/balances", response_model=answers.Balances, dependencies=READ_WITH_TOKEN)
def list_balances(
    site: SiteParam, role: RoleParam, member: MemberPath, program: OptionalProgram = None
) -> Response:
    """A member's points: the custodian, the member and an auditor all, an issuer those of its own
    programs.
    """
    return answer(site, lambda view: {"balances": _show_balances(view, role, member, program)})


@router.get("/v1/members/{member}/history", response_model=answers.History, dependencies=READ_WITH_TOKEN)
def list_history(
    *,
    site: SiteParam,
    role: RoleParam,
    member: MemberPath,
    program: OptionalProgram = None,
    before: OptionalBefore = None,
    limit: LimitQuery = 50,
) -> Response:
    """What happened to a member's points, newest first; who sees it as with balances."""
    return answer(
        site, lambda view: _show_history(view, role, member, program=program, before=before, limit=limit)
    )


def _show_member(view: View, role: Role, member_id: str) -> dict[str, Any]:
    member: Member | None = view.get(MEMBER, member_id)
    if member is None or not can_read_member(role, member_id, member):
        raise Refused("NOT_FOUND")
    now = view.block.time
    key, trusted_at = get_current_key(member, time=now)
    shown: dict[str, Any] = {
        "custodian": member.custodian,
        "custodian_consent": not key or member.custodian_speaks,
        "member": member_id,
        "till_consent": member.till_speaks,
    }
    if key:
        shown |= {"key": key, "key_trusted_at": trusted_at}
    if member.pending and member.pending_at > now:
        shown["pending"] = {"at": member.pending_at, "key": member.pending}
    return shown


def _find_programs(view: View, role: Role, member_id: str, program: str | None) -> list[str]:
    """The programs to show, in order. Raises `Refused` ``NOT_FOUND`` where there is nobody or nothing to
    see.
    """
    member: Member | None = view.get(MEMBER, member_id)
    # For a member that is not there the same is looked up as for one that is: the time taken tells nothing.
    known = member or _NOBODY
    programs = get_readable_programs(role, member_id, known, view.get_issuers())
    if program is not None:
        programs &= {program}
    sees = can_read_member(role, member_id, known) or any(
        view.core.find_history(member_id, each, None, 1) for each in sorted(programs)
    )
    if member is None or not programs or not sees:
        raise Refused("NOT_FOUND")
    return sorted(programs)


def _show_balances(view: View, role: Role, member_id: str, program: str | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for each in _find_programs(view, role, member_id, program):
        key = get_account_key(member_id, each)
        found: Account | None = view.get(ACCOUNT_TABLE, key)
        debt: int = view.get(DEBT, key) or 0
        if found is not None or debt:
            account = found or EMPTY_ACCOUNT
            rows.append(
                {
                    "available": get_available(account, day=view.block.day),
                    "debt": debt,
                    "held": sum(lot.points for lot in account.held),
                    "lots": account.lots,
                    "points": account.points,
                    "program": each,
                }
            )
    return rows


def _show_history(
    view: View, role: Role, member_id: str, *, program: str | None, before: int | None, limit: int
) -> dict[str, Any]:
    programs = _find_programs(view, role, member_id, program)
    core = view.core
    member: Member = view.get(MEMBER, member_id)
    wanted = limit + 1
    if program is None and can_read_member(role, member_id, member):
        # Also what is no program's, such as the enrolment itself.
        indexes = core.find_history(member_id, None, before, wanted)
    else:
        pages = [core.find_history(member_id, each, before, wanted) for each in programs]
        merged = heapq.merge(*pages, reverse=True)
        # An exchange within one issuer's programs stands in two of the pages.
        indexes = list(islice(dict.fromkeys(merged), wanted))
    shown: dict[str, Any] = {"rows": make_rows(core, indexes[:limit])}
    if len(indexes) > limit:
        shown["next"] = indexes[limit - 1]
    return shown
