"""A bearer token asked for with a participant's own key, as docs/spec/api.md, "Tokens", says.

The request is signed by RFC 9421: method, address and content digest are covered, the chain is the tag, the
nonce is good once. Only the tools of the command line ask for tokens here; merchants' systems have the SDK.
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from typing import Final, NamedTuple

import msgspec
from http_message_signatures import HTTPMessageSigner, algorithms

from ledger.codec import to_base64url
from ledger.keys import Signer
from node.audit.sources import SourceUnavailable
from node.http_signatures import COVERED, LABEL
from node.remote.connection import AskToken, Connection

PATH: Final = "v1/tokens"


class _Message(NamedTuple):
    """A request as the signing library reads one."""

    method: str
    url: str
    headers: dict[str, str]


def make_asker(*, participant: str, signer: Signer, chain: str) -> AskToken:
    """Asks a node for a token of this participant, with this key."""
    body = msgspec.json.encode({"subject": f"participant:{participant}"})

    def ask(connection: Connection) -> str:
        message = _Message("POST", f"{connection.url}/{PATH}", {"content-type": "application/json"})
        library = HTTPMessageSigner(signature_algorithm=algorithms.ED25519)
        prepared = library.prepare(
            message,
            key_id=signer.key_id,
            created=dt.datetime.fromtimestamp(time.time_ns() // 1_000_000_000, tz=dt.UTC),
            nonce=to_base64url(secrets.token_bytes(16)),
            label=LABEL,
            tag=chain,
            covered_component_ids=COVERED,
            body=body,
        )
        library.apply(message, prepared, signer.sign(prepared.signature_base))
        answer = msgspec.json.decode(connection.post(PATH, body, headers=message.headers))
        token = answer.get("token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise SourceUnavailable("SOURCE_ANSWERED", url=connection.url, reason="no token in the answer")
        return token

    return ask
