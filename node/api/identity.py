"""Identity: from a bearer token, or a signed request for one, to the role that asks.

A token that was given for a key is good only while that key is: a revoked key takes its tokens with it at the
next height. Participants show any key that acts for them; members show the key in force now.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from contracts.mechanics.members import get_current_key
from contracts.mechanics.records import MEMBER, Member
from ledger.codec import from_base64url
from ledger.errors import Refused
from ledger.keys import key_id as compute_key_id
from ledger.transaction import KEY_TABLE, RegisteredKey
from node.access import Role
from node.api.site import Site
from node.api.view import View

SIGNING_PURPOSES: Final = frozenset({"transact", "till", "custody", "govern"})
BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9_.-]{1,1024})")


def find_key(view: View, role: Role, key: str) -> bytes:
    """The public key by which this subject may say who it is now.

    Raises `Refused` ``UNKNOWN_KEY`` (also for a subject that does not exist), ``KEY_NOT_VALID`` or
    ``WRONG_PURPOSE``.
    """
    if role.kind == "member":
        member: Member | None = view.get(MEMBER, role.id)
        current = get_current_key(member, time=view.block.time)[0] if member is not None else ""
        raw = from_base64url(current, size=32) if current else b""
        if not raw or compute_key_id(raw) != key:
            raise Refused("UNKNOWN_KEY", key=key)
        return raw
    record: RegisteredKey | None = view.get(KEY_TABLE, key)
    if role.kind != "participant" or record is None or record.participant != role.id:
        raise Refused("UNKNOWN_KEY", key=key)
    if not record.valid_from <= view.block.height < record.valid_to:
        raise Refused("KEY_NOT_VALID", key=key, height=view.block.height)
    if record.purpose not in SIGNING_PURPOSES:
        raise Refused("WRONG_PURPOSE", purpose=record.purpose)
    return from_base64url(record.public, size=32)


class TokenScheme(SecurityBase):
    """The dependency that answers who is asking, from the one `Authorization` header."""

    def __init__(self) -> None:
        self.scheme_name = "token"
        self.model = BearerModel(
            description="A token from `POST /v1/tokens`, or from `commonpoint key token`."
        )

    def __call__(self, request: Request) -> Role:
        """The role. Raises `Refused` ``UNAUTHENTICATED`` or ``TOKEN_INVALID``."""
        given = request.headers.getlist("authorization")
        if not given:
            raise Refused("UNAUTHENTICATED")
        spelled = BEARER.fullmatch(given[0])
        if len(given) > 1 or spelled is None:
            raise Refused("TOKEN_INVALID", reason="not one bearer token")
        site: Site = request.app.state.site
        bearer = site.tokens.verify(spelled[1])
        if bearer.key is not None:
            try:
                find_key(View(site.core), bearer.role, bearer.key)
            except Refused:
                raise Refused("TOKEN_INVALID", reason="its key is no longer in force") from None
        return bearer.role


ask: Final = TokenScheme()
RoleParam = Annotated[Role, Depends(ask)]
