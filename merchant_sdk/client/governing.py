"""Deciding together: what an organisation proposes, votes on and takes back, with its govern key.

A ballot is final and the organisation's, whichever of its keys signs. So before one is signed, the proposal
is held to the receipt of its entry: what is voted on is what stands in the log, whatever the node says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, Literal

from contracts.messages import CancelProposal, Propose, Vote
from contracts.messages.actions import Action
from merchant_sdk.client.alliance import ask_alliance
from merchant_sdk.client.asking import Asking, C, R
from merchant_sdk.errors import NotFound, Unverified
from merchant_sdk.government import Government, Proposal
from merchant_sdk.results import Committed

HEIGHTS_AHEAD: Final = 5
"""What is to hold from a height ahead leaves room for so many blocks of others that come first."""
VOTING_MILLIS: Final = 7 * 86_400_000


class GoverningVerbs(Asking[R, C]):
    """The verbs by which an alliance decides."""

    async def propose(
        self,
        actions: Sequence[Action],
        *,
        proposal: str | None = None,
        effective_height: int | None = None,
        expires: int | None = None,
    ) -> Committed[R]:
        """Something for the alliance to decide: actions of `contracts.messages.actions`, all done or none.

        It is not enacted before ``effective_height`` (as soon as its notice allows, unless told) and can be
        voted on until ``expires`` (a week, unless told). Your own ballot is a `vote` like others'. Its
        ``proposal`` id is made up where you give none; the result's `message.proposal` has it.
        """
        government = await ask_alliance(self._connection).get_government()
        core = self._connection.core
        if effective_height is None:
            effective_height = government.height + government.get_notice(actions) + HEIGHTS_AHEAD
        message = Propose(
            actions=list(actions),
            configuration=government.configuration,
            effective_height=effective_height,
            expires=core.get_time() + VOTING_MILLIS if expires is None else expires,
            proposal=core.ids() if proposal is None else proposal,
        )
        return await self._connection.ask(message)

    async def vote(self, proposal: str | Proposal, choice: Literal["yes", "no"]) -> Committed[R]:
        """Our organisation's ballot: one a proposal, and final.

        The proposal is held to its receipt first; `Unverified` where it is another than the log has. Give the
        `Proposal` that you have read, and the ballot is for that and nothing else.
        """
        found = proposal
        if isinstance(found, str):
            found = await ask_alliance(self._connection).get_proposal(found)
        if isinstance(proposal, str) and found.proposal != proposal:
            raise Unverified("PROPOSAL_DIFFERS", facts={"asked": proposal, "found": found.proposal})
        await self._check_proposal(found)
        message = Vote(choice=choice, configuration=found.configuration, proposal=found.proposal)
        return await self._connection.ask(message)

    async def cancel_proposal(self, proposal: str) -> Committed[R]:
        """A proposal of ours that is still open is taken back."""
        return await self._connection.ask(CancelProposal(proposal=proposal))

    async def government(self) -> Government:
        """Who votes with what weight, what each kind of proposal needs, what rests, what is tried."""
        return await ask_alliance(self._connection).get_government()

    async def proposals(self, state: str | None = None) -> AsyncIterator[Proposal]:
        """Proposals, newest first, fetched as they are asked for; with ``state`` ("open") only those."""
        before: int | None = None
        while True:
            page, following = await ask_alliance(self._connection).get_proposals_page(state, before)
            for each in page:
                yield each
            if following is None or following == before:
                return
            before = following

    async def proposal(self, proposal: str) -> Proposal:
        """One proposal: what it would do, who is for it, and what became of it."""
        return await ask_alliance(self._connection).get_proposal(proposal)

    async def _check_proposal(self, found: Proposal) -> None:
        facts = {"proposal": found.proposal, "index": found.index}
        try:
            receipt = await self._connection.fetch_receipt(found.index)
        except NotFound:
            raise Unverified("PROPOSAL_DIFFERS", "the node does not show it in the log", facts) from None
        proven = receipt.message
        if (
            receipt.code != "OK"
            or not isinstance(proven, Propose)
            or (proven.proposal, proven.configuration) != (found.proposal, found.configuration)
            or (proven.expires, proven.effective_height) != (found.expires, found.effective_height)
            or (tuple(proven.actions), receipt.sender) != (found.actions, found.proposer)
        ):
            raise Unverified("PROPOSAL_DIFFERS", "the log has another proposal there", facts)
