"""Requests for tokens as a client signs them: by RFC 9421, with any of its parts told otherwise."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import msgspec
from http_message_signatures import HTTPMessageSigner, algorithms

from ledger.keys import SeedSigner
from tests.node.api.desk import URL

PATH = "/v1/tokens"
COVERED = ("@method", "@target-uri", "content-digest")


class Request(NamedTuple):
    """A request as the signing library reads one."""

    method: str
    url: str
    headers: dict[str, str]


def make_nonce(number: int) -> str:
    """A nonce of 128 bits' length."""
    return f"nonce-{number:016d}"


def sign_request(
    signer: SeedSigner,
    *,
    chain: str,
    subject: str,
    now: int,
    nonce: str | None,
    url: str = URL + PATH,
    method: str = "POST",
    label: str = "commonpoint",
    covered: tuple[str, ...] = COVERED,
    key_id: str | None = None,
    expires: int | None = None,
    include_alg: bool = True,
) -> tuple[dict[str, str], bytes]:
    """The headers and the body."""
    body = msgspec.json.encode({"subject": subject})
    request = Request(method, url, {"content-type": "application/json"})
    library = HTTPMessageSigner(signature_algorithm=algorithms.ED25519)
    how: dict[str, Any] = {}
    if expires is not None:
        how["expires"] = dt.datetime.fromtimestamp(expires, tz=dt.UTC)
    prepared = library.prepare(
        request,
        key_id=key_id or signer.key_id,
        created=dt.datetime.fromtimestamp(now // 1000, tz=dt.UTC),
        nonce=nonce,
        label=label,
        tag=chain,
        covered_component_ids=covered,
        include_alg=include_alg,
        body=body if "content-digest" in covered else None,
        **how,
    )
    library.apply(request, prepared, signer.sign(prepared.signature_base))
    return request.headers, body
