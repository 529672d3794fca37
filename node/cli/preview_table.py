"""A preview for people at a terminal: who would have had what else, and which outcomes flip."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table

from node.cli.tables import format_money
from node.preview.report import Preview
from node.preview.words import tell_action

_WIDTH: Final = 112
"""Where nobody's terminal says another: files and pipes."""
_EXAMPLES_SHOWN: Final = 3
_NAMES: Final = {
    "issued": "points issued",
    "redeemed_home": "points redeemed at home",
    "redeemed_elsewhere": "points redeemed elsewhere",
    "exchanged_in": "points exchanged in",
    "exchanged_out": "points exchanged out",
    "expired": "points expired",
    "clawed_back": "points clawed back",
    "liability_points": "liability, points",
    "liability_micros": "liability, money",
    "fees_micros": "fees (the operator's, or paid to it)",
    "position_micros": "net position",
}


def print_preview(preview: Preview) -> None:
    """The whole preview on standard output."""
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    for number, action in enumerate(preview.actions, start=1):
        console.print(f"{number}. {tell_action(action)}", markup=False)
    console.print(
        f"heights {preview.first_height:,} to {preview.last_height:,}, "
        f"{preview.compared:,} outcomes compared",
        markup=False,
    )
    console.print(
        f"verified against the log: {preview.size:,} leaves came out byte for byte the same, "
        f"{preview.signed_size:,} of them under the signed checkpoint",
        markup=False,
    )
    console.print()
    if not preview.is_enacted:
        console.print(
            f"It could not be enacted at height {preview.first_height:,}: {preview.enactment}", markup=False
        )
    if preview.changes_nothing:
        console.print("No difference anywhere.")
        return
    _print_impacts(console, preview)
    _print_flips(console, preview)


def _print_impacts(console: Console, preview: Preview) -> None:
    table = Table(box=None, pad_edge=False)
    for head in ("participant", "what", "as it was", "as proposed", "difference"):
        is_number = head not in ("participant", "what")
        table.add_column(head, justify="right" if is_number else "left", overflow="fold")
    for impact in preview.impacts:
        name = impact.participant
        for measure, told in _NAMES.items():
            difference = getattr(impact.difference, measure)
            if difference:
                base, proposed = getattr(impact.base, measure), getattr(impact.proposed, measure)
                cells = (_tell(measure, each) for each in (base, proposed))
                table.add_row(name, told, *cells, _tell(measure, difference, is_signed=True))
                name = ""
    if table.row_count:
        console.print(table)
    else:
        console.print("Nobody's points, fees or position would have been others.")


def _print_flips(console: Console, preview: Preview) -> None:
    console.print()
    altered = sum(preview.altered.values())
    console.print(f"{preview.flipped:,} outcomes flip, {altered:,} keep their code and say something else")
    if not preview.flips:
        return
    table = Table(box=None, pad_edge=False)
    for head in ("message", "was", "would be", "how many", "for example"):
        table.add_column(head, justify="right" if head == "how many" else "left", overflow="fold")
    for group in preview.flips:
        examples = ", ".join(
            f"{each.reference or 'entry'} of {each.sender or 'a block'}"
            for each in group.examples[:_EXAMPLES_SHOWN]
        )
        table.add_row(group.type, group.before, group.after, f"{group.count:,}", examples)
    console.print(table)


def _tell(measure: str, amount: int, *, is_signed: bool = False) -> str:
    told = format_money(amount) if measure.endswith("_micros") else f"{amount:,}"
    return f"+{told}" if is_signed and amount > 0 else told
