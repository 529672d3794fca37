"""`commonpoint import`: members and opening balances of an existing program, from a CSV file to the ledger.

The file is read twice: once to check every line, and only if all of them hold, once more to send. Exit status
0: file and ledger say the same (or would: `--dry-run`). 1: lines were rejected or differ, and are listed.
2: it could not be run, or not to its end; run it again, nothing is lost and nothing happens twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.columns import print_columns
from node.cli.tell import BAD, GOOD, tell

if TYPE_CHECKING:
    from node.migration.balances import Terms, Totals
    from node.migration.importing import Reconciled
    from node.migration.session import Progress
    from node.migration.table import Fault

_SHOWN_MAX = 40
_WORDS = {
    "BALANCE_LIMIT": "the account would hold too much",
    "IMPORT_CLOSED": "the program takes no opening balances any more",
    "IMPORT_DATES": "the ledger does not take these days",
    "LOT_LIMIT": "the account has too many kinds of lots",
    "OCCURRED_TOO_LONG_AGO": "this import was begun too long ago",
    "REFERENCE_CONFLICT": "brought before, with other points",
}
_MILLIS_PER_DAY = 86_400_000


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with the columns customer, points, earned, expires.")
    ],
    *,
    program: Annotated[str, typer.Option(help="Whose points they are.")],
    series: Annotated[str, typer.Option(help="The series they are brought into.")],
    url: Annotated[str | None, typer.Option(help="The address of a node.")] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The issuer's keys: custody enrols, govern brings balances."),
    ] = None,
    govern_keys: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the govern key is, if elsewhere.")
    ] = None,
    participant: Annotated[
        str | None, typer.Option(help="Whose keys; else as participant.json beside them says.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The book of customers and members; else FILE.state."),
    ] = None,
    chain: Annotated[str | None, typer.Option(help="The chain string you were told: name/hash.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and add up; send and write nothing. Needs no node.")
    ] = False,
    leave_out: Annotated[
        bool, typer.Option("--leave-out-rejected", help="Send the good lines although others are not.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object.")] = False,
) -> None:
    """Bring the members and opening balances of an existing program onto the ledger."""
    if (url is None) != (keys is None) or (url is None and not dry_run):
        raise typer.BadParameter("give --url and --keys, or --dry-run alone")
    from node.migration.balances import Terms
    from node.migration.session import open_session

    opened = (
        nullcontext()
        if url is None or keys is None
        else open_session(url, keys=keys, participant=participant, chain=chain)
    )
    with opened as session:
        if session is None:
            terms = Terms(time.time_ns() // 1_000_000 // _MILLIS_PER_DAY, None, slack_days=1)
        else:
            terms = session.read_terms(program, series)
        totals, faults, sha256 = _check(file, terms)
        if not as_json:
            _tell_totals(file, totals, faults)
        result: Reconciled | None = None
        if session is not None and not dry_run and (leave_out or not faults):
            with _show_progress(totals.lines) as progress:
                result = session.send(
                    file,
                    sha256=sha256,
                    terms=terms,
                    program=program,
                    series=series,
                    govern_keys=govern_keys or keys or Path(),
                    state=file.with_name(f"{file.name}.state") if state is None else state,
                    progress=progress,
                )
    if as_json:
        typer.echo(_encode(totals, faults, result))
    else:
        _tell_result(result, is_dry=dry_run)
    raise typer.Exit(BAD if faults or (result is not None and result.differences) else GOOD)


def _check(file: Path, terms: Terms) -> tuple[Totals, list[Fault], str]:
    """The first reading: totals, what cannot be sent, and the hash of what was read."""
    from node.migration.balances import REQUIRED, Totals, read_balances
    from node.migration.table import Fault, open_table

    totals = Totals()
    with open_table(file, required=REQUIRED) as table:
        faults = [
            each for each in read_balances(table, terms=terms, totals=totals) if isinstance(each, Fault)
        ]
        return totals, faults, table.sha256


def _tell_totals(file: Path, totals: Totals, faults: list[Fault]) -> None:
    typer.echo(f"{file}")
    rows = [
        ("customers", f"{totals.customers:,}"),
        ("lots", f"{totals.lots:,}"),
        ("points", f"{totals.points:,}"),
        ("rejected lines", f"{totals.rejected:,}"),
    ]
    print_columns(rows, begin="  ")
    if totals.by_month:
        typer.echo("\n  points by the month in which they lapse")
        print_columns([(month, f"{points:,}") for month, points in sorted(totals.by_month.items())])
    if faults:
        typer.echo("\n  rejected")
        print_columns([(f"line {each.line:,}", each.told) for each in faults[:_SHOWN_MAX]], is_text=True)
        if len(faults) > _SHOWN_MAX:
            typer.echo(f"    and {len(faults) - _SHOWN_MAX:,} more: --json lists them all")


def _tell_result(result: Reconciled | None, *, is_dry: bool) -> None:
    if result is None:
        tell(
            "Nothing was sent." if is_dry else "Nothing was sent: correct the lines, or --leave-out-rejected."
        )
        return
    typer.echo("\n  file and ledger")
    print_columns(
        [
            ("members enrolled", f"{result.members:,}"),
            ("points in the file", f"{result.points:,}"),
            ("points on the ledger", f"{result.accepted_points:,}"),
            ("points that differ", f"{result.missing_points:,}"),
        ]
    )
    if result.differences:
        typer.echo("\n  not on the ledger")
        print_columns(
            [
                (
                    f"line {each.line:,}",
                    f"{each.points:,} points of {each.customer}: {_WORDS.get(each.code, each.code)}",
                )
                for each in result.differences[:_SHOWN_MAX]
            ],
            is_text=True,
        )
        if len(result.differences) > _SHOWN_MAX:
            typer.echo(f"    and {len(result.differences) - _SHOWN_MAX:,} more: --json lists them all")


def _encode(totals: Totals, faults: list[Fault], result: Reconciled | None) -> bytes:
    import msgspec

    told: dict[str, object] = {
        "customers": totals.customers,
        "lots": totals.lots,
        "points": totals.points,
        "points_by_month": dict(sorted(totals.by_month.items())),
        "rejected": [{"line": each.line, "code": each.code, "told": each.told} for each in faults],
        "sent": None,
    }
    if result is not None:
        told["sent"] = {
            "members": result.members,
            "points": result.points,
            "points_on_ledger": result.accepted_points,
            "differences": [each._asdict() for each in result.differences],
        }
    return msgspec.json.encode(told)


@contextmanager
def _show_progress(lines: int) -> Iterator[Progress]:
    """Lines sent of how many, on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("importing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("lines"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("lines", total=lines)
        yield lambda done: bar.update(task, completed=done)
