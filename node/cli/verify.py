"""`commonpoint verify`: the whole audit, of a data directory or of a log that is served.

Exit status 0: everything was verified. 1: something is bad; its first leaf and the check are named. 2: the
audit could not be run, so nothing is known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from node.cli.tell import BAD, GOOD, tell

if TYPE_CHECKING:
    from ledger.log.policy import Policy
    from node.audit.report import Report
    from node.audit.verify import Progress

PROCESSES_MAX: Final = 4
"""More are taken only where they are asked for: one executes, and three keep it busy."""


def verify(
    *,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="A data directory, in use or not.")] = None,
    url: Annotated[str | None, typer.Option(help="The address of a node or a mirror.")] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Whose signatures you believe (C2SP tlog-policy).")
    ] = None,
    chain: Annotated[str | None, typer.Option(help="The chain string you were told: name/hash.")] = None,
    token: Annotated[
        str | None, typer.Option(help="An auditor's token, for --url.", envvar="COMMONPOINT_TOKEN")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="How many processes verify; as many as there are cores, up to 4."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
) -> None:
    """Re-execute the whole history and compare every byte, trusting nothing the node says."""
    if (data is None) == (url is None):
        raise typer.BadParameter("give one of --data DIR and --url URL")
    from node import auditing

    if processes is None:
        processes = min(os.cpu_count() or 1, PROCESSES_MAX)
    believed = None if policy is None else _read_policy(policy)
    with _show_progress() as progress:
        if data is not None:
            report = auditing.audit_data_dir(
                data, policy=believed, chain=chain, processes=processes, progress=progress
            )
        else:
            report = auditing.audit_url(
                url or "",
                token=token,
                policy=believed,
                chain=chain,
                processes=processes,
                progress=progress,
            )
    if as_json:
        typer.echo(report.to_json())
    else:
        _tell_report(report, is_pinned=chain is not None or believed is not None or data is not None)
    raise typer.Exit(GOOD if report.is_good else BAD)


def _read_policy(path: Path) -> Policy:
    """The policy in a file. Raises `Refused` ``POLICY_MALFORMED``."""
    from ledger.log.policy import parse_policy
    from node.audit.sources import SourceUnavailable

    try:
        return parse_policy(path.read_bytes())
    except OSError as error:
        raise SourceUnavailable("POLICY_UNREADABLE", path=str(path), reason=error.strerror) from None


@contextmanager
def _show_progress() -> Iterator[Progress]:
    """Leaves verified of how many, on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("verifying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("leaves"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("leaves", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell_report(report: Report, *, is_pinned: bool) -> None:
    """The report for people, on standard output."""
    bad = report.first_bad
    if bad is not None:
        typer.echo(f"BAD   {report.chain}")
        where = "no single leaf" if bad.index is None else f"leaf {bad.index}"
        typer.echo(f"      first bad: {where}: {bad.check}")
        typer.echo(f"      {bad.detail}")
        typer.echo(f"      {report.size} leaves before it came out the same (height {report.height})")
        return
    typer.echo(f"GOOD  {report.chain}")
    typer.echo(f"      {report.size} leaves, height {report.height}, {report.transactions} transactions")
    typer.echo(
        f"      {report.operations} operations executed again in {report.seconds:.1f} s "
        f"({report.operations_per_second} a second)"
    )
    if report.records or report.rows:
        typer.echo(f"      {report.records} stored records and {report.rows} look-up rows are as replayed")
    if report.unsigned_leaves:
        typer.echo(f"      {report.unsigned_leaves} newest leaves are not under the stored checkpoint yet")
    if not is_pinned:
        tell("The chain string above is the log's own word. Pin the one your alliance gave you: --chain.")
