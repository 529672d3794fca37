"""Governance: organisations propose, vote and cancel; what was decided is enacted by a block at its height.

A proposal is a list of actions, bound to the chain, an expiry and the configuration it was made for. A ballot
is the organisation's, whichever of its `govern` keys signs it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from contracts.messages.actions import Action, SettlingAction
from ledger.codec import encode
from ledger.values import Count, Height, Millis, Reference

ACTIONS_BYTES_MAX: Final = 16_384
"""What a proposal's actions may take in canonical bytes, so that its entry is never larger than a leaf."""


class Propose(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="propose", tag_field="@type"):
    """Something for the alliance to decide."""

    actions: Annotated[list[Action], Meta(min_length=1, max_length=16)]
    """Done in this order, all or none."""
    configuration: Count
    """Which configuration of voters, voting rules and rulebook it was made for."""
    effective_height: Height
    """Not enacted before; later where the notice asks for it."""
    expires: Millis
    """Until when it can be voted on."""
    proposal: Reference

    def __post_init__(self) -> None:
        """Its entry and that of its enactment will fit a leaf: one that may not is no proposal at all."""
        if len(encode(self.actions)) > ACTIONS_BYTES_MAX:
            raise ValueError(f"the actions take more than {ACTIONS_BYTES_MAX} bytes")
        # Each names who pays and who goes without, in the one outcome that an enactment has.
        if sum(isinstance(action, SettlingAction) for action in self.actions) > 1:
            raise ValueError("more than one action settles something")


class Vote(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="vote", tag_field="@type"):
    """An organisation's ballot: one, and final."""

    choice: Literal["yes", "no"]
    configuration: Count
    proposal: Reference


class CancelProposal(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="cancel_proposal", tag_field="@type"
):
    """Who proposed it takes it back, while it is open."""

    proposal: Reference


class Enact(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="enact", tag_field="@type"):
    """A block does what was decided, at its beginning."""

    proposal: Reference


class CloseProposal(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="close_proposal", tag_field="@type"
):
    """A proposal's time is over and too few were for it."""

    proposal: Reference
