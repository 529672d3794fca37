"""Operating: whether the node lives, whether it takes transactions, and its figures.

Health says only that the process can answer. Figures are for the machine itself and the operator; a request
that came through a proxy did not come from the machine itself, whatever address it shows.
"""

from __future__ import annotations

from ipaddress import ip_address

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ledger.errors import Refused
from node.access import can_read_metrics
from node.api.identity import ask
from node.api.page import describe
from node.api.parameters import ASKED
from node.api.site import SiteParam
from node.metrics import CONTENT_TYPE

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


router = APIRouter(tags=["operating"], dependencies=ASKED)


@router.get("/healthz", response_class=PlainTextResponse)
async def get_health() -> PlainTextResponse:
    """`ok` while the process can answer. Anyone."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", response_class=PlainTextResponse, responses=describe("NOT_READY"))
def get_readiness(site: SiteParam) -> PlainTextResponse:
    """`ready` while the history is loaded and what is sent gets into blocks. Anyone."""
    reason = site.core.find_rest()
    if reason is not None:
        raise Refused("NOT_READY", reason=reason)
    return PlainTextResponse("ready\n")


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=describe("UNAUTHENTICATED", "TOKEN_INVALID", "NOT_FOUND"),
)
def get_metrics(request: Request, site: SiteParam) -> Response:
    """The node's figures for Prometheus: from the machine itself, or role `operator`."""
    is_local = is_loopback(request)
    role = None if is_local else ask(request)
    if not can_read_metrics(role, is_loopback=is_local):
        raise Refused("NOT_FOUND")
    return Response(site.render_figures(), media_type=CONTENT_TYPE, headers={"cache-control": "no-store"})


def is_loopback(request: Request) -> bool:
    """Whether the request comes from this machine, and from no proxy on it."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
