"""Submitting: a transaction's bytes in, its outcomes out once they are durable, with the proof that they are
in the log.

The signature is the authentication, so there is no token. The route is plain ASGI, because everything else
here is paid once a block and this once a request: the body goes to the core as it came, and the outcomes
leave as the very bytes of the log.

Looking a transaction up again needs a token: only its sender and auditors may.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ledger.codec import encode, to_base64url
from ledger.errors import Refused
from node.access import can_read_transaction
from node.answers import Proofs, Taken
from node.api import answers
from node.api.bodies import TRANSACTION_BODY_BYTES_MAX, read_body
from node.api.core import Core, Take
from node.api.identity import RoleParam
from node.api.page import describe
from node.api.parameters import (
    READ_WITH_TOKEN,
    OptionalDigest,
    OptionalSize,
    SenderPath,
    TransactionPath,
    read_decimal,
)
from node.api.site import SiteParam

PATH: Final = "/v1/transactions"
_PROMISE_QUERY: Final = b"promise=yes"


class Submission:
    """The ASGI endpoint of `POST /v1/transactions`. Refusals are raised; the rim answers them."""

    def __init__(
        self,
        core: Core,
        *,
        take: Take,
        answer: Callable[[Taken, int | None], bytes],
        catch_up: Callable[[], None],
    ) -> None:
        self._core = core
        self._take = take
        self._answer = answer
        """The answer's bytes, with proofs from the size that the asker trusts."""
        self._catch_up = catch_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer when the block is durable."""
        trusted_size = None
        if scope["query_string"] == _PROMISE_QUERY:
            data = await read_body(scope["headers"], receive, limit=TRANSACTION_BODY_BYTES_MAX)
            promise = await run_in_threadpool(self._core.promise, data)
            await _answer(send, 202, encode(promise))
            return
        if scope["query_string"]:
            trusted_size = _read_trusted_size(scope["query_string"])
            if trusted_size > self._core.head.size:
                # Another process of this node may have told of a block that this one is about to hear of.
                await run_in_threadpool(self._catch_up)
            check_trusted_size(trusted_size, self._core)
        data = await read_body(scope["headers"], receive, limit=TRANSACTION_BODY_BYTES_MAX)
        await _answer(send, 200, self._answer(await self._take(data), trusted_size))


async def _answer(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": _make_headers(len(body))})
    await send({"type": "http.response.body", "body": body})


def prove(core: Core, taken: Taken, trusted_size: int | None) -> Proofs:
    """The proofs for a transaction's leaf and its entries, under today's checkpoint."""
    end = taken.index + 1 + len(taken.outcomes)
    return core.prove(first=taken.index, end=end, trusted_size=trusted_size)


def encode_taken(taken: Taken, proofs: Proofs) -> bytes:
    """The answer's canonical bytes, from parts that are canonical already."""
    consistency = b""
    if proofs.consistency is not None:
        consistency = b'"consistency":%b,' % encode_hashes(proofs.consistency)
    return b'{"checkpoint":%b,%b"height":%d,"index":%d,"outcomes":[%b],"proof":%b,"time":%d}' % (
        encode(proofs.checkpoint),
        consistency,
        taken.height,
        taken.index,
        b",".join(taken.outcomes),
        encode_hashes(proofs.proof),
        taken.time,
    )


def encode_hashes(hashes: Sequence[bytes]) -> bytes:
    """A JSON list of hashes in base64url."""
    data: bytes = encode([to_base64url(each) for each in hashes])
    return data


def _make_headers(length: int) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % length),
        (b"cache-control", b"no-store"),
    ]


def _read_trusted_size(query: bytes) -> int:
    """The one parameter. Raises `Refused` ``BAD_REQUEST`` before anything is taken."""
    given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    if [name for name, _ in given] != ["trusted_size"]:
        raise Refused("BAD_REQUEST", reason="trusted_size, once, or promise=yes is the only parameter")
    return _read_size(given[0][1])


def _read_size(text: str) -> int:
    try:
        return read_decimal(text)
    except ValueError as error:
        raise Refused("BAD_REQUEST", parameter="trusted_size", reason=str(error)) from None


def check_trusted_size(size: int, core: Core) -> None:
    """A tree size that this log has had. Raises `Refused` ``BAD_SIZES``."""
    if not 0 < size <= core.head.size:
        raise Refused("BAD_SIZES", trusted_size=size, size=core.head.size)


router = APIRouter(tags=["submitting"])


@router.get(
    "/v1/transactions/{sender}/{id}",
    response_model=answers.Taken,
    dependencies=READ_WITH_TOKEN,
    responses=describe(
        "BAD_REQUEST", "BAD_SIZES", "UNAUTHENTICATED", "TOKEN_INVALID", "NOT_FOUND", "ID_CONFLICT", "NOT_YET"
    ),
)
def get_transaction(
    *,
    site: SiteParam,
    role: RoleParam,
    sender: SenderPath,
    id: TransactionPath,  # noqa: A002 - the specification's word
    trusted_size: OptionalSize = None,
    digest: OptionalDigest = None,
) -> Response:
    """What came of a transaction that is in the log: its sender or an auditor."""
    site.catch_up()
    if trusted_size is not None:
        check_trusted_size(trusted_size, site.core)
    known = site.core.find_transaction(sender, id) if can_read_transaction(role, sender) else None
    if known is None:
        raise Refused("NOT_FOUND")
    if digest is not None and digest != known[0]:
        raise Refused("ID_CONFLICT", id=id)
    body = encode_taken(known[1], prove(site.core, known[1], trusted_size))
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


@router.get(
    "/v1/transactions/{sender}/{id}/absence",
    response_model=answers.Absence,
    dependencies=READ_WITH_TOKEN,
    responses=describe("BAD_REQUEST", "UNAUTHENTICATED", "TOKEN_INVALID", "NOT_FOUND", "NOT_YET"),
)
def get_absence(
    *,
    site: SiteParam,
    role: RoleParam,
    sender: SenderPath,
    id: TransactionPath,  # noqa: A002 - the specification's word
) -> Response:
    """Signed by the log's key: there is no such transaction. Its sender or an auditor."""
    site.catch_up()
    if not can_read_transaction(role, sender):
        raise Refused("NOT_FOUND")
    body = encode(site.core.state_absence(sender, id))
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


SUBMISSION_DESCRIPTION: Final[dict[str, Any]] = {
    "tags": ["submitting"],
    "summary": "Submit Transaction",
    "operationId": "submit_transaction",
    "description": (
        "The body is the transaction's canonical bytes (messages.md), signed; no token is needed. The answer"
        " comes when the block is durable. The same transaction again is answered again, whenever it is sent."
    ),
    "parameters": [
        {
            "name": "trusted_size",
            "in": "query",
            "required": False,
            "description": "Size of the tree you trust; adds a consistency proof.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 9007199254740991},
        },
        {
            "name": "promise",
            "in": "query",
            "required": False,
            "description": "Answer at once with a signed promise (202), and not with what came of it.",
            "schema": {"type": "string", "enum": ["yes"]},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["header", "messages", "signature"],
                    "properties": {
                        "header": {"type": "object"},
                        "messages": {
                            "type": "array",
                            "items": {"type": "object"},
                            "minItems": 1,
                            "maxItems": 8192,
                        },
                        "signature": {"type": "string", "pattern": "^[A-Za-z0-9_-]{86}$"},
                    },
                }
            }
        },
    },
    "responses": {
        "202": {
            "description": "Promised",
            "content": {"application/json": {"schema": answers.Promise.model_json_schema()}},
        },
        "200": {
            "description": "In the log",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Taken"}}},
        },
        **{
            str(status): response
            for status, response in describe(
                "TOO_LARGE",
                "MALFORMED",
                "NOT_CANONICAL",
                "TOO_MANY_MESSAGES",
                "EMPTY",
                "COUNT_MISMATCH",
                "WRONG_CHAIN",
                "DIGEST_MISMATCH",
                "EXPIRED",
                "NOT_AFTER_TOO_FAR",
                "UNKNOWN_KEY",
                "KEY_NOT_VALID",
                "NOT_IN_FORCE",
                "WRONG_PURPOSE",
                "SIGNATURE_INVALID",
                "ID_CONFLICT",
                "NOT_FOUND",
                "BAD_REQUEST",
                "BAD_SIZES",
                "BUSY",
                "STORAGE_LOW",
                "ENGINE_SWITCHED",
                "STOPPING",
            ).items()
        },
    },
}
"""How the page shows the one route that FastAPI does not serve."""
