"""The command line of a validator whose program goes by another rule: every purchase brings a point more."""

from __future__ import annotations

from contracts.rules import earning
from node.cli.main import run
from node.engine.cometbft import keeping
from tests.node.follower import altered


class Keeper(keeping.Keeper):
    """It keeps this very program running."""

    def __init__(self, *arguments, **named) -> None:
        super().__init__(*arguments, **named)
        self._command[self._command.index("node.cli.main")] = "tests.node.cometbft.altered"


if __name__ == "__main__":
    earning.issue_points = altered._issue_more
    keeping.Keeper = Keeper
    run()
