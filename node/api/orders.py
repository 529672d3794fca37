"""Orders and entries: what the log says about one thing, and a receipt of it to keep.

An order is whatever its sender called it by; an entry is one leaf. Both are shown to those they concern, and
to nobody else is it said whether they exist.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from msgspec import Raw
from starlette.responses import Response

from ledger.errors import Refused
from node.access import Role, can_read_transaction
from node.api import answers
from node.api.entries import encode_receipt, find_entry, make_row, make_rows, prove_witnessed
from node.api.identity import RoleParam
from node.api.page import describe
from node.api.parameters import READ_WITH_TOKEN, IndexPath, OptionalSender, ReferencePath, WitnessedQuery
from node.api.reading import answer, read
from node.api.site import SiteParam
from node.api.view import View
from node.policies import find_epoch_of

_CODES = ("BAD_REQUEST", "UNAUTHENTICATED", "TOKEN_INVALID", "NOT_FOUND", "NOT_YET", "NOT_WITNESSED")


router = APIRouter(tags=["entries"], responses=describe(*_CODES))


@router.get("/v1/orders/{reference}", response_model=answers.Order, dependencies=READ_WITH_TOKEN)
def get_order(
    site: SiteParam, role: RoleParam, reference: ReferencePath, sender: OptionalSender = None
) -> Response:
    """Every entry that names this reference, oldest first: the sender's own; an auditor says whose."""
    return answer(site, lambda view: {"rows": _show_order(view, role, reference, sender)})


@router.get("/v1/entries/{index}", response_model=answers.EntryAnswer, dependencies=READ_WITH_TOKEN)
def get_entry(site: SiteParam, role: RoleParam, index: IndexPath) -> Response:
    """One entry with its transaction leaf: whoever it concerns, an auditor."""

    def show(view: View) -> dict[str, Any]:
        found = find_entry(view, index, role)
        row = make_row(view.core, index, found.leaf)
        return row if found.transaction is None else {**row, "transaction": Raw(found.transaction)}

    return answer(site, show)


@router.get("/v1/receipts/{index}", response_model=answers.ReceiptAnswer, dependencies=READ_WITH_TOKEN)
def get_receipt(
    site: SiteParam, role: RoleParam, index: IndexPath, witnessed: WitnessedQuery = None
) -> Response:
    """The entry's receipt, which verifies offline: who sees it as with entries. With ``witnessed`` under a
    checkpoint that satisfies the whole policy for its size.
    """
    found = read(site, lambda view: {"found": find_entry(view, index, role)})["found"]
    if witnessed is None:
        checkpoint, proof = site.core.prove_entry(index)
    else:
        checkpoint, proof = prove_witnessed(site.core, index)
    body = encode_receipt(
        found, checkpoint=checkpoint, epoch=find_epoch_of(site.core, checkpoint), proof=proof
    )
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


def _show_order(view: View, role: Role, reference: str, sender: str | None) -> list[dict[str, Any]]:
    whose = sender
    if whose is None:
        if role.kind == "auditor":
            raise Refused("BAD_REQUEST", parameter="sender", reason="missing: an auditor says whose order")
        whose = role.id
    indexes = view.core.find_order(whose, reference) if can_read_transaction(role, whose) else []
    if not indexes:
        raise Refused("NOT_FOUND")
    return make_rows(view.core, indexes)
