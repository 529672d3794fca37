"""`commonpoint proposal preview`: what a proposal would have changed, replayed over the real history.

It signs nothing, writes nothing and needs no key: the log is read as `commonpoint verify` reads it, of a node
that runs or does not, or of a mirror. Exit status 0: the actions could be enacted. 1: they could not. 2:
nothing is known; a history that does not hold is not previewed, and `commonpoint verify` says where.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.tell import BAD, GOOD, tell

if TYPE_CHECKING:
    from contracts.messages.actions import Action
    from node.audit.sources import LeafSource
    from node.preview.run import Progress

Chain = Annotated[str | None, typer.Option(help="The chain string you were told: name/hash.")]


def preview(
    what: Annotated[
        str | None, typer.Argument(metavar="[ID|FILE]", help="A proposal's name, or a file of actions.")
    ] = None,
    *,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="A data directory, in use or not.")] = None,
    url: Annotated[str | None, typer.Option(help="The address of a node or a mirror.")] = None,
    token: Annotated[
        str | None, typer.Option(help="An auditor's token, for --url.", envvar="COMMONPOINT_TOKEN")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter and its new value.")
    ] = None,
    from_height: Annotated[int | None, typer.Option(help="Enacted at this height.", min=1)] = None,
    blocks: Annotated[int | None, typer.Option(help="Enacted before the newest so many.", min=1)] = None,
    days: Annotated[int | None, typer.Option(help="Enacted so many days ago.", min=1)] = None,
    chain: Chain = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also as a picture, .svg or .html.")
    ] = None,
    language: Annotated[str, typer.Option(help="The picture's words: en or zh.")] = "en",
) -> None:
    """Replay the history as if it had been enacted: without a height, from the last cut window on."""
    if sum(each is not None for each in (from_height, blocks, days)) > 1:
        raise typer.BadParameter("give one of --from-height, --blocks and --days")
    if language not in ("en", "zh"):
        raise typer.BadParameter("en or zh", param_hint="--language")
    from node.cli.preview_table import print_preview
    from node.preview.chart import draw_chart
    from node.preview.run import preview as run_preview
    from node.preview.span import Beginning

    file = None if what is None or not Path(what).is_file() else Path(what)
    name = what if file is None else None
    actions = [] if name is not None else read_actions(file, settings or [])
    with _open_source(data, url, token) as (source, expected), _show_progress() as progress:
        found = run_preview(
            source,
            proposal=name,
            actions=actions,
            beginning=Beginning(from_height, blocks, days),
            chain=expected if chain is None else chain,
            progress=progress,
        )
    if chart is not None:
        chart.write_text(draw_chart(found, language=language, is_page=chart.suffix == ".html"), "utf-8")
    if as_json:
        typer.echo(found.to_json())
    else:
        print_preview(found)
    tell(
        f"{found.operations:,} operations executed again, {found.compared:,} of them twice, "
        f"in {found.seconds:.1f} s"
    )
    raise typer.Exit(GOOD if found.is_enacted else BAD)


def read_actions(file: Path | None, settings: list[str]) -> list[Action]:
    """What the file and the settings say, in this order."""
    from node.keystore import Unusable
    from node.preview.proposed import make_parameter_actions
    from node.preview.proposed import read_actions as decode_actions

    if file is None and not settings:
        raise typer.BadParameter("give a FILE of actions, or --set NAME=VALUE")
    actions: list[Action] = []
    if file is not None:
        try:
            actions = decode_actions(file.read_bytes(), is_toml=file.suffix == ".toml")
        except OSError as error:
            raise Unusable(
                "FILE_UNREADABLE", advice="Name a file of actions.", path=str(file), reason=error.strerror
            ) from None
    return actions + make_parameter_actions(settings)


@contextmanager
def _open_source(
    data: Path | None, url: str | None, token: str | None
) -> Iterator[tuple[LeafSource, str | None]]:
    """The log, and the chain that it has to be where that is known."""
    if (data is None) == (url is None):
        raise typer.BadParameter("give one of --data DIR and --url URL")
    from node.audit.sources import HttpSource
    from node.config import find_database, load_config
    from node.storage.snapshot import Snapshot

    if data is not None:
        with Snapshot(find_database(data)) as snapshot:
            yield snapshot, load_config(data).origin.chain
    else:
        with HttpSource(url or "", token) as source:
            yield source, None


@contextmanager
def _show_progress() -> Iterator[Progress]:
    """Leaves replayed of how many, on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("replaying"),
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
