"""`commonpoint settlement statement`: a window recomputed from a log, written in any of six forms.

It needs no node and no key, and what it writes has the hash that stands in the log, or nothing is written.
Exit status 0: it does. 1: something in the log does not hold; which check failed is said. 2: it could not be
run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from node.cli.tell import BAD, tell, tell_error

if TYPE_CHECKING:
    from node.statements.log import Progress
    from node.statements.making import Form, Recomputed
    from node.statements.wording import Language

_FORMS: Final = ("json", "csv", "html", "pdf", "parquet", "pain001")
_BINARY: Final = frozenset({"pdf", "parquet"})

Chain = Annotated[str | None, typer.Option(help="The chain string you were told: name/hash.")]


def statement(
    *,
    window: Annotated[int, typer.Option(metavar="N", help="The window's number.", min=1)],
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A node's data directory, or a folder of tiles.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Or the address of a node or a mirror.")] = None,
    token: Annotated[
        str | None, typer.Option(help="An auditor's token, for --url.", envvar="COMMONPOINT_TOKEN")
    ] = None,
    participant: Annotated[str | None, typer.Option(metavar="ID", help="One participant's side.")] = None,
    form: Annotated[str, typer.Option("--format", help=", ".join(_FORMS))] = "json",
    lang: Annotated[str, typer.Option(help="zh or en, for html and pdf.")] = "en",
    accounts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For pain001: CSV with participant, name, iban (or account), bic."),
    ] = None,
    pay_on: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="For pain001: when to pay; else the day it closed."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file that is new; else the output.")
    ] = None,
    chain: Chain = None,
) -> None:
    """Recompute a window's statement from the log alone, and write it in any of six forms."""
    chosen = _choose(form, lang, pay_on)
    if (data is None) == (url is None):
        raise typer.BadParameter("give one of --data DIR and --url URL")
    if form == "pain001" and accounts is None:
        raise typer.BadParameter("pain001 needs --accounts FILE: accounts are on no ledger")
    if form == "json" and participant is not None:
        raise typer.BadParameter(
            "json is the statement of all, which is hashed; take html, csv, pdf, parquet"
        )
    if out is None and form in _BINARY and sys.stdout.isatty():
        raise typer.BadParameter(f"{form} is not for a terminal: give --out FILE")
    from node.keystore import write_private
    from node.statements.accounts import read_accounts
    from node.statements.making import WITH_ORDERS, export

    book = None if accounts is None else read_accounts(accounts)
    with judged():
        recomputed = recompute_from(
            data,
            url=url,
            token=token,
            window=window,
            participant=participant,
            with_orders=form in WITH_ORDERS,
            chain=chain,
        )
    made = export(recomputed, chosen[0], language=chosen[1], accounts=book, pay_on=pay_on)
    if out is None:
        typer.echo(made, nl=False)
    else:
        write_private(out, made)
        tell(f"{out}: {len(made):,} bytes.")
    tell(f"Window {window}: recomputed, and its hash is the log's: {recomputed.window.digest}")


def _choose(form: str, lang: str, pay_on: str | None) -> tuple[Form, Language]:
    from datetime import date

    if form not in _FORMS:
        raise typer.BadParameter(f"one of {', '.join(_FORMS)}", param_hint="--format")
    if lang not in ("zh", "en"):
        raise typer.BadParameter("zh or en", param_hint="--lang")
    try:
        date.fromisoformat(pay_on or "2000-01-01")
    except ValueError:
        raise typer.BadParameter("a day reads 2026-11-22", param_hint="--pay-on") from None
    return cast("Form", form), cast("Language", lang)


@contextmanager
def judged() -> Iterator[None]:
    """What is found bad ends the program with the status for that."""
    from ledger.errors import InvalidBlock, Unverified

    try:
        yield
    except (InvalidBlock, Unverified) as error:
        tell_error(error)
        tell("  Nothing was written or signed. commonpoint verify says what of this log holds.")
        raise typer.Exit(BAD) from None


def recompute_from(
    data: Path | None,
    *,
    url: str | None = None,
    token: str | None = None,
    window: int,
    participant: str | None,
    with_orders: bool,
    chain: str | None,
) -> Recomputed:
    """A window recomputed from the log in a folder or under an address."""
    from node.statements.making import recompute
    from node.statements.sources import open_directory, open_url

    opened = (
        open_directory(data, chain=chain)
        if data is not None
        else open_url(url or "", token=token, chain=chain)
    )
    with opened as log, _show_progress() as progress:
        return recompute(
            log, number=window, participant=participant, with_orders=with_orders, progress=progress
        )


@contextmanager
def _show_progress() -> Iterator[Progress]:
    """Leaves read of how many, on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("reading"),
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
