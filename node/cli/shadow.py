"""`commonpoint shadow`: a parallel run. An earlier system's daily export against the ledger, line by line.

Exit status 0: they say the same. 1: they do not, or lines could not be read; each is named. 2: nothing could
be compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.columns import print_columns
from node.cli.tables import format_day, print_table
from node.cli.tell import BAD, GOOD

if TYPE_CHECKING:
    from node.migration.comparison import Difference
    from node.migration.ledgers import Side
    from node.migration.shadowing import Compared

_SHOWN_MAX = 200
_WORDS = {
    "NOT_ON_LEDGER": "not on the ledger",
    "NOT_IN_EXPORT": "not in the export",
    "DIFFERS": "differs",
}


def shadow(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV: customer (or member), kind, points, day, …")
    ],
    *,
    program: Annotated[str, typer.Option(help="Whose points they are.")],
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="A data directory, in use or not.")] = None,
    url: Annotated[str | None, typer.Option(help="The address of a node.")] = None,
    token: Annotated[
        str | None, typer.Option(help="A bearer token, for --url.", envvar="COMMONPOINT_TOKEN")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keys to ask the node for a token with.")
    ] = None,
    participant: Annotated[
        str | None, typer.Option(help="Whose keys; else as participant.json beside them says.")
    ] = None,
    chain: Annotated[str | None, typer.Option(help="The chain string you were told: name/hash.")] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The book that commonpoint import keeps.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="As in 2026-03-01.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="As in 2026-03-31.")] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="THEIRS=OURS", help="What a word of the export means; may be repeated."),
    ] = None,
    tolerate_points: Annotated[
        int, typer.Option(metavar="N", help="Points a movement may differ by.", min=0)
    ] = 0,
    tolerate_balance: Annotated[
        int, typer.Option(metavar="N", help="Points a balance may differ by.", min=0)
    ] = 0,
    tolerate_days: Annotated[int, typer.Option(metavar="N", help="Days it may be apart.", min=0, max=31)] = 0,
    ignore_balance: Annotated[
        bool, typer.Option("--ignore-balance", help="Do not compare balances.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line: differences, then the sum.")
    ] = False,
) -> None:
    """Compare an earlier system's daily export with the ledger and report every difference."""
    if (data is None) == (url is None):
        raise typer.BadParameter("give one of --data DIR and --url URL")
    from node.migration.comparison import Tolerance
    from node.migration.exports import read_kinds
    from node.migration.shadowing import compare

    members = _read_book(state)
    with (
        _open(program, data, url, token=token, keys=keys, participant=participant, chain=chain) as side,
        compare(
            file,
            side,
            members=members,
            kinds=read_kinds(kind or []),
            tolerance=Tolerance(tolerate_points, None if ignore_balance else tolerate_balance, tolerate_days),
            first_day=_read_day(first, "--from"),
            last_day=_read_day(last, "--to"),
        ) as compared,
    ):
        customers = {member: customer for customer, member in members.items()}
        if as_json:
            _print_json(compared, customers, reads_log=side.reads_log)
        else:
            _print(file, program, compared, customers, reads_log=side.reads_log)
    raise typer.Exit(BAD if compared.counts or compared.faults else GOOD)


def _open(
    program: str,
    data: Path | None,
    url: str | None,
    *,
    token: str | None,
    keys: Path | None,
    participant: str | None,
    chain: str | None,
) -> AbstractContextManager[Side]:
    """The ledger's side: a folder's, or a node's."""
    from node.migration.ledgers import open_directory, open_url

    if data is not None:
        return open_directory(data, program=program)
    return open_url(url or "", program=program, token=token, keys=keys, participant=participant, chain=chain)


def _read_book(state: Path | None) -> dict[str, str]:
    """Customer → pseudonym, where there is a book."""
    from node.migration.members import MEMBERS_FILE, read_members

    return {} if state is None else read_members(state / MEMBERS_FILE, may_cut=False)


def _read_day(text: str | None, option: str) -> int | None:
    from node.migration.cells import Unread, read_day

    if text is None:
        return None
    try:
        return read_day(text)
    except Unread as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _print(
    file: Path, program: str, compared: Compared, customers: dict[str, str], *, reads_log: bool
) -> None:
    days = format_day(compared.first_day)
    if compared.last_day != compared.first_day:
        days += f" to {format_day(compared.last_day)}"
    typer.echo(f"{file} against the points of {program}, {days}\n")
    rows = [
        (
            kind,
            str(each.lines),
            str(each.line_points),
            str(each.entries),
            str(each.entry_points),
            str(each.entry_points - each.line_points),
        )
        for kind, each in compared.list_sums()
    ]
    print_table(("kind", "lines", "points", "entries", "points", "apart"), rows)
    if compared.faults:
        typer.echo("\nnot comparable")
        print_columns(
            [(f"line {each.line:,}", each.told) for each in compared.faults[:_SHOWN_MAX]], is_text=True
        )
        _tell_more(len(compared.faults))
    _print_differences(compared.list_differences(), customers)
    typer.echo()
    _print_sum(compared)
    if not reads_log:
        typer.echo("Only members in the book were looked at: an auditor's token shows all of the program.")


def _print_differences(differences: Iterable[Difference], customers: dict[str, str]) -> None:
    count = 0
    for each in differences:
        count += 1
        if count == 1:
            typer.echo("\ndifferences")
        if count > _SHOWN_MAX:
            continue
        where = f"line {each.line:,}" if each.line is not None else f"leaf {each.entry:,}"
        whose = customers.get(each.customer, each.customer)
        typer.echo(f"    {where}  {whose}  {each.kind} {each.order}".rstrip() + f"  {format_day(each.day)}")
        if not each.fields:
            typer.echo(f"        {each.points:,} points, {_WORDS[each.code]}")
        for name, theirs, ours in each.fields:
            told = (
                [format_day(day) for day in (theirs, ours)] if name == "day" else [f"{theirs:,}", f"{ours:,}"]
            )
            typer.echo(
                f"        {name}: {told[0]} in the export, {told[1]} on the ledger (leaf {each.entry:,})"
            )
    _tell_more(count)


def _tell_more(count: int) -> None:
    if count > _SHOWN_MAX:
        typer.echo(f"    and {count - _SHOWN_MAX:,} more: --json lists them all")


def _print_sum(compared: Compared) -> None:
    counts = compared.counts
    is_same = not counts and not compared.faults
    typer.echo("SAME" if is_same else "DIFFERENT")
    rows = [
        ("lines compared", f"{compared.lines:,}"),
        ("as on the ledger", f"{compared.matched:,}"),
        ("different", f"{counts['DIFFERS']:,}"),
        ("not on the ledger", f"{counts['NOT_ON_LEDGER']:,}"),
        ("not in the export", f"{counts['NOT_IN_EXPORT']:,}"),
        ("not comparable", f"{len(compared.faults):,}"),
    ]
    if compared.other_days:
        rows.append(("of other days", f"{compared.other_days:,}"))
    print_columns(rows)


def _print_json(compared: Compared, customers: dict[str, str], *, reads_log: bool) -> None:
    """A line for each finding as it is found, and the sum as the last."""
    import msgspec

    for fault in compared.faults:
        typer.echo(msgspec.json.encode({"line": fault.line, "code": fault.code, "told": fault.told}))
    for each in compared.list_differences():
        told = msgspec.to_builtins(each)
        told["customer"] = customers.get(each.customer, each.customer)
        typer.echo(msgspec.json.encode(told))
    typer.echo(
        msgspec.json.encode(
            {
                "same": not compared.counts and not compared.faults,
                "first_day": format_day(compared.first_day),
                "last_day": format_day(compared.last_day),
                "lines": compared.lines,
                "matched": compared.matched,
                "other_days": compared.other_days,
                "not_comparable": len(compared.faults),
                "differences": dict(sorted(compared.counts.items())),
                "kinds": dict(compared.list_sums()),
                "reads_log": reads_log,
            }
        )
    )
