"""The demo's screen: progress while it runs, and what came of it in the end.

Everything shown was computed elsewhere; this module only lays it out. Where the output is no terminal there
are no bars, only a line now and then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from scripts.year.alliance import OPERATOR, get_names
from scripts.year.results import Results, Row, get_total

_PLAIN_WIDTH: Final = 180
_LINE_SECONDS: Final = 5.0
_MICROS_PER_CENT: Final = 10_000
_HALF_CENT: Final = 5_000
_COLUMNS: Final = (
    ("issued\nat home", "issued_home"),
    ("issued by\npartners", "issued_partner"),
    ("redeemed\nat home", "redeemed_home"),
    ("redeemed\nelsewhere", "redeemed_elsewhere"),
    ("refunded", "refunded"),
    ("given up on\nreturns", "clawed_back"),
    ("exchanged\nin", "exchanged_in"),
    ("exchanged\nout", "exchanged_out"),
    ("lapsed", "expired"),
    ("points\nowed", "liability_points"),
)
_MONEY_COLUMNS: Final = (
    ("liability\nat par", "liability_micros"),
    ("commission\npaid", "commission_micros"),
    ("net\nposition", "net_position_micros"),
)


def make_console() -> Console:
    """A console as wide as the terminal, or as the widest table where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


class Meter:
    """How far the year has come: purchases told, operations committed for them, and how long it will take."""

    def __init__(self, console: Console, *, purchases: int) -> None:
        self._console = console
        self._purchases = purchases
        self._began = self._told = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("purchases, {task.fields[operations]} operations, {task.fields[rate]} a second"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            refresh_per_second=4,
        )
        self._task = self._progress.add_task("the year", total=purchases, operations="0", rate="0")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def seconds(self) -> float:
        """Since the year began."""
        return time.monotonic() - self._began

    def show(self, purchases: int, operations: int) -> None:
        """So much is done."""
        seconds = max(self.seconds, 0.001)
        rate = operations / seconds
        if not self._progress.disable:
            self._progress.update(
                self._task, completed=purchases, operations=f"{operations:,}", rate=f"{rate:,.0f}"
            )
        elif time.monotonic() - self._told >= _LINE_SECONDS:
            self._told = time.monotonic()
            left = seconds * (self._purchases - purchases) / max(purchases, 1)
            self._console.print(
                f"  {purchases:,} of {self._purchases:,} purchases, {operations:,} operations, "
                f"{rate:,.0f} a second, {left:,.0f} s to go"
            )


def show_merchants(console: Console, results: Results, *, currency: str) -> None:
    """The table a merchant."""
    table = Table(title=f"The year, merchant by merchant (points; money in {currency})", title_justify="left")
    table.add_column("", no_wrap=True)
    for header, _ in (*_COLUMNS, *_MONEY_COLUMNS):
        table.add_column(header, justify="right")
    names = get_names()
    for participant, row in results.rows.items():
        table.add_row(names[participant], *_format_row(row, has_points=participant != OPERATOR))
    table.add_section()
    # Points of different programs are different things, so only money is added up.
    table.add_row("all", *_format_row(get_total(results.rows.values()), has_points=False))
    console.print(table)


def _format_row(row: Row, *, has_points: bool) -> list[str]:
    points = [f"{getattr(row, field):,}" if has_points else "" for _, field in _COLUMNS]
    return points + [format_money(getattr(row, field)) for _, field in _MONEY_COLUMNS]


def show_bilateral(console: Console, results: Results, *, currency: str) -> None:
    """Who owes whom, before anything is netted."""
    names = list(results.rows)
    table = Table(title=f"Who owes whom ({currency}; the row owes the column)", title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for source in names:
        amounts = [results.owed.get((source, target), 0) for target in names]
        table.add_row(source, *(format_money(micros) if micros else "·" for micros in amounts))
    console.print(table)


def show_facts(console: Console, title: str, facts: Mapping[str, Any]) -> None:
    """A few named facts under a heading."""
    console.print(f"\n[bold]{title}[/bold]")
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        console.print(f"  {name:<{width}}  {value}", markup=False, soft_wrap=True)


def show_requests(console: Console, *, address: str, requests: Sequence[tuple[str, str]]) -> None:
    """The running node's address and what to try first, each line ready to be pasted into a shell."""
    console.print(f"\n[bold]The node is running at {address}[/bold]  (Ctrl-C stops it)\n")
    for what, line in requests:
        console.print(f"  # {what}", markup=False)
        console.print(f"  {line}\n", markup=False, soft_wrap=True)


def format_money(micros: int) -> str:
    """The amount in whole cents, rounded half up; the summary has every micro of it."""
    cents = (abs(micros) + _HALF_CENT) // _MICROS_PER_CENT
    sign = "-" if micros < 0 and cents else ""
    return f"{sign}{cents // 100:,}.{cents % 100:02d}"
