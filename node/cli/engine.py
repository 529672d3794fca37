"""`commonpoint engine`: who makes a ledger's blocks, and how one that a sequencer kept goes on with
validators.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli.tell import tell

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Who makes the blocks: one sequencer, or a set of validators.",
)

Data = Annotated[Path, typer.Option(metavar="DIR", help="The data directory.", envvar="COMMONPOINT_DATA")]
ValidatorFiles = Annotated[
    list[Path],
    typer.Option(
        "--validator", metavar="FILE", help="validator.json of each validator, one's own too; repeatable."
    ),
]


@app.command()
def show(*, data: Data) -> None:
    """Say which engine makes the blocks of the ledger in DIR, whose node is stopped. One line of JSON."""
    from ledger.codec import encode
    from node.app import hold_data_dir
    from node.cli.logs import write_logs
    from node.config import load_config
    from node.engine.cometbft.switching import read_standing

    write_logs()
    config = load_config(data)
    config.check_private()
    with hold_data_dir(config):
        standing = read_standing(config)
    engine, head = standing.engine, standing.head
    told: dict[str, object] = {"chain": config.origin.chain, "engine": "solo", "height": head.height}
    if engine is not None:
        told |= {
            "engine": engine.engine,
            "since": engine.height,
            "validators": [
                {"participant": name, "power": power, "public": public}
                for name, power, public in engine.validators
            ],
        }
    typer.echo(encode(told))


@app.command()
def plan(*, data: Data, validator: ValidatorFiles) -> None:
    """Print the actions of the proposal after which these validators make the blocks: their log keys are
    trusted, their engines decide. One line of JSON, for `commonpoint proposal new`.
    """
    from ledger.codec import encode
    from node.config import load_config
    from node.engine.cometbft.founding import read_validator
    from node.engine.cometbft.switching import plan_switch

    origin = load_config(data).origin
    if origin.settings.clock != "system":
        raise typer.BadParameter(
            "validators need real time; this ledger is told its time", param_hint="--data"
        )
    typer.echo(encode(plan_switch(origin, [read_validator(path) for path in validator])))
    tell("Where the policy in force asks for witnesses, add them to this one before it is proposed.")


@app.command()
def switch(
    *,
    data: Data,
    keys: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="The validator's keys, as commonpoint validator new made them."),
    ],
    validator: ValidatorFiles,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR2",
            help="The log as the sequencer left it: its backup, or a copy of its data directory. DIR is new. "
            "Without it DIR is the sequencer's own, and its node is stopped.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where the engine listens, if not at the address it is known by."
        ),
    ] = None,
) -> None:
    """Prepare DIR for a validator, once the alliance has voted for it: the log is executed, CometBFT's folder
    follows from it.
    """
    import os

    from node.app import UMASK
    from node.cli.logs import write_logs
    from node.engine.cometbft.founding import read_validator
    from node.engine.cometbft.switching import prepare_validator

    write_logs()
    os.umask(UMASK)
    config, engine, head = prepare_validator(
        data,
        source=source,
        keys=keys,
        validators=[read_validator(path) for path in validator],
        listen=listen,
    )
    typer.echo(config.origin.chain)
    tell(f"{data} goes on after height {head.height} with {len(engine.validators)} validators.")
    tell("Run it in this one place only: a validator's keys that vote twice are evidence against it.")
    tell(f"Next: commonpoint node --data {data}")
