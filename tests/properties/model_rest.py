"""What rests, in the model: asked before anything else of a message, in the order of the page."""

from __future__ import annotations

from typing import Any

from tests.properties.model_state import State, reject

FINISHING = {
    *("capture", "release", "refund", "return_order", "add_key", "revoke_key", "vote", "countersign"),
    "attest_payment",
}
"""What a suspended participant still does, beside serving its own members."""
BEGINNING = {"earn", "award", "redeem", "hold", "exchange"}
"""What nobody else begins with the points of who is suspended."""


def check_rest(state: State, sender: str, message: dict[str, Any]) -> None:
    kind = message["@type"]
    programs = [message[field] for field in ("program", "target") if field in message]
    issuers = {state.programs[program].issuer for program in programs if program in state.programs}
    if sender in state.removed or issuers & set(state.removed):
        reject("PARTICIPANT_REMOVED")
    serves = kind in ("redeem", "hold") and issuers == {sender}
    if sender in state.suspended and kind not in FINISHING and not serves:
        reject("PARTICIPANT_SUSPENDED")
    if kind in BEGINNING and any(one in state.suspended for one in issuers - {sender}):
        reject("PARTICIPANT_SUSPENDED")
    if ("message", kind) in state.paused:
        reject("RULE_PAUSED")
    if kind not in ("capture", "release") and any(("program", one) in state.paused for one in programs):
        reject("PROGRAM_PAUSED")
