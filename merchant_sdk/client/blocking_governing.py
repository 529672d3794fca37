"""Deciding together: the verbs of `merchant_sdk.client.governing`, blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from contracts.messages.actions import Action
from merchant_sdk.client.blocking import Blocking, Done
from merchant_sdk.government import Government, Proposal


class BlockingGoverning(Blocking):
    """The verbs by which an alliance decides."""

    def propose(
        self,
        actions: Sequence[Action],
        *,
        proposal: str | None = None,
        effective_height: int | None = None,
        expires: int | None = None,
    ) -> Done:
        """Something for the alliance to decide: actions of `contracts.messages.actions`, all done or none.

        It is not enacted before ``effective_height`` (as soon as its notice allows, unless told) and can be
        voted on until ``expires`` (a week, unless told). Your own ballot is a `vote` like others'. Its
        ``proposal`` id is made up where you give none; the result's `message.proposal` has it.
        """
        return self._run(
            self._verbs.propose(
                actions, proposal=proposal, effective_height=effective_height, expires=expires
            )
        )

    def vote(self, proposal: str | Proposal, choice: Literal["yes", "no"]) -> Done:
        """Our organisation's ballot: one a proposal, and final.

        The proposal is held to its receipt first; `Unverified` where it is another than the log has. Give the
        `Proposal` that you have read, and the ballot is for that and nothing else.
        """
        return self._run(self._verbs.vote(proposal, choice))

    def cancel_proposal(self, proposal: str) -> Done:
        """A proposal of ours that is still open is taken back."""
        return self._run(self._verbs.cancel_proposal(proposal))

    def government(self) -> Government:
        """Who votes with what weight, what each kind of proposal needs, what rests, what is tried."""
        return self._run(self._verbs.government())

    def proposals(self, state: str | None = None) -> Iterator[Proposal]:
        """Proposals, newest first, fetched as they are asked for; with ``state`` ("open") only those."""
        return self._walk(self._verbs.proposals(state))

    def proposal(self, proposal: str) -> Proposal:
        """One proposal: what it would do, who is for it, and what became of it."""
        return self._run(self._verbs.proposal(proposal))
