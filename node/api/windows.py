"""Windows as they may be seen: the one that is open, those that were cut, their statements, and who owes how
much of its limit.

A statement is shown as the very bytes whose hash stands in the log, so what a participant signs is what it
has read. Participants, auditors and the operator see all windows: each line of a statement may be disputed by
the two it is about, and its sums can only be checked by who has all of it. What the open window has come to
so far is, like every position, each one's own.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from contracts.mechanics.cutting import collect_sums
from contracts.mechanics.settlement_records import STATEMENT, WINDOW, Transfer, WindowRecord
from contracts.mechanics.statement import compute_nets
from contracts.mechanics.windows import get_open_window, get_window_key
from ledger.errors import Refused
from node.access import Role, can_read_position
from node.api import decision_answers as answers
from node.api.governance import CODES, check_reader
from node.api.identity import RoleParam
from node.api.page import describe
from node.api.parameters import READ_WITH_TOKEN, LimitQuery, OptionalWindow, WindowPath
from node.api.reading import answer, read
from node.api.site import SiteParam
from node.api.view import View
from node.exposures import Owing, list_exposures

_JSON = "application/json"
_STATEMENT: dict[str, Any] = {
    "content": {_JSON: {"schema": {"type": "object"}}},
    "description": "The statement's canonical bytes; `ETag` is their SHA-256, base64url.",
}


router = APIRouter(tags=["settlement"], responses=describe(*CODES))


@router.get("/v1/windows", response_model=answers.Windows, dependencies=READ_WITH_TOKEN)
def list_windows(
    *, site: SiteParam, role: RoleParam, before: OptionalWindow = None, limit: LimitQuery = 50
) -> Response:
    """The open window with what it has come to (a participant its own, an auditor all), and those that were
    cut, newest first. Participants, auditors, the operator.
    """
    check_reader(role)
    return answer(site, lambda view: _show_windows(view, role, before=before, limit=limit))


@router.get("/v1/windows/{window}", response_model=answers.Window, dependencies=READ_WITH_TOKEN)
def get_window(site: SiteParam, role: RoleParam, window: WindowPath) -> Response:
    """A window that was cut: who has signed, who disputes, what has been paid.

    Participants, auditors, the operator.
    """
    check_reader(role)
    return answer(site, lambda view: _show_window(window, _find_window(view, window)))


@router.get(
    "/v1/windows/{window}/statement",
    response_class=Response,
    responses={200: _STATEMENT, 304: {"description": "The asker has these bytes (`If-None-Match`)."}},
    dependencies=READ_WITH_TOKEN,
)
def get_statement(request: Request, site: SiteParam, role: RoleParam, window: WindowPath) -> Response:
    """The statement, byte for byte as its hash in the log has it. Participants, auditors, the operator."""
    check_reader(role)

    def find(view: View) -> dict[str, Any]:
        record = _find_window(view, window)
        return {"hash": record.statement, "text": view.get(STATEMENT, get_window_key(window))}

    found = read(site, find)
    tag = f'"{found["hash"]}"'
    headers = {"cache-control": "private, max-age=31536000, immutable", "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(found["text"].encode(), media_type=_JSON, headers=headers)


@router.get("/v1/exposures", response_model=answers.Exposures, dependencies=READ_WITH_TOKEN)
def get_exposures(site: SiteParam, role: RoleParam) -> Response:
    """What each participant owes that is not settled, and how much of its limit that is.

    Participants, auditors, the operator.
    """
    check_reader(role)
    return answer(
        site,
        lambda view: {
            "exposures": [_show_owing(each) for each in list_exposures(view, time=view.block.time)]
        },
    )


def _find_window(view: View, window: int) -> WindowRecord:
    record: WindowRecord | None = view.get(WINDOW, get_window_key(window))
    if record is None:
        raise Refused("NOT_FOUND")
    return record


def _show_windows(view: View, role: Role, *, before: int | None, limit: int) -> dict[str, Any]:
    cut = [(int(key), record) for key, record in view.list_records(WINDOW)]
    cut = [each for each in reversed(cut) if before is None or each[0] < before]
    shown: dict[str, Any] = {
        "open": _show_open(view, role),
        "windows": [_show_summary(*each) for each in cut[:limit]],
    }
    if len(cut) > limit:
        shown["next"] = cut[limit - 1][0]
    return shown


def _show_open(view: View, role: Role) -> dict[str, Any]:
    window = get_open_window(view, view.block)
    # What it would be cut with now: the very sums of the rule that cuts it.
    sums = collect_sums(view, view.block, window)
    nets = compute_nets(sums.lines, sums.brought)
    shown = {
        "first_height": window.first_height,
        "opened_at": window.opened_at,
        "positions": [
            {"net": str(net), "participant": name}
            for name, net in sorted(nets.items())
            if can_read_position(role, name)
        ],
        "window": window.number,
    }
    return {**shown, "cut_height": window.cut_height} if window.cut_height else shown


def _show_summary(window: int, record: WindowRecord) -> dict[str, Any]:
    return {
        "closed_at": record.closed_at,
        "due_at": record.due_at,
        "first_height": record.first_height,
        "last_height": record.last_height,
        "opened_at": record.opened_at,
        "state": record.state,
        "statement": record.statement,
        "window": window,
    }


def _show_window(window: int, record: WindowRecord) -> dict[str, Any]:
    return {
        **_show_summary(window, record),
        "agreed": record.agreed,
        "disputed": record.disputed,
        "parties": record.parties,
        "transfers": [_show_transfer(each) for each in record.transfers],
        "unit_micros": record.unit_micros,
    }


def _show_transfer(transfer: Transfer) -> dict[str, Any]:
    shown: dict[str, Any] = {"from": transfer.payer, "to": transfer.payee, "units": transfer.units}
    if transfer.payer_reference:
        shown["payer_reference"] = transfer.payer_reference
    if transfer.payee_reference:
        shown["payee_reference"] = transfer.payee_reference
    return shown


def _show_owing(owing: Owing) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "held": str(owing.held),
        "owed": str(owing.owed),
        "participant": owing.participant,
    }
    if owing.cap is not None:
        shown["cap"] = str(owing.cap)
    if owing.cover is not None:
        shown["cover"] = str(owing.cover.cover)
        shown["cover_expires"] = owing.cover.expires
        shown["reserve"] = str(owing.cover.reserve)
    if owing.limit is not None:
        shown["limit"] = str(owing.limit)
        shown["percent"] = owing.percent
    return shown
