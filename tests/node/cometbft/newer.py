"""The command line of a program that knows one version of the rules more, which says what the newest says."""

from __future__ import annotations

from contracts.rulebook import CURRENT, CURRENT_VERSION, RULEBOOKS
from node.cli.main import run
from node.engine.cometbft import keeping

NEXT_VERSION = CURRENT_VERSION + 1
MODULE = "tests.node.cometbft.newer"


class Keeper(keeping.Keeper):
    """It keeps this very program running."""

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        self._command[self._command.index("node.cli.main")] = MODULE


if __name__ == "__main__":
    RULEBOOKS[NEXT_VERSION] = CURRENT._replace(version=NEXT_VERSION)
    keeping.Keeper = Keeper
    run()
