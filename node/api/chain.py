"""The alliance as everybody in it may see it: the chain, its parameters, participants and programs, and
today's quotes.

The chain and its parameters are public: who wants to verify anything begins there. The rest needs any token.
How much of a grant is used is the business of the two it is between.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from contracts.mechanics.parameters import PARAMETERS, get_value_at
from contracts.mechanics.policies import get_policy
from contracts.mechanics.records import (
    GRANT,
    PARAMETER,
    PARTICIPANT,
    PROGRAM,
    SERIES,
    GrantRecord,
    Participant,
    Policy,
    Program,
)
from ledger.errors import Refused
from ledger.policy_chain import derive_policy
from ledger.transaction import KEY_TABLE, RegisteredKey
from ledger.values import FOREVER
from node.access import Role, can_read_grant_use
from node.api import alliance_answers as answers
from node.api.identity import RoleParam
from node.api.page import describe
from node.api.parameters import (
    READ,
    READ_WITH_TOKEN,
    PointsQuery,
    ProgramPath,
    ProgramQuery,
    SeriesQuery,
    TargetQuery,
)
from node.api.quotes import compute_quote
from node.api.reading import answer
from node.api.site import Site, SiteParam
from node.api.view import View
from node.policies import list_texts, list_vkeys

_READ = ("BAD_REQUEST", "UNAUTHENTICATED", "TOKEN_INVALID", "NOT_YET")


router = APIRouter(tags=["alliance"])


@router.get(
    "/v1/chain",
    response_model=answers.Chain,
    dependencies=READ,
    responses=describe("BAD_REQUEST", "NOT_YET"),
)
def get_chain(site: SiteParam) -> Response:
    """The chain, where it stands, and all a client needs to pin it. Anyone."""
    return answer(site, lambda view: _show_chain(site, view))


@router.get(
    "/v1/parameters",
    response_model=answers.Parameters,
    dependencies=READ,
    responses=describe("BAD_REQUEST", "NOT_YET"),
)
def list_parameters(site: SiteParam) -> Response:
    """Every parameter with its value now and the changes announced. Anyone."""
    return answer(
        site, lambda view: {"parameters": [_show_parameter(view, name) for name in sorted(PARAMETERS)]}
    )


@router.get(
    "/v1/participants",
    response_model=answers.Participants,
    dependencies=READ_WITH_TOKEN,
    responses=describe(*_READ),
)
def list_participants(site: SiteParam) -> Response:
    """Every participant with its programs and keys. Any token."""
    return answer(site, lambda view: {"participants": _show_participants(view)})


@router.get(
    "/v1/programs", response_model=answers.Programs, dependencies=READ_WITH_TOKEN, responses=describe(*_READ)
)
def list_programs(site: SiteParam, role: RoleParam) -> Response:
    """Every program with its series, prices and grants. Any token."""
    return answer(site, lambda view: {"programs": _show_programs(view, role)})


@router.get(
    "/v1/programs/{program}",
    response_model=answers.Program,
    dependencies=READ_WITH_TOKEN,
    responses=describe(*_READ, "NOT_FOUND"),
)
def get_program(site: SiteParam, program: ProgramPath, role: RoleParam) -> Response:
    """One program. Any token."""

    def show(view: View) -> dict[str, Any]:
        record = view.get(PROGRAM, program)
        if record is None:
            raise Refused("NOT_FOUND")
        return _show_program(view, role, program, record)

    return answer(site, show)


@router.get(
    "/v1/quote", response_model=answers.Quote, dependencies=READ_WITH_TOKEN, responses=describe(*_READ)
)
def get_quote(
    site: SiteParam, program: ProgramQuery, series: SeriesQuery, target: TargetQuery, points: PointsQuery
) -> Response:
    """What an exchange of at most these points would take and give in the next block. Any token.

    Where the rates alone would reject the exchange, that code is the answer (400): `PROGRAM_UNKNOWN`,
    `PROGRAMS_MUST_DIFFER`, `SERIES_UNKNOWN`, `NO_OPEN_SERIES`, `EXCHANGE_TOO_SMALL`, `AMOUNT_TOO_LARGE`.
    """
    return answer(
        site,
        lambda view: compute_quote(view, program=program, series=series, target=target, points=points),
    )


def _show_chain(site: Site, view: View) -> dict[str, Any]:
    settings = site.core.origin.settings
    return {
        "chain": site.core.chain,
        "clock": settings.clock,
        "currency": settings.currency,
        "epoch": len(list_texts(site.core)),
        "genesis": [leaf.decode() for leaf in site.core.origin.leaves],
        "name": settings.name,
        "operator": settings.operator,
        "policy": site.core.policy,
        "size": view.head.size,
        "time": view.head.time,
        "utc_offset_minutes": settings.utc_offset_minutes,
        "version": site.version,
        "vkey": site.core.vkey,
        "vkeys": list_vkeys(site.core, derive_policy(site.core.origin)),
    }


def _show_parameter(view: View, name: str) -> dict[str, Any]:
    record = view.get(PARAMETER, name)
    changes = record.changes if record is not None else ()
    height = view.block.height
    ahead = [{"height": change.height, "value": change.value} for change in changes if change.height > height]
    return {"changes": ahead, "name": name, "value": get_value_at(record, name=name, height=height)}


def _show_participants(view: View) -> list[dict[str, Any]]:
    programs: dict[str, list[str]] = {}
    for program, issuer in view.get_issuers().items():
        programs.setdefault(issuer, []).append(program)
    keys: dict[str, list[dict[str, Any]]] = {}
    for identifier, key in view.core.list_records(KEY_TABLE):
        keys.setdefault(key.participant, []).append(_show_key(identifier, key))
    found: list[tuple[str, Participant]] = view.core.list_records(PARTICIPANT)
    return [
        {
            "keys": keys.get(participant, []),
            "name": record.name,
            "participant": participant,
            "programs": programs.get(participant, []),
        }
        for participant, record in found
    ]


def _show_key(key: str, record: RegisteredKey) -> dict[str, Any]:
    shown = {"key": key, "public": record.public, "purpose": record.purpose, "valid_from": record.valid_from}
    return shown if record.valid_to == FOREVER else {**shown, "valid_to": record.valid_to}


def _show_programs(view: View, role: Role) -> list[dict[str, Any]]:
    found: list[tuple[str, Program]] = view.core.list_records(PROGRAM)
    return [_show_program(view, role, program, record) for program, record in found]


def _show_program(view: View, role: Role, program: str, record: Program) -> dict[str, Any]:
    grants = [
        _show_grant(view, role, record.issuer, key, grant)
        for key, grant in view.core.list_records(GRANT)
        if key.startswith(program + "|")
    ]
    begin = program + "|"
    names = [key.removeprefix(begin) for key, _ in view.core.list_records(SERIES) if key.startswith(begin)]
    series = [_show_series(view, program, name) for name in names]
    return {
        "grants": grants,
        "issuer": record.issuer,
        "name": record.name,
        "policy": _show_policy(view, role, record.issuer, get_policy(view, program)),
        "program": program,
        "series": series,
        "spend_per_point": record.spend_per_point,
    }


def _show_policy(view: View, role: Role, issuer: str, policy: Policy) -> dict[str, Any]:
    """What holds for everybody; how far the bonus budget is used, for whose it is."""
    shown: dict[str, Any] = {
        "cooling_days": policy.cooling_days,
        "gifts": policy.gifts,
        "order_share_basis_points": policy.order_share_basis_points,
        "points_order": policy.points_order,
        "shortfall": policy.shortfall,
    }
    if can_read_grant_use(role, issuer=issuer, grantee=issuer):
        shown |= {
            "bonus_day": policy.bonus_day,
            "bonus_total": policy.bonus_total,
            "used_day": policy.used_day if policy.day == view.block.day else 0,
            "used_total": policy.used_total,
        }
    return shown


def _show_series(view: View, program: str, series: str) -> dict[str, Any]:
    record = view.get(SERIES, f"{program}|{series}")
    pars = [
        {"height": each.height, "par_accrue": each.accrue, "par_redeem": each.redeem} for each in record.pars
    ]
    return {"expiry_months": record.expiry_months, "opened": record.opened, "pars": pars, "series": series}


def _show_grant(view: View, role: Role, issuer: str, key: str, grant: GrantRecord) -> dict[str, Any]:
    _, grantee, kind = key.split("|")
    shown = {
        "budget_day": grant.budget_day,
        "budget_total": grant.budget_total,
        "expires": grant.expires,
        "kind": kind,
        "to": grantee,
    }
    if can_read_grant_use(role, issuer=issuer, grantee=grantee):
        shown["used_day"] = grant.used_day if grant.day == view.block.day else 0
        shown["used_total"] = grant.used_total
    return shown
