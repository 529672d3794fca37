"""A short-lived bearer token for reading, asked for with the participant's own key.

The request is signed by RFC 9421 as docs/spec/api.md, "Tokens", says: method, address and content digest are
covered, the chain is the tag, and the nonce is good once. A token is kept until shortly before it expires,
one for each node. Transactions need none: they carry a signature of their own.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
import time
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from ledger.codec import to_base64url
from ledger.keys import Signer
from merchant_sdk.errors import CommonpointError, NotSent, Unverified
from merchant_sdk.transport import Transport

LABEL: Final = "commonpoint"
COVERED: Final = ("@method", "@target-uri", "content-digest")
PATH: Final = "/v1/tokens"
ATTEMPTS_MAX: Final = 3
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
_SPARE_MILLIS: Final = 30_000
"""A token this near its end is not used any more."""


class TokenAnswer(Struct, frozen=True):
    """What a node answers."""

    expires: int
    token: str


class _Message(NamedTuple):
    """A request as the signing library reads one."""

    method: str
    url: str
    headers: dict[str, str]


_DECODER: Final = msgspec.json.Decoder(TokenAnswer)


def sign_request(
    *, url: str, body: bytes, signer: Signer, chain: str, created_seconds: int, nonce: str
) -> dict[str, str]:
    """The headers that authenticate a POST of ``body`` to ``url``."""
    # Loading it takes a while, and who only submits never needs it.
    from http_message_signatures import HTTPMessageSigner, algorithms  # noqa: PLC0415

    message = _Message("POST", url, {"content-type": "application/json"})
    library = HTTPMessageSigner(signature_algorithm=algorithms.ED25519)
    prepared = library.prepare(
        message,
        key_id=signer.key_id,
        created=dt.datetime.fromtimestamp(created_seconds, tz=dt.UTC),
        nonce=nonce,
        label=LABEL,
        tag=chain,
        covered_component_ids=COVERED,
        body=body,
    )
    library.apply(message, prepared, signer.sign(prepared.signature_base))
    return message.headers


class TokenKeeper:
    """The tokens of one subject, one a node."""

    def __init__(self, *, subject: str, signer: Signer, chain: str) -> None:
        self._body = msgspec.json.encode({"subject": subject})
        self._signer = signer
        self._chain = chain
        self._tokens: dict[str, TokenAnswer] = {}

    async def get(self, transport: Transport) -> str:
        """A token that the node asked next will take. Raises `NotSent` or `RefusedByNode`."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                return await self.get_at(transport, await transport.meet())
            except CommonpointError as error:
                # Whether or not the node saw the request, its nonce is spent: the next one is signed anew.
                if attempt == ATTEMPTS_MAX or not (error.may_retry or error.code == "NONCE_USED"):
                    raise
        raise NotSent("no attempt was made")

    async def get_at(self, transport: Transport, url: str) -> str:
        """A token that the node at this address will take, and that no other node is shown."""
        # Tokens live in the machine's time, on simulated chains too.
        held = self._tokens.get(url)
        if held is not None and held.expires - _SPARE_MILLIS >= time.time_ns() // 1_000_000:
            return held.token
        headers = sign_request(
            url=url + PATH,
            body=self._body,
            signer=self._signer,
            chain=self._chain,
            created_seconds=time.time_ns() // 1_000_000_000,
            nonce=to_base64url(secrets.token_bytes(16)),
        )
        data = await transport.request("POST", PATH, headers=headers, body=self._body, at=url)
        try:
            answer = _DECODER.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Unverified("ANSWER_MALFORMED", facts={"reason": str(error)[:200]}) from None
        if not _TOKEN.fullmatch(answer.token):
            raise Unverified("ANSWER_MALFORMED", facts={"reason": "a token no header can carry"})
        self._tokens[url] = answer
        return answer.token

    def forget(self) -> None:
        """The tokens held are not used again: a node said that one is not valid."""
        self._tokens.clear()
