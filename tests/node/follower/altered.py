"""The command line of an operator whose program goes by another rule: every purchase brings a point more."""

from __future__ import annotations

import msgspec

from contracts.rules import earning
from node.cli.main import run

_issue = earning.issue_points


def _issue_more(state, asked, issue, **named):
    return _issue(state, asked, msgspec.structs.replace(issue, points=issue.points + 1), **named)


if __name__ == "__main__":
    earning.issue_points = _issue_more
    run()
