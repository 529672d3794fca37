"""Exports: what an asker may see anyway, as CSV for a spreadsheet or a bookkeeper's program.

Entries are read from the log while they are sent, a bundle of leaves at a time, so an export of a year needs
no more memory than one of a day; whatever was in the log when it began is in it, and nothing that came later.
It makes way: few run at once, each pauses as long as it worked while transactions wait, whoever does not take
what was sent is let go, and a node that stops ends it. An export that was cut short lacks the end of its
transfer, which every HTTP client notices; where it broke off, the last row's `index` is the `after` to go on
with.

Nothing is decided here about who sees which row: that is `node.access`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BeforeValidator, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contracts.mechanics.records import PARTICIPANT, PROGRAM
from ledger.errors import Refused
from node.access import get_owner, is_clearing_party
from node.api.bodies import Disconnected
from node.api.csv_rows import Cell, encode_row, get_money_cells
from node.api.entry_rows import COLUMNS, EntryScan
from node.api.identity import RoleParam
from node.api.page import describe
from node.api.parameters import READ_WITH_TOKEN, OptionalBefore, OptionalProgram, Size, read_decimal
from node.api.positions import show_bilateral, show_positions, show_tallies
from node.api.reading import read
from node.api.site import Site, SiteParam
from node.api.view import View

MEDIA_TYPE: Final = "text/csv; charset=utf-8; header=present"
TAKE_SECONDS: Final = 30.0
"""How long the asker may take over one piece."""
LIMIT_MAX: Final = 1_000_000
_CODES: Final = ("BAD_REQUEST", "UNAUTHENTICATED", "TOKEN_INVALID", "NOT_FOUND", "BUSY", "NOT_YET")
_HEADER: Final = {"schema": {"type": "integer"}}
_CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "CSV (RFC 4180) in UTF-8 with a header row",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
        "headers": {
            "Commonpoint-Height": {"description": "The ledger height it stands for.", **_HEADER},
            "Commonpoint-Size": {"description": "Leaves of the log at that height.", **_HEADER},
        },
    }
}

OptionalAfter = Annotated[
    Size | None, Query(description="Only entries above this index: the last row's, to go on.")
]
OptionalLimit = Annotated[
    Annotated[int, BeforeValidator(read_decimal), Field(ge=1, le=LIMIT_MAX)] | None,
    Query(description="Rows at most; without it, all there are.", examples=[1000]),
]

router = APIRouter(prefix="/v1/export", tags=["exports"], responses={**describe(*_CODES), **_CSV})


@router.get("/entries.csv", response_class=Response, dependencies=READ_WITH_TOKEN)
async def export_entries(
    *,
    site: SiteParam,
    role: RoleParam,
    after: OptionalAfter = None,
    before: OptionalBefore = None,
    limit: OptionalLimit = None,
) -> Response:
    """Entries as CSV, oldest first: a participant those that concern it, an auditor all."""
    if not is_clearing_party(role):
        raise Refused("NOT_FOUND")
    await run_in_threadpool(site.catch_up)
    view = View(site.core)
    scan = EntryScan(
        view,
        role,
        first=0 if after is None else after + 1,
        end=view.head.size if before is None else min(before, view.head.size),
        limit=limit,
    )
    return RowStream(
        site, str(role), scan, headers=_make_headers("entries", view.head.height, view.head.size)
    )


@router.get("/positions.csv", response_class=Response, dependencies=READ_WITH_TOKEN)
def export_positions(site: SiteParam, role: RoleParam) -> Response:
    """Net positions as CSV: a participant its own, an auditor all."""

    def show(view: View) -> Iterator[Iterable[Cell]]:
        names = _get_names(view)
        yield ("participant", "name", "net_micros", "net")
        for row in show_positions(view, role):
            account = row["participant"]
            yield account, names.get(get_owner(account)), *get_money_cells(int(row["net_micros"]))

    return _export(site, "positions", show)


@router.get("/bilateral.csv", response_class=Response, dependencies=READ_WITH_TOKEN)
def export_bilateral(site: SiteParam, role: RoleParam) -> Response:
    """What each owes each, by reason, gross, as CSV: a participant where it is one of the two, an auditor
    all.
    """

    def show(view: View) -> Iterator[Iterable[Cell]]:
        names = _get_names(view)
        yield ("from", "from_name", "to", "to_name", "reason", "micros", "amount")
        for row in show_bilateral(view, role):
            source, to = row["from"], row["to"]
            parties = (source, names.get(get_owner(source)), to, names.get(get_owner(to)))
            yield *parties, row["reason"], *get_money_cells(int(row["micros"]))

    return _export(site, "bilateral", show)


@router.get("/tallies.csv", response_class=Response, dependencies=READ_WITH_TOKEN)
def export_tallies(site: SiteParam, role: RoleParam, program: OptionalProgram = None) -> Response:
    """Where each program's points came from and went, as CSV: an issuer its own programs', an auditor all."""

    def show(view: View) -> Iterator[Iterable[Cell]]:
        programs = dict(view.core.list_records(PROGRAM))
        yield ("program", "program_name", "issuer", "account", "points")
        for row in show_tallies(view, role, program):
            record = programs[row["program"]]
            yield row["program"], record.name, record.issuer, row["account"], int(row["points"])

    return _export(site, "tallies", show)


class RowStream(Response):
    """Rows that are read while they are sent. Raises `Refused` ``BUSY`` before the first is."""

    def __init__(self, site: Site, asker: str, scan: EntryScan, *, headers: dict[str, str]) -> None:
        super().__init__(headers=headers, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._site = site
        self._asker = asker
        self._scan = scan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send what there is for as long as somebody takes it."""
        with self._site.long_reads.hold(self._asker):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            gone = asyncio.ensure_future(_wait_until_gone(receive))
            try:
                async for piece in self._read():
                    if gone.done():
                        raise Disconnected
                    async with asyncio.timeout(TAKE_SECONDS):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
            except TimeoutError:
                raise Disconnected from None
            finally:
                gone.cancel()
                with suppress(asyncio.CancelledError):
                    await gone
            await send({"type": "http.response.body", "body": b""})

    async def _read(self) -> AsyncIterator[bytes]:
        """The pieces. Raises `Disconnected` when the node stops: the end is then missing, and seen to be."""
        core = self._site.core
        yield encode_row(COLUMNS).encode()
        while True:
            started = time.perf_counter()
            rows = await run_in_threadpool(self._scan.read_some)
            if rows is None:
                return
            # Also where nothing was found: it is asked each time whether anybody still listens.
            yield rows
            if not core.is_ready:
                raise Disconnected
            if core.waiting:
                await asyncio.sleep(time.perf_counter() - started)


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _export(site: Site, name: str, show: Any) -> Response:
    """A small table, all of it at one height."""
    found = read(site, lambda view: {"rows": "".join(map(encode_row, show(view))), "size": view.head.size})
    headers = _make_headers(name, found["height"], found["size"])
    return Response(found["rows"], media_type=MEDIA_TYPE, headers=headers)


def _make_headers(name: str, height: int, size: int) -> dict[str, str]:
    return {
        "cache-control": "no-store",
        "commonpoint-height": str(height),
        "commonpoint-size": str(size),
        "content-disposition": f'attachment; filename="{name}.csv"',
    }


def _get_names(view: View) -> dict[str, str]:
    return {participant: record.name for participant, record in view.core.list_records(PARTICIPANT)}
