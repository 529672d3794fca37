"""The short way to an entry bundle: what followers of a busy log ask for again and again is answered where it
is asked, from memory, as it was packed when it was stored.

Only what would be answered with 200 is answered here: a plain GET with a token that may read bundles, by
whoever takes Zstandard (RFC 8878, RFC 9659), of a bundle that is in memory. Whatever else it is goes the way
of all requests (`node.api.log`), which knows every refusal and reads the disk.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response
from starlette.types import Scope

from ledger.errors import Refused
from ledger.log.tiles import parse_tile_path
from node.access import can_read_bundles
from node.api import log
from node.api.core import Core
from node.api.identity import BEARER
from node.tokens import TokenIssuer

_PREFIX: Final = "/tile/entries/"
_BODY: Final = frozenset({b"content-length", b"transfer-encoding"})
_ROUTE: Final = next(route for route in log.router.routes if getattr(route, "name", "") == "get_bundle")


class LogFiles:
    """What can be answered at once, of one node."""

    def __init__(self, *, core: Core, tokens: TokenIssuer) -> None:
        self._core = core
        self._tokens = tokens

    def find(self, scope: Scope) -> Response | None:
        """The answer, where it is one that is given here; it is counted as that of its route."""
        path = scope["path"]
        if not path.startswith(_PREFIX) or scope["method"] != "GET" or scope["query_string"]:
            return None
        given: list[bytes] = []
        is_packed = False
        for name, value in scope["headers"]:
            if name == b"authorization":
                given.append(value)
            elif name == b"accept-encoding":
                is_packed = is_packed or log.takes_frames(value.decode("latin-1"))
            elif name in _BODY:
                return None
        if not is_packed or len(given) != 1 or not self._may_read(given[0].decode("latin-1")):
            return None
        try:
            place = parse_tile_path(path[1:])
        except Refused:
            return None
        data = self._core.find_packed_bundle(place.index, place.width)
        if data is None:
            return None
        scope["route"] = _ROUTE
        return log.make_bundle(data, place, is_packed=True)

    def _may_read(self, header: str) -> bool:
        """Whether the token is good by itself: one that was given for a key is looked up by the other way."""
        spelled = BEARER.fullmatch(header)
        if spelled is None:
            return False
        try:
            bearer = self._tokens.verify(spelled[1])
        except Refused:
            return False
        return bearer.key is None and can_read_bundles(bearer.role)
