"""Motions: an action's reasons to say no, asked by proposing it in an alliance that votes.

What cannot be done as things stand is not even proposed, so the ladder of an action is that of a `propose`
that holds it alone, after the checks of the proposal itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from contracts.messages import Propose
from tests.contracts.alliance import Alliance
from tests.contracts.cast import FRESH
from tests.contracts.council import found, make_proposal
from tests.contracts.ladder import Attempt, Break, Ladder


class Motion(Attempt):
    """A proposal of one action that is about to be made, and what has been broken about the action so far."""

    def __init__(self, action: type, /, *, alliance: Alliance | None = None, **fields: Any) -> None:
        super().__init__(Propose, sender=FRESH, alliance=alliance or found(), **fields)
        self.action = action

    def make_message(self) -> Any:
        """The proposal, as soon as may be."""
        return make_proposal(self.alliance, self.action(**self.fields))


def make_ladder(
    action: type,
    fields: Callable[[], dict[str, Any]],
    rows: Sequence[tuple[str, Break]],
    *,
    prepare: Break = lambda _: None,
) -> Ladder:
    """The ladder of an action over fields with which it can be done, in an alliance prepared for it."""
    name = f"action {action.__struct_config__.tag}"  # type: ignore[attr-defined]

    def start() -> Motion:
        motion = Motion(action, **fields())
        prepare(motion)
        return motion

    return Ladder(name, start, rows)
