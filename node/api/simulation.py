"""Simulated chains are told the time: one block of everything waiting, when the operator says so.

A chain says in its genesis that it is simulated; on any other this route does not exist.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from ledger.codec import decode_shape
from ledger.errors import Refused
from ledger.values import Millis
from node.access import can_cut_blocks
from node.api import answers
from node.api.bodies import SMALL_BODY_BYTES_MAX, read_body
from node.api.identity import RoleParam
from node.api.page import describe
from node.api.parameters import ASKED
from node.api.reading import encode_answer
from node.api.site import SiteParam
from node.core import NodeCore


class Told(Struct, frozen=True, forbid_unknown_fields=True):
    """The body: the block's time, and how many transactions to wait for before it is cut."""

    time: Millis
    transactions: Annotated[int, Meta(ge=0, le=20_000)] = 0


_GATHER_SECONDS_MAX: Final = 10
_LOOK_AGAIN_SECONDS: Final = 0.0005
_TOLD: Final = msgspec.json.Decoder(Told)
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["time"],
                    "properties": {
                        "time": {"type": "integer", "minimum": 0, "maximum": 9007199254740991},
                        "transactions": {"type": "integer", "minimum": 0, "maximum": 20000},
                    },
                },
                "example": {"time": 1700000000000},
            }
        },
    }
}


router = APIRouter(tags=["submitting"])


@router.post(
    "/v1/simulation/blocks",
    response_model=answers.Cut,
    openapi_extra=_BODY,
    dependencies=ASKED,
    responses=describe(
        "MALFORMED", "TIME_BACKWARDS", "TOO_LARGE", "UNAUTHENTICATED", "TOKEN_INVALID", "NOT_FOUND", "NOT_YET"
    ),
)
async def cut_block(request: Request, site: SiteParam, role: RoleParam) -> Response:
    """Cut one block of everything waiting, ordered by (sender, id), at the time told, once as many
    transactions wait as are named. Simulated chains, operator.
    """
    if not can_cut_blocks(role):
        raise Refused("NOT_FOUND")
    body = await read_body(request.scope["headers"], request.receive, limit=SMALL_BODY_BYTES_MAX)
    told = decode_shape(body, _TOLD)
    return encode_answer(await site.cut(told.time, told.transactions))


class Cutter:
    """Cuts a simulated chain's blocks one at a time, so that each is answered as itself."""

    def __init__(self, core: NodeCore) -> None:
        self._core = core
        self._lock = threading.Lock()

    async def cut(self, time: int, transactions: int) -> dict[str, int]:
        """A block of everything waiting, once so many transactions wait. Raises `Refused`."""
        core = self._core
        try:
            async with asyncio.timeout(_GATHER_SECONDS_MAX):
                while core.waiting < transactions:  # noqa: ASYNC110 - the pool is other threads' too
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise Refused("NOT_YET", waiting=core.waiting, transactions=transactions) from None
        return await asyncio.to_thread(self._cut, time)

    def _cut(self, time: int) -> dict[str, int]:
        with self._lock:
            before = self._core.head.transactions
            head = self._core.cut_block(time)
        return {"height": head.height, "size": head.size, "transactions": head.transactions - before}
