"""Reading: one height for one answer.

Blocks are made while somebody reads. An answer that took half of its rows from before a block and half from
after it would show positions that do not add up, so a read that a block overtook is done again, and every
answer names the height it stands for.

Who may see which rows is `node.access`'s business; this module only says when, and for which height.
"""

from __future__ import annotations

import time as waiting_time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from ledger.errors import Refused
from node.api.site import Site
from node.api.view import View

_READ_ATTEMPTS_MAX: Final = 200
_OVERTAKEN_SECONDS: Final = 0.001
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_PRIVATE: Final = {"cache-control": "no-store"}


def read(site: Site, work: Callable[[View], Mapping[str, Any]]) -> dict[str, Any]:
    """What ``work`` finds at one height, with that height beside it."""
    site.catch_up()
    for _ in range(_READ_ATTEMPTS_MAX):
        view = View(site.core)
        found = dict(work(view))
        if view.is_current():
            found.setdefault("height", view.head.height)
            return found
        waiting_time.sleep(_OVERTAKEN_SECONDS)
    raise Refused("NOT_YET", reason="blocks come faster than this can be read")


def answer(site: Site, work: Callable[[View], Mapping[str, Any]]) -> Response:
    """`read`, as JSON that no cache keeps."""
    return encode_answer(read(site, work))


def encode_answer(found: Mapping[str, Any]) -> Response:
    """An answer's bytes: sorted keys, entries as the very bytes of the log."""
    return Response(_encode(found), media_type="application/json", headers=_PRIVATE)
