"""Reading: what a node says when asked. Only its word, for the height it names; a receipt proves an entry.

Every question that is not everybody's to ask carries a token (`merchant_sdk.tokens`). One that has run out is
replaced once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote as quote_url
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from ledger.outcome import Lot
from merchant_sdk.errors import NotFound, RefusedByNode, Unverified
from merchant_sdk.programs import Program, read_program
from merchant_sdk.records import Endpoint
from merchant_sdk.results import Balance, EntryText, HistoryEntry, Position, Quote, read_history_entry
from merchant_sdk.tokens import TokenKeeper
from merchant_sdk.transport import Answered, Transport

PAGE_ENTRIES: Final = 200
T = TypeVar("T")


class _QuoteAnswer(Struct, frozen=True, kw_only=True):
    height: int
    least: int
    points_received: int
    points_taken: int
    rate_height: int
    valid_to_height: int | None = None


class _BalanceRow(Struct, frozen=True):
    available: int
    held: int
    lots: tuple[Lot, ...]
    points: int
    program: str


class _BalancesAnswer(Struct, frozen=True):
    balances: list[_BalanceRow]
    height: int


class _EntryRow(Struct, frozen=True):
    entry: EntryText
    height: int
    index: int
    time: int


class HistoryPage(Struct, frozen=True, kw_only=True):
    """A page of entries."""

    next: int | None = None
    """Where the next page begins; None where this is the last."""
    rows: list[_EntryRow]

    def read(self) -> list[HistoryEntry]:
        """The entries. Raises `Unverified` where one is none."""
        try:
            return [
                read_history_entry(index=row.index, height=row.height, time=row.time, entry=row.entry)
                for row in self.rows
            ]
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Unverified("ANSWER_MALFORMED", facts={"reason": str(error)[:200]}) from None


class EventsPage(HistoryPage, frozen=True, kw_only=True):
    """A page of what concerns us; `next` is the last leaf that was looked at."""

    next: int
    size: int
    """Leaves in the log."""


class _PositionRow(Struct, frozen=True):
    net_micros: str
    participant: str


class _PositionsAnswer(Struct, frozen=True):
    height: int
    rows: list[_PositionRow]


class _EndpointsAnswer(Struct, frozen=True):
    rows: list[Endpoint]


class ProgramRow(Struct, frozen=True):
    """A program, as far as the SDK needs it."""

    issuer: str
    program: str


class _ProgramsAnswer(Struct, frozen=True):
    programs: list[ProgramRow]


_QUOTE: Final = msgspec.json.Decoder(_QuoteAnswer)
_BALANCES: Final = msgspec.json.Decoder(_BalancesAnswer)
_HISTORY: Final = msgspec.json.Decoder(HistoryPage)
_EVENTS: Final = msgspec.json.Decoder(EventsPage)
_ENDPOINT: Final = msgspec.json.Decoder(Endpoint)
_ENDPOINTS: Final = msgspec.json.Decoder(_EndpointsAnswer)
_POSITIONS: Final = msgspec.json.Decoder(_PositionsAnswer)
_PROGRAMS: Final = msgspec.json.Decoder(_ProgramsAnswer)


class Reader:
    """Asks a node on behalf of one participant."""

    def __init__(self, transport: Transport, tokens: TokenKeeper) -> None:
        self._transport = transport
        self._tokens = tokens

    async def get_transaction(
        self, sender: str, transaction_id: str, *, digest: str, trusted_size: int
    ) -> Answered:
        """The answer to a transaction that is in the log, not yet looked at. Raises `NotFound`, which a node
        that only follows might say too early.
        """
        path = f"/v1/transactions/{in_path(sender)}/{in_path(transaction_id)}"
        return await self._ask(path, {"trusted_size": trusted_size, "digest": digest}, of_leader=True)

    async def get_absence(self, sender: str, transaction_id: str) -> Answered:
        """What the log's key states: there is no such transaction. Not yet looked at. Raises `NotFound`."""
        path = f"/v1/transactions/{in_path(sender)}/{in_path(transaction_id)}/absence"
        return await self._ask(path, None, of_leader=True)

    async def get_quote(self, *, program: str, series: str, target: str, points: int) -> Quote:
        """What an exchange would bring now."""
        asked = {"program": program, "series": series, "target": target, "points": points}
        answer = read_answer(await self.ask("/v1/quote", asked), _QUOTE)
        return Quote(
            program=program,
            series=series,
            target=target,
            points=points,
            points_taken=answer.points_taken,
            points_received=answer.points_received,
            least=answer.least,
            rate_height=answer.rate_height,
            valid_to_height=answer.valid_to_height,
            height=answer.height,
        )

    async def list_balances(self, member: str, program: str | None, min_height: int) -> list[Balance]:
        """A member's accounts."""
        path = f"/v1/members/{in_path(member)}/balances"
        answer = read_answer(await self.ask(path, {"program": program, **wait_for(min_height)}), _BALANCES)
        return [
            Balance(
                member=member,
                program=row.program,
                points=row.points,
                available=row.available,
                held=row.held,
                lots=row.lots,
                height=answer.height,
            )
            for row in answer.balances
        ]

    async def get_history_page(
        self, member: str, program: str | None, before: int | None, min_height: int
    ) -> HistoryPage:
        """A page of a member's history, newest first."""
        path = f"/v1/members/{in_path(member)}/history"
        asked = {"program": program, "before": before, "limit": PAGE_ENTRIES, **wait_for(min_height)}
        return read_answer(await self.ask(path, asked), _HISTORY)

    async def list_order(self, reference: str, min_height: int) -> list[HistoryEntry]:
        """Every entry of ours that names this reference, oldest first."""
        try:
            data = await self.ask(f"/v1/orders/{in_path(reference)}", wait_for(min_height))
        except NotFound:
            # An order that nobody heard of has no entries.
            return []
        return read_answer(data, _HISTORY).read()

    async def get_events_page(self, after: int, min_height: int) -> EventsPage:
        """A page of what concerns us behind the index ``after``, oldest first."""
        asked = {"after": after, "limit": PAGE_ENTRIES, **wait_for(min_height)}
        return read_answer(await self.ask("/v1/events", asked), _EVENTS)

    async def list_positions(self, min_height: int) -> list[Position]:
        """Our own net position and that of our rounding account."""
        answer = read_answer(await self.ask("/v1/positions", wait_for(min_height)), _POSITIONS)
        try:
            return [
                Position(participant=row.participant, net_micros=int(row.net_micros), height=answer.height)
                for row in answer.rows
            ]
        except ValueError as error:
            raise Unverified("ANSWER_MALFORMED", facts={"reason": str(error)[:200]}) from None

    async def list_programs(self) -> list[ProgramRow]:
        """All programs of the alliance."""
        return read_answer(await self.ask("/v1/programs"), _PROGRAMS).programs

    async def get_program(self, program: str) -> Program:
        """One program of the alliance. Raises `NotFound`."""
        return read_program(await self.ask(f"/v1/programs/{in_path(program)}"))

    async def register_webhook(self, wanted: Mapping[str, Any]) -> Endpoint:
        """A new endpoint. Sent once: a second one would be told everything twice."""
        return read_answer(await self._change("POST", "/v1/webhooks", wanted), _ENDPOINT)

    async def list_webhooks(self) -> list[Endpoint]:
        """Our endpoints at this node."""
        return read_answer(await self.ask("/v1/webhooks"), _ENDPOINTS).rows

    async def change_webhook(
        self, method: str, name: str, action: str, body: Mapping[str, Any] | None
    ) -> None:
        """An endpoint of ours is changed."""
        await self._change(method, f"/v1/webhooks/{in_path(name)}{action}", body)

    async def get_receipt(self, index: int, *, is_witnessed: bool = False) -> Answered:
        """A receipt, not yet looked at."""
        return await self._ask(f"/v1/receipts/{index:d}", {"witnessed": "yes" if is_witnessed else None})

    async def _get(self, path: str, asked: Mapping[str, Any] | None = None) -> bytes:
        return await self._transport.request("GET", _with_query(path, asked), headers={})

    async def _change(self, method: str, path: str, body: Mapping[str, Any] | None) -> bytes:
        """The answer to what changes something at the node asked, which is asked once."""
        url = await self._transport.meet()
        token = await self._tokens.get_at(self._transport, url)
        data = None if body is None else msgspec.json.encode(body)
        headers = {"authorization": f"Bearer {token}"}
        return await self._transport.request(method, path, headers=headers, body=data, at=url)

    async def ask(self, path: str, asked: Mapping[str, Any] | None = None) -> bytes:
        """As `_get`, saying who we are."""
        return (await self._ask(path, asked)).data

    async def _ask(self, path: str, asked: Mapping[str, Any] | None, *, of_leader: bool = False) -> Answered:
        target = _with_query(path, asked)
        for is_last in (False, True):
            token = await self._tokens.get(self._transport)
            try:
                headers = {"authorization": f"Bearer {token}"}
                return await self._transport.ask("GET", target, headers=headers, of_leader=of_leader)
            except RefusedByNode as refusal:
                # The node restarted, or its clock and ours disagree about the last minute.
                if is_last or refusal.code != "TOKEN_INVALID":
                    raise
                self._tokens.forget()
        raise RefusedByNode("TOKEN_INVALID", status=401)


def wait_for(min_height: int) -> dict[str, int]:
    """The question waits for this height; from the start on there is none to wait for."""
    return {"min_height": min_height} if min_height > 0 else {}


def _with_query(path: str, asked: Mapping[str, Any] | None) -> str:
    given = {name: value for name, value in (asked or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def in_path(text: str) -> str:
    """The text as one step of a path."""
    return quote_url(text, safe="")


def read_answer(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """What an answer says. Raises `Unverified`."""
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Unverified("ANSWER_MALFORMED", facts={"reason": str(error)[:200]}) from None
