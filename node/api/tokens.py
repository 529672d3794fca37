"""Asking for a token: a request signed with a participant's or a member's own key, once.

What the signature has to cover is `node.http_signatures`'s business, which key may speak for whom
`node.api.identity`'s.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter
from msgspec import Meta, Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ledger.codec import decode_shape
from node.access import Role, parse_role
from node.api import answers
from node.api.bodies import SMALL_BODY_BYTES_MAX, read_body
from node.api.identity import find_key
from node.api.page import describe
from node.api.parameters import ASKED
from node.api.reading import encode_answer
from node.api.site import Site, SiteParam
from node.api.view import View
from node.http_signatures import Headers, SignedRequest, compute_target_url, verify_request
from node.tokens import API_SECONDS_MAX

_SUBJECT: Final = r"\A(participant:[a-z0-9][a-z0-9.-]{1,62}|member:m_[0-9a-hjkmnp-tv-z]{26})\Z"


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request for a token."""

    subject: Annotated[str, Meta(pattern=_SUBJECT, max_length=96)]


_WANTED: Final = msgspec.json.Decoder(Wanted)
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["subject"],
                    "properties": {
                        "subject": {
                            "type": "string",
                            "pattern": _SUBJECT.replace("\\A", "^").replace("\\Z", "$"),
                        }
                    },
                },
                "example": {"subject": "participant:fresh"},
            }
        },
    }
}


router = APIRouter(tags=["tokens"])


@router.post(
    "/v1/tokens",
    response_model=answers.Token,
    openapi_extra=_BODY,
    dependencies=ASKED,
    responses=describe(
        "MALFORMED",
        "TOO_LARGE",
        "SIGNATURE_INVALID",
        "UNKNOWN_KEY",
        "KEY_NOT_VALID",
        "WRONG_PURPOSE",
        "NONCE_USED",
        "BUSY",
    ),
)
async def create_token(request: Request, site: SiteParam) -> Response:
    """A token for 15 minutes. The request is signed by RFC 9421: `ed25519`, `keyid` = the key id, label
    `commonpoint`, over `@method`, `@target-uri` and `content-digest`, with `created`, `nonce` and `tag` =
    the chain.
    """
    body = await read_body(request.scope["headers"], request.receive, limit=SMALL_BODY_BYTES_MAX)
    token, expires = await run_in_threadpool(_give_token, site, request.scope, body)
    return encode_answer({"expires": expires, "token": token})


def _give_token(site: Site, scope: Any, body: bytes) -> tuple[str, int]:
    role: Role = parse_role(decode_shape(body, _WANTED).subject)
    lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    host = next((value for name, value in lines if name == "host"), "")
    query = "?" + scope["query_string"].decode("latin-1") if scope["query_string"] else ""
    url = compute_target_url(
        scheme=scope["scheme"], host=host, target=scope["path"] + query, origins=site.origins
    )
    key = verify_request(
        SignedRequest("POST", url, Headers(lines), body),
        chain=site.core.chain,
        now_seconds=site.clock() // 1000,
        find_key=lambda key: find_key(View(site.core), role, key),
        nonces=site.nonces,
    )
    return site.tokens.issue(role, seconds=API_SECONDS_MAX, key=key)
