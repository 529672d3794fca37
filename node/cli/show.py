"""`commonpoint show`: what a data directory says, read without the node and without changing anything.

Balances and positions are those of the last fold, and it is said for which tree size; a node that runs folds
whenever it is idle. Nothing shown here is verified: that is `commonpoint verify`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.tables import format_day, format_money, print_table
from node.cli.tell import tell

if TYPE_CHECKING:
    from node.storage.snapshot import Snapshot

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="What a data directory says: keys, head, balances, positions, entries.",
)

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The data directory.", envvar="COMMONPOINT_DATA")
]


@app.callback()
def take_data(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="The data directory, here or after the command."),
    ] = None,
) -> None:
    """Hand the data directory on to whichever command follows, where it was named before it."""
    if data is not None:
        commands = [command.callback.__name__ for command in app.registered_commands if command.callback]
        context.default_map = {name: {"data": str(data)} for name in commands}


@app.command()
def vkey(data: Data) -> None:
    """Print the log's note verifier key, or each validator's for it, a line each and nothing else."""
    from ledger.log.note import encode_vkey
    from ledger.policy_chain import derive_policy
    from node.config import load_config

    for log in derive_policy(load_config(data).origin).logs:
        typer.echo(encode_vkey(log.key))


@app.command()
def policy(data: Data) -> None:
    """Print the C2SP policy of epoch 0, as clients and auditors want it in a file."""
    from node.config import load_config

    typer.echo(load_config(data).policy, nl=False)


@app.command()
def head(data: Data) -> None:
    """Print where the chain stands: height, size and time of the last fold, and the stored checkpoint."""
    with _open(data) as (snapshot, tables):
        rows = [("leaves stored", str(snapshot.read_size()))]
        for _, record in _list(snapshot, tables, "head"):
            rows += [
                ("leaves folded", str(record.size)),
                ("height", str(record.height)),
                ("time", str(record.time)),
                ("operations", str(record.entries)),
                ("transactions", str(record.transactions)),
            ]
        print_table(None, rows)
        typer.echo()
        typer.echo(snapshot.read_checkpoint(), nl=False)


@app.command()
def positions(data: Data) -> None:
    """Print what every participant is owed (or, below zero, owes), and who owes whom for what."""
    with _open(data) as (snapshot, tables):
        rows = [(name, format_money(micros)) for name, micros in _list(snapshot, tables, "position")]
        print_table(("participant", "net"), rows)
        owed = [(*key.split("|"), format_money(micros)) for key, micros in _list(snapshot, tables, "owed")]
        typer.echo()
        print_table(("from", "to", "for", "owed"), owed)


@app.command()
def account(
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="The member's pseudonym, m_….")], data: Data
) -> None:
    """Print a member's points: by program, then lot by lot, soonest expiry first."""
    with _open(data) as (snapshot, tables):
        rows: list[Sequence[str]] = []
        for key, record in _list(snapshot, tables, "account", prefix=f"{member}|"):
            held = sum(lot.points for lot in record.held)
            rows.append((key.rpartition("|")[2], "", str(record.points), str(held), ""))
            rows += [("", lot.series, str(lot.points), "", format_day(lot.expires)) for lot in record.lots]
            rows += [("", lot.series, "", str(lot.points), format_day(lot.expires)) for lot in record.held]
        if not rows:
            tell(f"No points on any account of {member}.")
            return
        print_table(("program", "series", "points", "held", "last day"), rows)


@app.command()
def entry(
    index: Annotated[int, typer.Argument(metavar="INDEX", help="The leaf's index.", min=0)], data: Data
) -> None:
    """Print one leaf of the log, exactly as it is hashed."""
    from ledger.log.tiles import TILE_WIDTH, decode_bundle

    with _open(data) as (snapshot, _):
        size = snapshot.read_size()
        if index >= size:
            raise typer.BadParameter(f"the log has {size} leaves", param_hint="INDEX")
        bundle = index // TILE_WIDTH
        width = min(TILE_WIDTH, size - bundle * TILE_WIDTH)
        leaves = decode_bundle(snapshot.read_bundle(bundle, width) or b"")
        typer.echo(leaves[index % TILE_WIDTH])


@contextmanager
def _open(data: Path) -> Iterator[tuple[Snapshot, Mapping[str, Any]]]:
    """One moment of the database, and the record type of each state table."""
    from contracts.rulebook import CURRENT
    from ledger.executor import make_tables
    from node.config import load_config
    from node.storage.snapshot import Snapshot

    config = load_config(data)
    with Snapshot(config.database) as snapshot:
        yield snapshot, make_tables(CURRENT)


def _list(
    snapshot: Snapshot, tables: Mapping[str, Any], table: str, *, prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """The records of a state table whose keys begin with ``prefix``."""
    import msgspec

    decoder = msgspec.json.Decoder(tables[table])
    for key, value in snapshot.find_records(table, prefix):
        yield key, decoder.decode(value)
