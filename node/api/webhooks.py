"""Webhooks: where a participant's own server wants to hear of entries, managed by the participant itself.

An address that entries go to is a standing decision over a participant's data, so it takes more than a till:
the token has to have been given for a `transact` or `govern` key, or printed by the operator on the machine.
What is done then is `node.api.webhook_desk`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ledger.codec import INTEGER_MAX, decode_shape
from ledger.errors import Refused
from ledger.transaction import KEY_TABLE, RegisteredKey
from node.access import Role
from node.api import feed_answers as answers
from node.api.bodies import SMALL_BODY_BYTES_MAX, read_body
from node.api.identity import BEARER, RoleParam, ask
from node.api.page import describe
from node.api.parameters import ASKED
from node.api.reading import encode_answer
from node.api.site import Site, SiteParam
from node.api.view import View
from node.api.webhook_desk import Desk
from node.webhooks.addresses import URL_CHARACTERS_MAX
from node.webhooks.delivery import TYPES

MANAGING_PURPOSES: Final = frozenset({"transact", "govern"})
_ID: Final = "^wh_[0-9a-f]{16}$"
_TYPES_MAX: Final = 64
_CODES: Final = ("BAD_REQUEST", "UNAUTHENTICATED", "TOKEN_INVALID", "WRONG_PURPOSE", "NOT_FOUND")
_BODY_CODES: Final = ("MALFORMED", "TOO_LARGE")

Index = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Type = Annotated[str, Meta(max_length=64)]


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that registers an endpoint."""

    url: Annotated[str, Meta(max_length=URL_CHARACTERS_MAX)]
    after: Index | UnsetType = UNSET
    types: Annotated[list[Type], Meta(min_length=1, max_length=_TYPES_MAX)] | UnsetType = UNSET


class Again(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that asks for entries once more."""

    after: Index


_WANTED: Final = msgspec.json.Decoder(Wanted)
_AGAIN: Final = msgspec.json.Decoder(Again)
_AFTER: Final = {
    "type": "integer",
    "minimum": 0,
    "maximum": INTEGER_MAX,
    "description": "Deliver what stands behind this index.",
}


def _describe_body(properties: dict[str, Any], *, required: str, example: dict[str, Any]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": [required],
        "properties": properties,
    }
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


_WANTED_BODY: Final = _describe_body(
    {
        "after": {**_AFTER, "description": "Deliver what stands behind this index; absent: from now on."},
        "types": {
            "type": "array",
            "minItems": 1,
            "maxItems": _TYPES_MAX,
            "items": {"type": "string", "enum": sorted(TYPES)},
        },
        "url": {"type": "string", "maxLength": URL_CHARACTERS_MAX},
    },
    required="url",
    example={"types": ["redeem"], "url": "https://shop.example/hooks/points"},
)
_AGAIN_BODY: Final = _describe_body({"after": _AFTER}, required="after", example={"after": 345})

WebhookPath = Annotated[
    str, Path(pattern=_ID, description="An endpoint of the asker's.", examples=["wh_2f1d8c0a9b3e4f57"])
]


def find_owner(request: Request, site: SiteParam, role: RoleParam) -> Role:
    """The participant whose endpoints this asker manages. Raises `Refused` ``WRONG_PURPOSE``, or
    ``NOT_FOUND`` where there can be none.
    """
    if site.webhooks is None or role.kind != "participant":
        raise Refused("NOT_FOUND")
    spelled = BEARER.fullmatch(request.headers["authorization"])
    bearer = site.tokens.verify(spelled[1] if spelled else "")
    if bearer.key is not None:
        record: RegisteredKey | None = View(site.core).get(KEY_TABLE, bearer.key)
        purpose = "" if record is None else record.purpose
        if purpose not in MANAGING_PURPOSES:
            raise Refused("WRONG_PURPOSE", purpose=purpose)
    return role


OwnerParam = Annotated[Role, Depends(find_owner)]
_MANAGED: Final = (Depends(ask), *ASKED)

router = APIRouter(tags=["webhooks"], responses=describe(*_CODES))


@router.post(
    "/v1/webhooks",
    response_model=answers.NewWebhook,
    openapi_extra=_WANTED_BODY,
    dependencies=_MANAGED,
    responses=describe(*_CODES, *_BODY_CODES),
)
async def create_webhook(request: Request, site: SiteParam, owner: OwnerParam) -> Response:
    """Register an endpoint: entries that concern this participant are delivered to it from now on. The answer
    holds the secret, which is not shown again. A participant, with a token of a `transact` or `govern` key.
    """
    body = await read_body(request.scope["headers"], request.receive, limit=SMALL_BODY_BYTES_MAX)
    wanted = decode_shape(body, _WANTED)
    types = () if wanted.types is UNSET else tuple(wanted.types)
    after = None if wanted.after is UNSET else wanted.after
    return await run_in_threadpool(
        _answer, site, lambda desk: desk.register(owner.id, wanted.url, types, after)
    )


@router.get("/v1/webhooks", response_model=answers.Webhooks, dependencies=_MANAGED)
def list_webhooks(site: SiteParam, owner: OwnerParam) -> Response:
    """The participant's endpoints, and how each is doing."""
    return _answer(site, lambda desk: desk.list_rows(owner.id))


@router.get("/v1/webhooks/{webhook}", response_model=answers.OneWebhook, dependencies=_MANAGED)
def get_webhook(site: SiteParam, owner: OwnerParam, webhook: WebhookPath) -> Response:
    """One endpoint: where it stands, and its last failures."""
    return _answer(site, lambda desk: desk.show(owner.id, webhook))


@router.delete("/v1/webhooks/{webhook}", response_model=answers.RemovedWebhook, dependencies=_MANAGED)
def delete_webhook(site: SiteParam, owner: OwnerParam, webhook: WebhookPath) -> Response:
    """Nothing more is delivered to the endpoint, and its secret is forgotten."""
    return _answer(site, lambda desk: desk.remove(owner.id, webhook))


@router.post("/v1/webhooks/{webhook}/enable", response_model=answers.OneWebhook, dependencies=_MANAGED)
def enable_webhook(site: SiteParam, owner: OwnerParam, webhook: WebhookPath) -> Response:
    """The endpoint is enabled, and the entry whose turn it is is tried at once."""
    return _answer(site, lambda desk: desk.restart(owner.id, webhook, None))


@router.post(
    "/v1/webhooks/{webhook}/redeliver",
    response_model=answers.OneWebhook,
    openapi_extra=_AGAIN_BODY,
    dependencies=_MANAGED,
    responses=describe(*_CODES, *_BODY_CODES),
)
async def redeliver_webhook(
    request: Request, site: SiteParam, owner: OwnerParam, webhook: WebhookPath
) -> Response:
    """Everything behind `after` is delivered once more, in order, under the same ids; a disabled endpoint is
    enabled.
    """
    body = await read_body(request.scope["headers"], request.receive, limit=SMALL_BODY_BYTES_MAX)
    after = decode_shape(body, _AGAIN).after
    return await run_in_threadpool(_answer, site, lambda desk: desk.restart(owner.id, webhook, after))


def _answer(site: Site, work: Callable[[Desk], dict[str, Any]]) -> Response:
    if site.webhooks is None:
        raise Refused("NOT_FOUND")
    return encode_answer({**work(site.webhooks), "height": site.core.head.height})
