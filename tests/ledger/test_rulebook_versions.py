"""The version of the rules is a record of the state: it holds from the next block on, for everybody alike."""

from __future__ import annotations

from collections import Counter

import pytest

from contracts.messages import Adjust, Enrol, ImportBalance
from contracts.rulebook import CURRENT, CURRENT_VERSION, RULEBOOKS, get_purposes
from ledger.codec import decode
from ledger.errors import InvalidBlock, InvariantBroken, Refused
from ledger.leaves import BLOCK_LEAF_DECODER
from node.audit.replay import Replay
from tests.contracts.alliance import OUTCOMES, Alliance
from tests.contracts.cast import FRESH, OPERATOR, PETROL, member_id
from tests.ledger.switching import BOTH, FIRST, SECOND, UNKNOWN, give_away, switch


def begin(**how) -> Alliance:
    return Alliance(version=1, rulebooks=BOTH, **how)


def enrol(number: int) -> Enrol:
    return Enrol(member=member_id(number))


def version_of(block) -> int:
    return decode(block.leaves[-1], BLOCK_LEAF_DECODER).rulebook


def codes_of(block) -> list[list[str]]:
    return [[decode(each, OUTCOMES).code for each in answer.outcomes] for answer in block.answers]


def test_a_block_ends_under_the_version_it_began_under_and_the_next_begins_under_the_new_one():
    alliance = begin()
    before = alliance.cut(alliance.sign(FRESH, enrol(1)))
    during = alliance.cut(
        alliance.sign(OPERATOR, switch(2)),
        alliance.sign(FRESH, enrol(2)),
    )
    after = alliance.cut(alliance.sign(FRESH, enrol(3)))
    assert [version_of(block) for block in (before, during, after)] == [1, 1, 2]
    assert codes_of(before) == [["OK"]]
    assert codes_of(during) == [["OK"], ["OK"]]
    assert codes_of(after) == [["MEMBER_EXISTS"]]
    assert alliance.executor.rulebook is SECOND


def test_a_version_may_be_left_for_an_earlier_one():
    alliance = begin()
    alliance.must(OPERATOR, switch(2))
    alliance.must(OPERATOR, switch(1))
    assert alliance.ask(FRESH, enrol(1)).code == "OK"
    assert [version_of(block) for block in alliance.blocks] == [1, 2, 1]


def test_what_never_happened_changes_no_version():
    alliance = begin()
    alliance.executor.execute_block([alliance.sign(OPERATOR, switch(2))], time=alliance.time)
    alliance.state.roll_back()
    assert alliance.executor.rulebook is FIRST
    aborted = alliance.submit(OPERATOR, switch(2), switch(0), atomic=True)
    assert [outcome.code for outcome in aborted] == ["ATOMIC_ABORTED", "PARAMETER_OUT_OF_BOUNDS"]
    assert alliance.executor.rulebook is FIRST


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_message_without_a_rule_in_force_is_refused_with_all_of_its_transaction(place):
    alliance = begin()
    messages = [enrol(1), enrol(2)]
    messages.insert(place, give_away())
    with pytest.raises(Refused) as caught:
        alliance.submit(FRESH, *messages, purpose="transact")
    assert caught.value.code == "NOT_IN_FORCE"
    assert caught.value.facts == {"message": "gift", "rulebook": 1}
    assert alliance.executor.head.height == 0
    alliance.must(OPERATOR, switch(2))
    assert alliance.submit(FRESH, give_away(), purpose="transact")[0].code != "OK"


def test_whether_a_rule_is_in_force_is_asked_after_the_key_and_before_its_purpose():
    alliance = begin()
    with pytest.raises(Refused, match="NOT_IN_FORCE"):
        alliance.submit(FRESH, switch(2), give_away(), purpose="transact")
    alliance.signers[FRESH, "transact"] = alliance.signers[PETROL, "transact"]
    with pytest.raises(Refused, match="UNKNOWN_KEY"):
        alliance.submit(FRESH, give_away(), purpose="transact")


def test_a_version_that_this_program_does_not_know_ends_its_blocks_and_says_so():
    alliance = begin()
    alliance.must(FRESH, enrol(1))
    # The block that activates it is a good one, whoever executes it.
    assert [outcome.code for outcome in alliance.must(OPERATOR, switch(UNKNOWN))] == ["OK"]
    records = alliance.records()
    for transactions in ([alliance.sign(FRESH, enrol(2))], []):
        with pytest.raises(InvariantBroken) as caught:
            alliance.executor.execute_block(transactions, time=alliance.time)
        assert caught.value.code == "RULEBOOK_UNKNOWN"
        assert caught.value.facts == {"height": 3, "known": [1, 2], "version": UNKNOWN}
    assert alliance.records() == records


def test_a_history_with_a_switch_replays_and_without_the_version_it_ends_before_its_first_block():
    alliance = begin()
    alliance.must(FRESH, enrol(1))
    alliance.must(OPERATOR, switch(2))
    switched = len(alliance.leaves)
    alliance.ask(FRESH, enrol(2))
    alliance.must(OPERATOR, switch(1))
    alliance.must(FRESH, enrol(3))
    replay = Replay.begin(alliance.leaves, rulebooks=BOTH)
    versions = Counter(version_of(block.executed) for block in replay)
    assert versions == {1: 3, 2: 2}
    assert replay.size == len(alliance.leaves)

    older = Replay.begin(alliance.leaves, rulebooks={1: FIRST})
    with pytest.raises(InvalidBlock) as caught:
        list(older)
    assert (caught.value.check, caught.value.index, older.size) == ("RULEBOOK_UNKNOWN", switched, switched)
    assert caught.value.facts["found"] == "RULEBOOK_UNKNOWN (height=3, known=[1], version=2)"
    # A log that ends with the switch has nothing yet that an older program could not verify.
    assert len(list(Replay.begin(alliance.leaves[:switched], rulebooks={1: FIRST}))) == 2


def test_a_block_leaf_that_names_another_version_is_found():
    alliance = begin()
    alliance.must(FRESH, enrol(1))
    *leaves, closing = alliance.leaves
    forged = closing.replace(b'"rulebook":1', b'"rulebook":2')
    assert forged != closing
    with pytest.raises(InvalidBlock, match="BLOCK_DIFFERS"):
        list(Replay.begin([*leaves, forged], rulebooks=BOTH))


def test_all_versions_share_everything_but_their_rules():
    assert list(RULEBOOKS) == list(range(1, CURRENT_VERSION + 1))
    for version, rulebook in RULEBOOKS.items():
        assert rulebook.version == version
        shared = {
            field: getattr(rulebook, field) for field in ("tables", "resident", "fleeting", "retention")
        }
        assert shared == {field: getattr(CURRENT, field) for field in shared}
        assert rulebook.message_type == CURRENT.message_type
        assert rulebook.system_message_type == CURRENT.system_message_type
        for kind, rule in rulebook.rules.items():
            assert rule.purposes <= get_purposes(kind)


def test_version_1_keeps_the_rules_that_version_2_superseded():
    for kind in (Adjust, ImportBalance):
        modules = [RULEBOOKS[version].rules[kind].decide.__module__ for version in (1, 2)]
        assert modules == ["contracts.frozen.v1.issuing", "contracts.rules.issuing"]
