"""Governance as it may be seen: who decides with what weight, what is proposed, what rests, what is tried.

Participants, auditors and the operator see all of it: nobody votes on what they cannot read. A proposal's
actions are shown as they were proposed; that they are the ones in the log the receipt of its `index` proves.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from contracts.mechanics.governance_records import (
    HALT,
    PROPOSAL,
    TRIAL,
    Government,
    Halt,
    ProposalRecord,
    TrialRecord,
)
from contracts.mechanics.government import get_government
from ledger.errors import Refused
from ledger.versions import RULEBOOK_KEY, RULEBOOK_TABLE
from node.access import Role, can_read_decisions
from node.api import decision_answers as answers
from node.api.identity import RoleParam
from node.api.page import describe
from node.api.parameters import READ_WITH_TOKEN, LimitQuery, OptionalBefore, ProposalPath
from node.api.reading import answer
from node.api.site import SiteParam
from node.api.view import View

CODES = ("BAD_REQUEST", "UNAUTHENTICATED", "TOKEN_INVALID", "NOT_FOUND", "NOT_YET")
StateQuery = Annotated[
    Literal["open", "passed", "enacted", "failed", "rejected", "cancelled"] | None,
    Query(description="Only proposals in this state."),
]
_NOTHING_RESTS = Halt((), (), (), ())


router = APIRouter(tags=["governance"], responses=describe(*CODES))


@router.get("/v1/government", response_model=answers.Government, dependencies=READ_WITH_TOKEN)
def get_constitution(site: SiteParam, role: RoleParam) -> Response:
    """Who votes with what weight, what each kind of proposal needs, what rests, what is tried.

    Participants, auditors, the operator.
    """
    check_reader(role)
    return answer(site, _show_government)


@router.get("/v1/proposals", response_model=answers.Proposals, dependencies=READ_WITH_TOKEN)
def list_proposals(
    *,
    site: SiteParam,
    role: RoleParam,
    state: StateQuery = None,
    before: OptionalBefore = None,
    limit: LimitQuery = 50,
) -> Response:
    """Proposals, newest first. Participants, auditors, the operator."""
    check_reader(role)
    return answer(site, lambda view: _show_proposals(view, state=state, before=before, limit=limit))


@router.get("/v1/proposals/{proposal}", response_model=answers.Proposal, dependencies=READ_WITH_TOKEN)
def get_proposal(site: SiteParam, role: RoleParam, proposal: ProposalPath) -> Response:
    """One proposal. Participants, auditors, the operator."""
    check_reader(role)

    def show(view: View) -> dict[str, Any]:
        record: ProposalRecord | None = view.get(PROPOSAL, proposal)
        if record is None:
            raise Refused("NOT_FOUND")
        return _show_proposal(get_government(view, view.block), proposal, record)

    return answer(site, show)


def check_reader(role: Role) -> None:
    """There is something of this for this kind of asker. Raises `Refused` ``NOT_FOUND``."""
    if not can_read_decisions(role):
        raise Refused("NOT_FOUND")


def _show_government(view: View) -> dict[str, Any]:
    government: Government = get_government(view, view.block)
    halt: Halt = view.get(HALT, HALT) or _NOTHING_RESTS
    version: int | None = view.get(RULEBOOK_TABLE, RULEBOOK_KEY)
    return {
        "configuration": government.configuration,
        "halt": {
            "messages": halt.messages,
            "programs": halt.programs,
            "removed": halt.removed,
            "suspended": halt.suspended,
        },
        "minimum_voters": government.minimum_voters,
        "rulebook": view.core.origin.settings.rulebook if version is None else version,
        "rules": [
            {"approve_basis_points": needed, "kind": kind, "notice_heights": notice}
            for kind, needed, notice in government.rules
        ],
        "trials": [_show_trial(name, trial) for name, trial in view.list_records(TRIAL)],
        "trustee": government.trustee,
        "voters": [{"participant": name, "weight": weight} for name, weight in government.voters],
    }


def _show_trial(parameter: str, trial: TrialRecord) -> dict[str, Any]:
    shown = {"parameter": parameter, "seed": trial.seed, "value": trial.value}
    if trial.members_basis_points:
        return {**shown, "members_basis_points": trial.members_basis_points}
    return {**shown, "merchants": trial.merchants}


def _show_proposals(view: View, *, state: str | None, before: int | None, limit: int) -> dict[str, Any]:
    found: list[tuple[str, ProposalRecord]] = [
        (name, record)
        for name, record in view.list_records(PROPOSAL)
        if state in (None, record.state) and (before is None or record.index < before)
    ]
    found.sort(key=lambda each: each[1].index, reverse=True)
    government = get_government(view, view.block)
    shown: dict[str, Any] = {"proposals": [_show_proposal(government, *each) for each in found[:limit]]}
    if len(found) > limit:
        shown["next"] = found[limit - 1][1].index
    return shown


def _show_proposal(government: Government, proposal: str, record: ProposalRecord) -> dict[str, Any]:
    shown = {
        "actions": record.actions,
        "approve_basis_points": record.approve_basis_points,
        "configuration": record.configuration,
        "effective_height": record.effective_height,
        "expires": record.expires,
        "index": record.index,
        "no": record.no,
        "notice_heights": record.notice_heights,
        "proposal": proposal,
        "proposer": record.proposer,
        "state": record.state,
        "weight_all": sum(weight for _, weight in government.voters),
        "weight_for": sum(weight for name, weight in government.voters if name in record.yes),
        "yes": record.yes,
    }
    return {**shown, "enacts_at": record.enacts_at} if record.enacts_at else shown
