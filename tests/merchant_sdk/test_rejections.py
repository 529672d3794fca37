"""Every code of the ledger is an error that a till can tell apart, with advice that fits it."""

from __future__ import annotations

import pickle

import pytest

from contracts.messages.reject_codes import REJECT_CODES
from merchant_sdk import (
    CommonpointError,
    HoldError,
    LimitExceeded,
    NotEntitled,
    PausedError,
    RejectedByLedger,
    ReturnError,
    SettlementError,
    StepUpRequired,
)
from merchant_sdk.rejections import make_rejection

FAMILIES = {
    HoldError: {"HOLD_EXPIRED", "HOLD_TOO_LONG", "HOLD_UNKNOWN", "HOLD_FINAL", "CAPTURE_ABOVE_HOLD"},
    ReturnError: {
        "ORIGINAL_UNKNOWN",
        "REFUND_TOO_LATE",
        "REFUND_ABOVE_ORIGINAL",
        "TOO_MANY_REFUNDS",
        "CLAWBACK_BLOCKED",
        "DEBT_LIMIT",
    },
    StepUpRequired: {"STEP_UP_REQUIRED"},
    PausedError: {"PARTICIPANT_REMOVED", "PARTICIPANT_SUSPENDED", "RULE_PAUSED", "PROGRAM_PAUSED"},
    SettlementError: {
        "WINDOW_NOT_CLOSED",
        "TOO_MANY_WINDOWS",
        "WINDOW_NOT_CONFIRMED",
        "STATEMENT_DIFFERS",
        "LINE_UNKNOWN",
        "ALREADY_SIGNED",
        "NO_DISPUTE",
        "ALREADY_ATTESTED",
        "NOTHING_OWED",
    },
}
#   What a program, a registry or an import is told by name, and no till meets.
PLAIN = {
    "KEY_REFUSED", "KEY_ALREADY_REVOKED", "LAST_GOVERN_KEY", "GOVERN_KEY_MISSING", "HEIGHT_NOT_AHEAD",
    "NOTICE_TOO_SHORT", "PAR_BELOW_FLOOR", "PAR_OUTSIDE_BAND", "PAR_ACCRUE_BELOW_REDEEM", "PAR_NOT_IN_ORDER",
    "GRANT_TO_SELF", "TOO_MANY_ANNOUNCED", "POSSESSION_INVALID", "NO_REPLACEMENT_PENDING", "NO_OPEN_SERIES",
    "ALREADY_DONE", "ACCOUNTS_MUST_DIFFER", "IMPORT_CLOSED", "IMPORT_DATES",
}  # fmt: skip


@pytest.mark.parametrize("code", REJECT_CODES)
def test_every_code_has_a_family_or_is_known_to_need_none(code):
    error = make_rejection(code, {"index": 7})
    assert (type(error) is RejectedByLedger) == (code in PLAIN)
    assert error.fate == "refused"
    assert error.what_to_do.endswith(".")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_holds_returns_pauses_and_statements_have_families_of_their_own():
    for family, codes in FAMILIES.items():
        assert {code for code in REJECT_CODES if type(make_rejection(code, {})) is family} == codes


@pytest.mark.parametrize(
    ("code", "family", "advice"),
    [
        ("STEP_UP_REQUIRED", StepUpRequired, "points code"),
        ("TILL_LIMIT", LimitExceeded, "points code"),
        ("ORDER_CEILING", LimitExceeded, "amount="),
        ("HOLD_FINAL", HoldError, "shop.order"),
        ("PROGRAM_FORBIDS_GIFTS", NotEntitled, "given away"),
        ("PROGRAM_PAUSED", PausedError, "what rests"),
        ("VOTE_REQUIRED", NotEntitled, "vote on it"),
        ("LINE_UNKNOWN", SettlementError, "lines_of"),
    ],
)
def test_the_advice_names_what_a_cashier_can_do(code, family, advice):
    error = make_rejection(code, {})
    assert type(error) is family
    assert advice in error.what_to_do
    assert isinstance(error, CommonpointError)
