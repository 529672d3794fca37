"""What the witness makes of votes and cuts: whose keys they change, and what a window's legs add up to.

A third party has the log and nothing else. Here the legs of every height are put by, so that a statement's
lines can be added up again from what the leaves say, whoever made it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.properties.model_values import FOREVER, key_id_of

Leaf = dict[str, Any]
NO_POINTS = {"balance", "debt", "expired", "lots", "points", "received", "released", "repaid"}


class Clerk:
    """Proposals as they were made, legs as they were written, windows as they were cut."""

    def __init__(self) -> None:
        self.proposals: dict[str, list[Leaf]] = {}
        self.legs: dict[int, list[Leaf]] = {}
        self.cuts: dict[int, tuple[int, str]] = {}
        """Window → the height that cut it, and its statement's hash."""
        self.enacted: Counter[str] = Counter()

    def read(self, message: Leaf, outcome: Leaf, height: int) -> None:
        if "legs" in outcome:
            self.legs.setdefault(height, []).extend(outcome["legs"])
        if message["@type"] == "propose":
            assert message["proposal"] not in self.proposals
            self.proposals[message["proposal"]] = message["actions"]
        elif message["@type"] == "cut":
            assert message["window"] == len(self.cuts) + 1
            self.cuts[message["window"]] = (height, outcome["statement"])

    def enact(self, message: Leaf, outcome: Leaf) -> list[Leaf]:
        """The actions that were done: of nobody's points, and all that is owed is a correction, or what
        somebody who leaves has carried.
        """
        actions = self.proposals.pop(message["proposal"])
        assert not NO_POINTS & set(outcome)
        reasons = {leg["reason"] for leg in outcome.get("legs", ())}
        assert reasons <= {"correction", "carry"}
        assert "carry" not in reasons or "remove" in {action["@type"] for action in actions}
        self.enacted.update(action["@type"] for action in actions)
        return actions

    def find_lines(self, window: int) -> dict[tuple[str, str, str], int]:
        """The bilateral matrix of a window's heights, from the log alone."""
        first = self.cuts[window - 1][0] if window > 1 else 1
        lines: Counter[tuple[str, str, str]] = Counter()
        for height in range(first, self.cuts[window][0]):
            for leg in self.legs.get(height, ()):
                lines[leg["from"], leg["to"], leg["reason"]] += leg["micros"]
        return dict(lines)


def change_keys(witness: Any, actions: list[Leaf], height: int) -> None:
    """What a vote does to keys."""
    for action in actions:
        if action["@type"] == "admit":
            witness.register(action["participant"], action["keys"], height + 1)
        elif action["@type"] == "recover_keys":
            who = action["participant"]
            own = [name for name, key in witness.keys.items() if key.participant == who]
            living = [name for name in own if witness.keys[name].valid_to == FOREVER]
            for name in set(action["revoke"] or living) & set(living):
                witness.keys[name] = witness.keys[name]._replace(valid_to=height)
            assert not {key_id_of(key["public"]) for key in action["add"]} & set(witness.keys)
            witness.register(action["participant"], action["add"], height + 1)
