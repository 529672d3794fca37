"""The entry point: the list of commands, and how a failure is told.

What a person can do something about is one line with a code and an advice, and exit status 2 (`verify` has
its own). A fault of ours keeps its traceback, because somebody has to look at it.
"""

from __future__ import annotations

import sys

import typer

from ledger.errors import CommonpointError, InvariantBroken
from node.cli import (
    backup,
    bundle,
    engine,
    evidence,
    import_,
    init,
    key,
    node,
    proposal,
    rebuild,
    settlement,
    shadow,
    show,
    validator,
    verify,
    webhook,
    witness,
)
from node.cli.tell import COULD_NOT_RUN, tell_error

app = typer.Typer(
    name="commonpoint",
    help="A points ledger that many merchants share and anybody entitled can verify.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init.init)
app.command("node")(node.node)
app.add_typer(key.app, name="key")
app.add_typer(validator.app, name="validator")
app.add_typer(engine.app, name="engine")
app.add_typer(show.app, name="show")
app.add_typer(webhook.app, name="webhook")
app.add_typer(proposal.app, name="proposal")
app.add_typer(settlement.app, name="settlement")
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("rebuild")(rebuild.rebuild)
app.command("verify")(verify.verify)
app.command("witness")(witness.witness)
app.add_typer(bundle.app, name="bundle")
app.command("evidence")(evidence.evidence)
app.command("import")(import_.import_)
app.command("shadow")(shadow.shadow)


def run() -> None:
    """Run the command that was asked for, and end with its exit status."""
    try:
        app()
    except InvariantBroken as error:
        tell_error(error)
        sys.exit(3)
    except CommonpointError as error:
        tell_error(error)
        sys.exit(COULD_NOT_RUN)
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    run()
