"""Every error says what happened, whether the same call may be made again, and what to do."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from contracts.messages.reject_codes import REJECT_CODES
from merchant_sdk import errors
from merchant_sdk.advice import REJECTIONS, REJECTIONS_THAT_PASS
from merchant_sdk.errors import CommonpointError, RejectedByLedger
from merchant_sdk.rejections import make_rejection
from merchant_sdk.responses import read_problem

KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CommonpointError)
]
MADE = [
    errors.ConfigurationError("no key", given=1),
    errors.InvalidRequest("not an amount", amount=1.5),
    errors.NotSent("no connection"),
    errors.RefusedByNode("BUSY", status=429, facts={"waiting": 3}),
    errors.NotFound("NOT_FOUND", status=404),
    make_rejection("INSUFFICIENT_POINTS", {"index": 7}),
    errors.OutboxError("disk full"),
    errors.UnknownOutcome("t1", "no answer"),
    errors.Unverified("ROOT_MISMATCH", evidence={"found": "a", "trusted": "b"}, transaction_id="t1"),
]


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = re.findall(r"^ +(?:[│ ]*[├└]── )(\w+)", errors.__doc__, re.MULTILINE)
    assert sorted(drawn) == sorted(kind.__name__ for kind in KINDS if kind is not CommonpointError)


#   What a till can meet: the codes of enrolling, earning, spending and exchanging.
TILL_CODES = [code for code in REJECT_CODES if code.startswith(("CONSENT_", "CUSTODY_"))] + [
    "OCCURRED_IN_FUTURE", "OCCURRED_TOO_LONG_AGO", "REFERENCE_CONFLICT", "ATOMIC_ABORTED",
    "MEMBER_EXISTS", "MEMBER_UNKNOWN", "NOT_CUSTODIAN", "MEMBER_KEY_EXISTS", "MEMBER_KEY_MISSING",
    "PROGRAM_UNKNOWN", "SERIES_UNKNOWN", "PROGRAMS_MUST_DIFFER", "GRANT_MISSING", "GRANT_EXPIRED",
    "GRANT_EXHAUSTED", "INSUFFICIENT_POINTS", "AMOUNT_TOO_LARGE", "LOT_LIMIT", "BALANCE_LIMIT",
    "QUOTE_EXPIRED", "BELOW_LEAST", "EXCHANGE_TOO_SMALL",
]  # fmt: skip


@pytest.mark.parametrize("code", TILL_CODES)
def test_every_code_that_a_till_can_meet_has_a_family(code):
    assert code in REJECT_CODES
    assert type(make_rejection(code, {})) is not RejectedByLedger


def test_advice_is_given_for_codes_that_exist():
    assert set(REJECTIONS) | REJECTIONS_THAT_PASS <= set(REJECT_CODES)


@pytest.mark.parametrize(
    ("code", "family"),
    [
        ("INSUFFICIENT_POINTS", errors.InsufficientPoints),
        ("CONSENT_USED", errors.ConsentError),
        ("CONSENT_OF_A_LATER_RULEBOOK", errors.ConsentError),
        ("CUSTODY_GRANT_MISSING", errors.GrantError),
        ("GRANT_EXHAUSTED", errors.GrantError),
        ("REFERENCE_CONFLICT", errors.ReferenceConflict),
        ("OCCURRED_IN_FUTURE", errors.OccurredAtError),
        ("QUOTE_EXPIRED", errors.QuoteError),
        ("MEMBER_UNKNOWN", errors.UnknownToLedger),
        ("MEMBER_EXISTS", errors.AlreadyExists),
        ("NOT_CUSTODIAN", errors.NotEntitled),
        ("LOT_LIMIT", errors.LimitExceeded),
        ("LIMIT_OF_A_LATER_RULEBOOK_LIMIT", errors.LimitExceeded),
        ("ATOMIC_ABORTED", errors.AtomicAborted),
        ("SOMETHING_NEW", errors.RejectedByLedger),
    ],
)
def test_a_code_is_an_error_of_its_family(code, family):
    error = make_rejection(code, {"index": 4})
    assert type(error) is family
    assert (error.code, error.facts) == (code, {"index": 4})
    assert code in str(error)


def test_every_error_says_in_one_word_what_became_of_it():
    fates = [(type(error).__name__, error.fate) for error in MADE]
    assert fates == [
        ("ConfigurationError", "not_sent"),
        ("InvalidRequest", "not_sent"),
        ("NotSent", "not_sent"),
        ("RefusedByNode", "refused"),
        ("NotFound", "refused"),
        ("InsufficientPoints", "refused"),
        ("OutboxError", "not_sent"),
        ("UnknownOutcome", "unknown"),
        ("Unverified", "unknown"),
    ]


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_whatever_names_an_open_transaction_is_unknown(error):
    error = copy.copy(error)
    error.transaction_id = "t1"
    assert error.fate == "unknown"


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_every_error_says_what_to_do_and_survives_a_copy(error):
    assert len(error.what_to_do) > 20
    assert isinstance(error.may_retry, bool)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)


def test_only_what_cannot_have_moved_points_or_moves_them_once_may_be_tried_again():
    assert {type(error).__name__ for error in MADE if error.may_retry} == {
        "NotSent", "RefusedByNode", "OutboxError", "UnknownOutcome",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "facts"),
    [
        (404, b'{"code":"NOT_FOUND","status":404}', errors.NotFound, "NOT_FOUND", {}),
        (400, b'{"code":"EXPIRED","time":5,"title":"t"}', errors.RefusedByNode, "EXPIRED", {"time": 5}),
        (400, b'{"code":"X","self":1,"status":400}', errors.RefusedByNode, "X", {"self": 1}),
        (404, b"<html>not here</html>", errors.RefusedByNode, "HTTP_404", {}),
        (404, b'{"code":"NOT_FOUND","status":200}', errors.RefusedByNode, "NOT_FOUND", {}),
        (502, b"<html>bad gateway</html>", errors.RefusedByNode, "HTTP_502", {}),
        (400, b'{"code":7}', errors.RefusedByNode, "HTTP_400", {}),
        (400, b"[" * 100_000, errors.RefusedByNode, "HTTP_400", {}),
        (400, b"\xff", errors.RefusedByNode, "HTTP_400", {}),
        (400, b'{"code":"no code of ours"}', errors.RefusedByNode, "HTTP_400", {}),
        (
            400,
            b'{"code":"X","many":' + b"9" * 4000 + b"}",
            errors.RefusedByNode,
            "X",
            {"many": int("9" * 4000)},
        ),
    ],
)
def test_a_problem_becomes_a_typed_error_whatever_it_holds(status, body, kind, code, facts):
    error = read_problem(status, body)
    assert type(error) is kind
    assert (error.code, error.status, error.facts) == (code, status, facts)
