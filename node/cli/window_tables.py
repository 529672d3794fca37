"""Windows on a terminal: as a node tells them, and a participant's side of a statement before it signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import typer

from contracts.messages.statement import Statement, StatementTransfer
from node.cli.tables import print_table
from node.cli.tell import tell
from node.statements.figures import format_amount, format_local

_WAITS: Final = {"closed": "until it is agreed: ", "confirmed": "until it is paid: "}


def print_windows(told: dict[str, Any], *, utc_offset_minutes: int) -> None:
    """The open window, and those that were cut."""
    rows = []
    opened = told.get("open")
    if isinstance(opened, dict):
        at = format_local(opened["opened_at"], utc_offset_minutes=utc_offset_minutes)
        rows.append((str(opened["window"]), "open", f"{opened['first_height']}-", f"since {at}", ""))
    for each in told["windows"]:
        at = format_local(each["closed_at"], utc_offset_minutes=utc_offset_minutes)
        heights = f"{each['first_height']}-{each['last_height']}"
        rows.append((str(each["window"]), each["state"], heights, at, each["statement"]))
    print_table(("window", "state", "heights", "closed", "statement"), rows)


def print_window(told: dict[str, Any], *, utc_offset_minutes: int) -> None:
    """One window: who has signed, and what was paid."""

    def format_time(millis: int) -> str:
        return format_local(millis, utc_offset_minutes=utc_offset_minutes)

    state = told["state"]
    rows = [
        ("window", str(told["window"])),
        ("state", state),
        ("heights", f"{told['first_height']}-{told['last_height']}"),
        ("closed", format_time(told["closed_at"])),
        ("statement", told["statement"]),
        ("agreed", " ".join(told["agreed"])),
        ("disputed", " ".join(told["disputed"])),
        ("silent", " ".join(sorted(set(told["parties"]) - {*told["agreed"], *told["disputed"]}))),
    ]
    if state in _WAITS:
        rows.append(("waits", _WAITS[state] + format_time(told["due_at"])))
    print_table(None, rows)
    typer.echo()
    unit = told["unit_micros"]
    print_table(
        ("transfer", "from", "to", "amount", "payer's reference", "payee's reference"),
        [
            (
                str(place),
                each["from"],
                each["to"],
                format_amount(each["units"] * unit),
                each.get("payer_reference", ""),
                each.get("payee_reference", ""),
            )
            for place, each in enumerate(told["transfers"])
        ],
    )


def tell_side(statement: Statement, digest: str, participant: str, *, lines: Sequence[int]) -> None:
    """What the statement comes to for one participant, and the lines it disputes."""
    tell(f"window {statement.window}, heights {statement.first_height}-{statement.last_height}: {digest}")
    unit = statement.payment_unit_micros
    for position in statement.positions:
        if position.participant == participant:
            verb = "is paid" if position.units > 0 else "pays"
            tell(f"{participant} {verb} {statement.currency} {format_amount(abs(position.units) * unit)}")
    for place, transfer in enumerate(statement.transfers):
        if participant in (transfer.source, transfer.destination):
            tell_transfer(statement, transfer, place)
    for place in lines:
        line = statement.lines[place]
        tell(
            f"disputed line {place}: {line.source} owes {line.destination} "
            f"{format_amount(int(line.micros))} ({line.reason})"
        )


def tell_transfer(statement: Statement, transfer: StatementTransfer, place: int) -> None:
    """One payment."""
    amount = format_amount(transfer.units * statement.payment_unit_micros)
    tell(f"payment {place}: {transfer.source} to {transfer.destination}, {statement.currency} {amount}")
