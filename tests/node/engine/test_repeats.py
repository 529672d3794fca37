"""The same transaction again is no error: whenever it comes, the first answer is given, to who signed it."""

from __future__ import annotations

import pytest

from contracts.messages import RevokeKey
from ledger.codec import to_base64url
from ledger.errors import Refused
from tests.contracts.cast import DAY_MILLIS, FRESH, START, make_signer
from tests.node.engine.gate import Gate
from tests.node.engine.town import HOUR_MILLIS, points_of, refusal_of, submit


@pytest.fixture
def sent(town):
    """A transaction and another one under its id."""
    return town.sign(FRESH, "once", town.earn(1)), town.sign(FRESH, "once", town.earn(2))


def code_of(core, data: bytes) -> str:
    """The code with which a submission is turned down at once."""
    with pytest.raises(Refused) as refused:
        core.submit(data)
    return refused.value.code


def test_while_it_waits_a_repeat_shares_its_answer(told_town):
    core = told_town.open()
    told_town.settle(core)
    data, other = (told_town.sign(FRESH, "once", told_town.earn(number)) for number in (1, 2))
    first, second = core.submit(data), core.submit(data)
    assert core.waiting == 1
    assert code_of(core, other) == "ID_CONFLICT"
    core.cut_block(START)
    assert first.result(0) == second.result(0)
    assert points_of(core, 1) == 10


@pytest.mark.parametrize("step", ["executed", "appended", "committed", "signed"])
def test_in_the_middle_of_its_block_a_repeat_waits_for_that_answer(town, sent, step):
    gate = Gate()
    core = town.open(on_step=gate)
    town.settle(core)
    data, other = sent
    gate.close(step)
    first = core.submit(data)
    with gate.held():
        # It may be durable already, but there is no signed checkpoint yet to prove an answer with.
        assert core.find_transaction(FRESH, "once") is None
        second = core.submit(data)
        assert not second.done()
        assert code_of(core, other) == "ID_CONFLICT"
    assert first.result(10) == second.result(10)
    assert core.prove(first=second.result().index, end=second.result().index + 2, trusted_size=None).proof
    assert points_of(core, 1) == 10


def test_afterwards_and_after_a_restart_a_repeat_is_answered_as_the_first_time(town, sent):
    core = town.open()
    town.settle(core)
    data, other = sent
    first = submit(core, data)
    for _ in range(2):
        size = core.head.size
        again = core.submit(data)
        assert again.done(), "no block is made for it"
        assert again.result() == first
        assert core.find_transaction(FRESH, "once")[1] == first
        assert code_of(core, other) == "ID_CONFLICT"
        assert core.head.size == size
        core.stop()
        core = town.open()
    assert points_of(core, 1) == 10


def test_long_after_its_time_and_with_its_key_revoked_a_repeat_is_answered_all_the_same(town, sent):
    core = town.open()
    town.settle(core)
    first = submit(core, sent[0])
    key = make_signer(FRESH, "transact").key_id
    submit(core, town.sign(FRESH, "revoke", RevokeKey(key=key)))
    town.clock.at = START + 30 * DAY_MILLIS
    assert core.submit(sent[0]).result(0) == first
    later = town.sign(FRESH, "once", town.earn(2), purpose="till", not_after=town.clock.at + HOUR_MILLIS)
    assert code_of(core, later) == "ID_CONFLICT", "an id is remembered for ever"
    assert code_of(core, sent[1]) == "EXPIRED", "the earlier check is the answer"


def test_signed_anew_with_the_same_messages_it_is_still_the_same(town, sent):
    core = town.open()
    town.settle(core)
    first = submit(core, sent[0])
    anew = town.sign(FRESH, "once", town.earn(1), purpose="till", not_after=START + HOUR_MILLIS // 2)
    assert anew != sent[0]
    assert submit(core, anew) == first


def test_the_answer_is_given_to_nobody_who_did_not_sign(town, sent):
    core = town.open()
    town.settle(core)
    submit(core, sent[0])
    signature = sent[0][sent[0].rindex(b'"signature":"') :]
    forged = b'"signature":"%b"}' % to_base64url(bytes(32) + (1).to_bytes(32, "little")).encode()
    assert code_of(core, sent[0].replace(signature, forged)) == "SIGNATURE_INVALID"
    stranger = town.sign(FRESH, "once", town.earn(1)).replace(
        make_signer(FRESH, "transact").key_id.encode(), make_signer("petrol-west", "transact").key_id.encode()
    )
    assert code_of(core, stranger) == "UNKNOWN_KEY"


@pytest.mark.parametrize("step", ["executed", "committed"])
def test_a_repeat_that_comes_too_late_hears_of_the_block_in_hand(town, step):
    gate = Gate()
    core = town.open(on_step=gate)
    town.settle(core)
    data = town.sign(FRESH, "late", town.earn(1), not_after=START + 10)
    gate.close(step)
    first = core.submit(data)
    with gate.held():
        town.clock.at = START + 11
        # Refused, its sender would believe that nothing is recorded.
        second = core.submit(data)
    assert second.result(10) == first.result(10)
    assert core.submit(data).result(0) == first.result()


def test_what_is_refused_in_its_block_is_not_taken_for_known(town):
    gate = Gate()
    core = town.open(on_step=gate)
    town.settle(core)
    gate.close("executed")
    ahead = core.submit(town.sign(FRESH, "ahead", town.earn(1)))
    with gate.held():
        data = town.sign(FRESH, "late", town.earn(2), not_after=START + 10)
        late = core.submit(data)
        town.clock.at = START + 11
    ahead.result(10)
    assert refusal_of(late) == "EXPIRED"
    assert core.find_transaction(FRESH, "late") is None
    assert code_of(core, data) == "EXPIRED"
    # Its id is free: nothing was recorded under it.
    assert submit(core, town.sign(FRESH, "late", town.earn(2))).outcomes
    assert points_of(core, 1) == 20
