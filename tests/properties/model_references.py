"""References in the model: how a success is found again, by a repeat or by what completes or undoes it."""

from __future__ import annotations

from typing import Any, TypeVar

from tests.properties.model_state import Block, Earned, Slot, Spent, State, reject
from tests.properties.model_values import FORGOTTEN_DAYS, canonical, day_of

Message = dict[str, Any]
Original = TypeVar("Original", Spent, Earned)
CONSENTS = ("consent", "recipient_consent")


def content_of(message: Message) -> bytes:
    """What has to be the same for a repeat: all but the consents."""
    return canonical({name: value for name, value in message.items() if name not in CONSENTS})


def slot_of(block: Block, sender: str, message: Message) -> Slot:
    day = day_of(message["occurred_at"], block.offset)
    return sender, message["@type"], message["program"], day, message["reference"]


def check_occurred(state: State, block: Block, message: Message) -> None:
    occurred = message["occurred_at"]
    if occurred - block.time > 1000 * state.parameter("occurred_lead_seconds", block.height):
        reject("OCCURRED_IN_FUTURE")
    if block.time - occurred > 86_400_000 * state.parameter("reference_horizon_days", block.height):
        reject("OCCURRED_TOO_LONG_AGO")


def check_reference(state: State, block: Block, sender: str, message: Message) -> None:
    """The reference was not taken that day or the day before."""
    *kind, day, reference = slot_of(block, sender, message)
    for looked_up in (day, day - 1):
        found = state.references.get((kind[0], kind[1], kind[2], looked_up, reference))
        if found is not None:
            again = found[0] == content_of(message)
            reject("ALREADY_DONE" if again else "REFERENCE_CONFLICT", first=found[1])


def is_forgotten(block: Block, day: int) -> bool:
    return block.day - day > FORGOTTEN_DAYS


def find_original(
    table: dict[Slot, Original], block: Block, sender: str, message: Message
) -> tuple[Slot, Original]:
    """The sender's own success for this member that the message is about."""
    slot = (
        sender,
        message["original_type"],
        message["program"],
        message["original_day"],
        message["original"],
    )
    found = table.get(slot)
    if found is None or found.member != message["member"] or is_forgotten(block, slot[3]):
        reject("ORIGINAL_UNKNOWN")
    return slot, found


def find_again(done: tuple[tuple[str, bytes, int], ...], message: Message) -> None:
    """Nothing was done to this original under this reference before, whatever the day."""
    for reference, content, index in done:
        if reference == message["reference"]:
            again = content == content_of(message)
            reject("ALREADY_DONE" if again else "REFERENCE_CONFLICT", first=index)
