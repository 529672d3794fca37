"""What an alliance decides and settles, so that a history has a record of every kind.

A window is settled, the next one is not paid; what was left is owed in the open one.
"""

from __future__ import annotations

from contracts.messages import SetBrandShares
from contracts.messages.actions import (
    AbortWindow,
    AdmitParticipant,
    ChainValidator,
    ChangeParameter,
    Pause,
    SetIssuanceBudget,
    SetRulebook,
    SetTrustPolicy,
    SetWeight,
    SwitchEngine,
    Trial,
)
from contracts.messages.registry import ParticipantKey
from contracts.messages.settlement import BrandShare
from ledger.codec import to_base64url
from ledger.log.policy import format_policy
from ledger.policy_chain import derive_policy
from tests.contracts.alliance import Alliance
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL, make_signer
from tests.contracts.windows import agree_all, cover, cut_window, decide, fund, propose, settle, trade


def govern(alliance: Alliance) -> None:
    """Everything that can be decided is, but nothing that would stand in anybody's way."""
    policy = format_policy(derive_policy(alliance.origin)).decode()
    decisions = (
        SetWeight(OPERATOR, 1),
        SetRulebook(2),
        SetTrustPolicy(policy),
        SetIssuanceBudget(10**12, 10**12, "leaf"),
        ChangeParameter(parameter="hold_seconds_max", trial=Trial(merchants=[CINEMA]), value=60),
        Pause(message="import_balance"),
    )
    for decision in decisions:
        assert decide(alliance, decision).code == "OK"
    assert propose(alliance, Pause(message="gift"))[1].code == "OK"
    # The key of somebody who may be admitted is kept for them until that is decided.
    key = ParticipantKey(to_base64url(make_signer("guest", "govern").public), "govern")
    assert propose(alliance, AdmitParticipant([key], "Guest", "guest-shop", 0))[1].code == "OK"
    alliance.must(PETROL, SetBrandShares([BrandShare("Pump", 2), BrandShare("Wash", 1)]))
    cover(alliance, FRESH, 10**15, reserve=5)
    fund(alliance, 10**9)


def close_windows(alliance: Alliance) -> None:
    """One window is settled, one aborted."""
    settle(alliance)
    trade(alliance, "unpaid")
    number = cut_window(alliance)
    agree_all(alliance, number)
    assert decide(alliance, AbortWindow(number)).code == "OK"
    # Nothing comes after it: a sequencer makes no blocks any more.
    validator = ChainValidator(FRESH, 10, to_base64url(make_signer(FRESH, "consensus").public))
    assert decide(alliance, SwitchEngine("cometbft", [validator])).code == "OK"
