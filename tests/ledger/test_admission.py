"""The same transaction again is no error, another under its id is, and neither is taken for ever."""

from __future__ import annotations

import pytest

from tests.contracts.cast import PETROL, START
from tests.ledger.test_transaction import DECODER, Draft

#   milliseconds from the block's time
WINDOW = [(-1, "EXPIRED"), (0, "OK"), (3_600_000, "OK"), (3_600_001, "NOT_AFTER_TOO_FAR")]


@pytest.mark.parametrize(("ahead", "code"), WINDOW)
def test_a_transaction_is_good_until_its_end_and_not_made_for_too_long(ahead, code):
    draft = Draft()
    draft.set(not_after=START + ahead)
    assert draft.take() == code


def test_a_repeat_is_no_error_and_another_under_its_id_is():
    draft = Draft()
    transaction = DECODER.decode(draft.write())
    assert not draft.alliance.cut(transaction).answers[0].is_repeat
    assert draft.alliance.cut(transaction).answers[0].is_repeat
    # Signed again with another end, it is the same transaction still.
    draft.set(not_after=START + 2_000)
    assert draft.alliance.cut(DECODER.decode(draft.write())).answers[0].is_repeat
    draft.messages.append(draft.messages[0])
    assert draft.take() == "ID_CONFLICT"
    # Another sender's ids are its own.
    draft.send_as(PETROL, "transact")
    assert draft.take() == "OK"


def test_ids_are_remembered_until_the_transaction_could_not_come_again():
    draft = Draft()
    assert draft.take() == "OK"
    draft.alliance.time = START + 1_000
    assert draft.alliance.cut(DECODER.decode(draft.write())).answers[0].is_repeat
    draft.alliance.time += 1
    assert draft.take() == "EXPIRED"
    # Made anew under the old id, it is the business reference that keeps it from counting twice.
    draft.set(not_after=draft.alliance.time)
    answer = draft.alliance.cut(DECODER.decode(draft.write())).answers[0]
    assert not answer.is_repeat
    assert b"ALREADY_DONE" in answer.outcomes[0]
