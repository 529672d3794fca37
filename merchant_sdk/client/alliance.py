"""Reading what an alliance decides and settles: the answers of a node, as the records of
`merchant_sdk.government` and `merchant_sdk.windows`.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from merchant_sdk.client.connection import Connection
from merchant_sdk.client.reading import PAGE_ENTRIES, Reader, in_path, read_answer, wait_for
from merchant_sdk.errors import Unverified
from merchant_sdk.government import Government, Proposal
from merchant_sdk.statement import Statement
from merchant_sdk.windows import Exposure, OpenWindow, Window, WindowPosition, Windows, WindowSummary

T = TypeVar("T")


class _ProposalsAnswer(Struct, frozen=True, kw_only=True):
    next: int | None = None
    proposals: tuple[Proposal, ...]


class _PositionRow(Struct, frozen=True):
    net: str
    participant: str


class _OpenRow(Struct, frozen=True, kw_only=True):
    cut_height: int | None = None
    first_height: int
    opened_at: int
    positions: tuple[_PositionRow, ...]
    window: int


class _WindowsAnswer(Struct, frozen=True, kw_only=True):
    height: int
    next: int | None = None
    open: _OpenRow
    windows: tuple[WindowSummary, ...]


class _ExposureRow(Struct, frozen=True, kw_only=True):
    cap: str | None = None
    cover: str | None = None
    cover_expires: int | None = None
    held: str
    limit: str | None = None
    owed: str
    participant: str
    percent: int | None = None
    reserve: str | None = None


class _ExposuresAnswer(Struct, frozen=True):
    exposures: tuple[_ExposureRow, ...]
    height: int


class _Answer(Generic[T]):
    """How an answer is read. What reads it is made when it is first needed: a till asks none of this."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._made: msgspec.json.Decoder[T] | None = None

    def read(self, data: bytes) -> T:
        """What the answer says. Raises `Unverified` ``ANSWER_MALFORMED``."""
        if self._made is None:
            self._made = msgspec.json.Decoder(self._kind)
        return read_answer(data, self._made)


_GOVERNMENT: Final = _Answer(Government)
_PROPOSAL: Final = _Answer(Proposal)
_PROPOSALS: Final = _Answer(_ProposalsAnswer)
_WINDOWS: Final = _Answer(_WindowsAnswer)
_WINDOW: Final = _Answer(Window)
_EXPOSURES: Final = _Answer(_ExposuresAnswer)


class AllianceReader:
    """Asks what the alliance decides and settles, with the height that each answer waits for."""

    def __init__(self, reader: Reader, *, min_height: int) -> None:
        self._reader = reader
        self._waiting = wait_for(min_height)

    async def get_government(self) -> Government:
        """Who decides, and how."""
        return _GOVERNMENT.read(await self._ask("/v1/government"))

    async def get_proposals_page(
        self, state: str | None, before: int | None
    ) -> tuple[tuple[Proposal, ...], int | None]:
        """A page of proposals, newest first, and where the next begins."""
        asked = {"state": state, "before": before, "limit": PAGE_ENTRIES}
        page = _PROPOSALS.read(await self._ask("/v1/proposals", asked))
        return page.proposals, page.next

    async def get_proposal(self, proposal: str) -> Proposal:
        """One proposal. Raises `NotFound`."""
        return _PROPOSAL.read(await self._ask(f"/v1/proposals/{in_path(proposal)}"))

    async def get_windows(self) -> Windows:
        """The open window and all that were cut, newest first."""
        found: list[WindowSummary] = []
        before: int | None = None
        while True:
            asked = {"before": before, "limit": PAGE_ENTRIES}
            page = _WINDOWS.read(await self._ask("/v1/windows", asked))
            found += page.windows
            if page.next is None or page.next == before:
                return Windows(open=_read_open(page.open), windows=tuple(found), height=page.height)
            before = page.next

    async def get_window(self, window: int) -> Window:
        """A window that was cut. Raises `NotFound`."""
        return _WINDOW.read(await self._ask(f"/v1/windows/{window:d}"))

    async def get_statement(self, window: int) -> Statement:
        """A window's statement, read and not yet verified. Raises `NotFound`."""
        return Statement.read(await self._ask(f"/v1/windows/{window:d}/statement"))

    async def list_exposures(self) -> list[Exposure]:
        """What everybody owes."""
        answer = _EXPOSURES.read(await self._ask("/v1/exposures"))
        return [_read_exposure(row, answer.height) for row in answer.exposures]

    async def _ask(self, path: str, asked: dict[str, Any] | None = None) -> bytes:
        return await self._reader.ask(path, {**(asked or {}), **self._waiting})


def ask_alliance(connection: Connection[Any]) -> AllianceReader:
    """A reader whose answers know of everything that we were told is done."""
    return AllianceReader(connection.reader, min_height=connection.core.height)


def _read_open(row: _OpenRow) -> OpenWindow:
    return OpenWindow(
        window=row.window,
        first_height=row.first_height,
        opened_at=row.opened_at,
        cut_height=row.cut_height,
        positions=tuple(
            WindowPosition(participant=each.participant, net_micros=_read_micros(each.net))
            for each in row.positions
        ),
    )


def _read_exposure(row: _ExposureRow, height: int) -> Exposure:
    return Exposure(
        participant=row.participant,
        owed_micros=_read_micros(row.owed),
        held_micros=_read_micros(row.held),
        limit_micros=None if row.limit is None else _read_micros(row.limit),
        cap_micros=None if row.cap is None else _read_micros(row.cap),
        cover_micros=None if row.cover is None else _read_micros(row.cover),
        cover_expires=row.cover_expires,
        reserve_micros=None if row.reserve is None else _read_micros(row.reserve),
        percent=row.percent,
        height=height,
    )


def _read_micros(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise Unverified("ANSWER_MALFORMED", facts={"reason": str(error)[:200]}) from None
