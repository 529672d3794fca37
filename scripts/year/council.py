"""How the demo's alliance decides: a proposal, the ballots, and the height at which it is done.

Whoever votes has read the proposal and held it to its receipt (the SDK does both). Ballots of one block are
ordered by participant, so nobody asks to vote once it will have passed. What passed is enacted by a block at
its beginning: one that has nothing else in it, so that no household's quote dies on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from contracts.messages.actions import Action
from ledger.genesis import VotingKind
from merchant_sdk import Committed
from scripts.year.blocks import Asked, Blocks
from scripts.year.charter import choose_ballots
from scripts.year.desk import Desk
from scripts.year.node_process import NodeFailed

Learn = Callable[[str, Committed[Any]], None]


class Motion(NamedTuple):
    """Something to be decided."""

    proposal: str
    kind: VotingKind
    proposer: str
    actions: Sequence[Action]
    against: Sequence[str] = ()


class _Passed(NamedTuple):
    enacts_at: int
    proposal: str
    follow: Callable[[], None]


class Council:
    """The alliance, deciding."""

    def __init__(self, desks: Mapping[str, Desk], blocks: Blocks, *, learn: Learn) -> None:
        self._desks = desks
        self._blocks = blocks
        self._learn = learn
        self._passed: list[_Passed] = []

    async def ask(self, asked: Sequence[Asked], *, not_before: int = 0) -> list[Committed[Any]]:
        """The proven results of a block of these, in the order of the log."""
        answers = await self._blocks.make_next(asked, not_before=not_before)
        for participant, results in answers:
            for result in results:
                self._learn(participant, result)
        return [result for _, results in answers for result in results]

    async def decide(
        self,
        motion: Motion,
        follow: Callable[[], None] = lambda: None,
        *,
        effective_height: int | None = None,
    ) -> None:
        """It has passed. What follows from it is done once it is enacted."""
        proposing = self._desks[motion.proposer].shop.propose(
            motion.actions, proposal=motion.proposal, effective_height=effective_height
        )
        await self.ask([(motion.proposer, proposing)])
        ballots = choose_ballots(motion.kind, against=motion.against)
        results = await self.ask(
            [
                (name, self._desks[name].shop.vote(motion.proposal, "yes" if is_for else "no"))
                for name, is_for in ballots.items()
            ]
        )
        heights = [
            event.at
            for result in results
            for event in result.outcome.events
            if event.name == "PROPOSAL_PASSED" and isinstance(event.at, int)
        ]
        if len(heights) != 1:
            raise NodeFailed(f"{motion.proposal} did not pass")
        self._passed.append(_Passed(heights[0], motion.proposal, follow))

    async def decide_now(self, motion: Motion, follow: Callable[[], None] = lambda: None) -> None:
        """It has passed and is enacted, by the block after the one with its ballots."""
        await self.decide(motion, follow, effective_height=self._blocks.height + 2)
        await self.prepare_hour()

    async def prepare_hour(self) -> None:
        """What is to be enacted by the next block is enacted by one of its own."""
        while any(each.enacts_at == self._blocks.height + 1 for each in self._passed):
            await self.ask([])
        await self.see_to_enactments()

    async def see_to_enactments(self) -> None:
        """What follows from what was enacted is done."""
        for each in [each for each in self._passed if each.enacts_at <= self._blocks.height]:
            self._passed.remove(each)
            found = await self._desks["fresh"].shop.proposal(each.proposal)
            if found.state != "enacted":
                raise NodeFailed(f"{each.proposal} is {found.state}")
            each.follow()
