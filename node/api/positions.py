"""Positions: who owes whom, and where each program's points came from and went.

A participant sees its own side, an auditor all of it. Money and totals of points are decimal strings, since
an alliance's sums may pass what every JSON reader holds exactly.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from contracts.mechanics.records import PARTICIPANT
from ledger.errors import Refused
from ledger.totals import OWED_TABLE, POSITION_TABLE, TALLY_TABLE
from node.access import Role, can_read_owed, can_read_position, can_read_tally, is_clearing_party
from node.api import answers
from node.api.identity import RoleParam
from node.api.page import describe
from node.api.parameters import READ_WITH_TOKEN, OptionalProgram
from node.api.reading import answer
from node.api.site import SiteParam
from node.api.view import View

_CODES = ("BAD_REQUEST", "UNAUTHENTICATED", "TOKEN_INVALID", "NOT_FOUND", "NOT_YET")


router = APIRouter(tags=["clearing"], responses=describe(*_CODES))


@router.get("/v1/positions", response_model=answers.Positions, dependencies=READ_WITH_TOKEN)
def list_positions(site: SiteParam, role: RoleParam) -> Response:
    """Net positions: a participant's own, an auditor all. What is owed to them is positive."""
    return answer(site, lambda view: {"rows": show_positions(view, role), "size": view.head.size})


@router.get("/v1/positions/bilateral", response_model=answers.Bilateral, dependencies=READ_WITH_TOKEN)
def list_bilateral(site: SiteParam, role: RoleParam) -> Response:
    """What each owes each, by reason, gross since genesis: a participant where it is one of the two, an
    auditor all.
    """
    return answer(site, lambda view: {"rows": show_bilateral(view, role), "size": view.head.size})


@router.get("/v1/tallies", response_model=answers.Tallies, dependencies=READ_WITH_TOKEN)
def list_tallies(site: SiteParam, role: RoleParam, program: OptionalProgram = None) -> Response:
    """Points issued, exchanged, redeemed and expired: an issuer its own programs', an auditor all."""
    return answer(site, lambda view: {"rows": show_tallies(view, role, program), "size": view.head.size})


def show_positions(view: View, role: Role) -> list[dict[str, Any]]:
    """The net positions this asker may see. Raises `Refused` ``NOT_FOUND``."""
    _check_party(role)
    net: dict[str, int] = {name: 0 for name, _ in view.core.list_records(PARTICIPANT)}
    net.update(view.core.list_records(POSITION_TABLE))
    return [
        {"net_micros": str(micros), "participant": name}
        for name, micros in sorted(net.items())
        if can_read_position(role, name)
    ]


def show_bilateral(view: View, role: Role) -> list[dict[str, Any]]:
    """The bilateral rows this asker may see. Raises `Refused` ``NOT_FOUND``."""
    _check_party(role)
    rows = []
    for key, micros in view.core.list_records(OWED_TABLE):
        source, destination, reason = key.split("|")
        if can_read_owed(role, source, destination):
            rows.append({"from": source, "micros": str(micros), "reason": reason, "to": destination})
    return rows


def show_tallies(view: View, role: Role, program: str | None) -> list[dict[str, Any]]:
    """The tallies this asker may see. Raises `Refused` ``NOT_FOUND``."""
    _check_party(role)
    readable = {each for each, issuer in view.get_issuers().items() if can_read_tally(role, issuer)}
    if program is not None:
        readable &= {program}
        if not readable:
            raise Refused("NOT_FOUND")
    rows = []
    for key, points in view.core.list_records(TALLY_TABLE):
        which, account = key.split("|")
        if which in readable:
            rows.append({"account": account, "points": str(points), "program": which})
    return rows


def _check_party(role: Role) -> None:
    """There are such rows for this kind of asker at all. Raises `Refused` ``NOT_FOUND``."""
    if not is_clearing_party(role):
        raise Refused("NOT_FOUND")
