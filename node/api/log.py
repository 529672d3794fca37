"""The log as static files: the newest checkpoint, hash tiles and entry bundles exactly as C2SP tlog-tiles has
them.

Any tool for tiled logs can mirror and check them. Checkpoint and hash tiles say nothing about anybody and are
open to all; entry bundles are everybody's sales, and that is the one place where the log is not public.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ledger.codec import to_base64url
from ledger.errors import Refused
from ledger.log.tiles import TILE_WIDTH, TilePath, parse_tile_path
from node.access import can_read_bundles
from node.api import answers
from node.api.core import Core
from node.api.identity import RoleParam
from node.api.page import describe
from node.api.parameters import ASKED, READ, NewQuery, OldQuery, TilePlace
from node.api.reading import answer
from node.api.site import SiteParam
from node.policies import list_texts

_TEXT: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"
_FOREVER: Final = "max-age=31536000, immutable"
_BRIEFLY: Final = "max-age=60"
_FRAMES: Final = "zstd"
_FILE: Final[dict[str, Any]] = {"content": {_BYTES: {"schema": {"type": "string", "format": "binary"}}}}


router = APIRouter(tags=["log"])


@router.get(
    "/checkpoint",
    response_class=Response,
    responses={200: {"content": {_TEXT: {"schema": {"type": "string"}}}}},
    dependencies=ASKED,
)
def get_checkpoint(site: SiteParam) -> Response:
    """The newest signed checkpoint. Anyone."""
    return Response(site.core.checkpoint, media_type=_TEXT, headers={"cache-control": "no-cache"})


@router.get(
    "/tile/entries/{place:path}",
    response_class=Response,
    responses={200: _FILE, **describe("UNAUTHENTICATED", "TOKEN_INVALID", "NOT_FOUND")},
    dependencies=ASKED,
)
def get_bundle(request: Request, site: SiteParam, role: RoleParam, place: TilePlace) -> Response:
    """An entry bundle, full or partial (`{N}` or `{N}.p/{W}`): auditors and followers."""
    found = _read_place("entries/" + place)
    if not can_read_bundles(role) or found.level != "entries":
        raise Refused("NOT_FOUND")
    if takes_frames(",".join(request.headers.getlist("accept-encoding"))):
        packed = site.core.read_packed_bundle(found.index, found.width)
        if packed is not None:
            return make_bundle(packed, found, is_packed=True)
    return make_bundle(site.core.read_bundle(found.index, found.width), found, is_packed=False)


@router.get(
    "/tile/{place:path}",
    response_class=Response,
    responses={200: _FILE, **describe("NOT_FOUND")},
    dependencies=ASKED,
)
def get_tile(site: SiteParam, place: TilePlace) -> Response:
    """A hash tile, full or partial (`{L}/{N}` or `{L}/{N}.p/{W}`). Anyone."""
    found = _read_place(place)
    if found.level == "entries":
        raise Refused("NOT_FOUND")
    return _make_file(site.core.read_tile(found.level, found.index, found.width), found, scope="public")


@router.get(
    "/v1/consistency",
    response_model=answers.Consistency,
    responses=describe("BAD_REQUEST", "BAD_SIZES", "NOT_YET"),
    dependencies=READ,
)
def get_consistency(site: SiteParam, old: OldQuery, new: NewQuery) -> Response:
    """A consistency proof (RFC 6962) between two sizes of the log. Anyone."""
    return answer(
        site,
        lambda view: {"proof": [to_base64url(each) for each in view.core.prove_consistency(old, new)]},
    )


@router.get(
    "/v1/policies",
    response_model=answers.Policies,
    responses=describe("BAD_REQUEST", "NOT_YET"),
    dependencies=READ,
)
def list_policies(site: SiteParam) -> Response:
    """Every trust policy of the alliance, and what shows that it was enacted. Anyone."""
    return answer(site, lambda view: {"policies": _show_policies(view.core)})


def _show_policies(core: Core) -> list[dict[str, Any]]:
    steps = {step.epoch: step for step in core.list_policy_steps()}
    shown: list[dict[str, Any]] = [{"above": 0, "epoch": 0, "policy": core.policy}]
    for epoch, record in enumerate(list_texts(core), start=1):
        row = {"epoch": epoch, "height": record.height, "policy": record.policy}
        step = steps.get(epoch)
        if step is not None:
            # The epoch judges trees larger than the one in which it was enacted.
            row |= {"above": step.block.index + 1, "step": step}
        shown.append(row)
    return shown


def takes_frames(accepted: str) -> bool:
    """Whether an `Accept-Encoding` names Zstandard, without weighing it: whoever weighs gets plain bytes."""
    return _FRAMES in [each.strip().lower() for each in accepted.split(",")]


def make_bundle(data: bytes | None, place: TilePath, *, is_packed: bool) -> Response:
    """The entry bundle, as it is or as Zstandard frames. Raises `Refused` ``NOT_FOUND``."""
    answer = _make_file(data, place, scope="private")
    answer.headers["vary"] = "accept-encoding"
    if is_packed:
        answer.headers["content-encoding"] = _FRAMES
    return answer


def _read_place(place: str) -> TilePath:
    """What the path names, in its one spelling. Raises `Refused` ``NOT_FOUND``."""
    try:
        return parse_tile_path("tile/" + place)
    except Refused:
        raise Refused("NOT_FOUND") from None


def _make_file(data: bytes | None, place: TilePath, *, scope: Literal["public", "private"]) -> Response:
    """The file with how long it may be kept: full ones never change. Raises `Refused` ``NOT_FOUND``."""
    if data is None:
        raise Refused("NOT_FOUND")
    age = _FOREVER if place.width == TILE_WIDTH else _BRIEFLY
    return Response(data, media_type=_BYTES, headers={"cache-control": f"{scope}, {age}"})
