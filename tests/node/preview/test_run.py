"""A preview reads what an audit reads and believes as little of it; and it says the same every time."""

from __future__ import annotations

import json

import pytest

from contracts.messages import CutWindow, Propose
from contracts.messages.actions import CapDebit, ChangeParameter, Pause, RecoverKeys, SuspendParticipant
from contracts.messages.registry import ParticipantKey
from contracts.rulebook import CURRENT
from ledger import keys, transaction
from ledger.errors import InvalidBlock, Unverified
from ledger.executor import make_tables
from ledger.log.note import sign_checkpoint
from node.audit.invariants import verify_invariants
from node.audit.replay import Replay
from node.preview.fork import Fork, RememberingJudge
from node.preview.run import preview
from node.preview.span import Beginning, NoPreview
from tests.conftest import FULL
from tests.contracts.alliance import Alliance
from tests.contracts.cast import DAY_MILLIS, FRESH, OPERATOR, PETROL, make_signer, public_of
from tests.contracts.crowd import Crowd
from tests.node.audit.written import LOG_SIGNER, WrittenLog, find_leaf, flip, trade

DEARER = ChangeParameter(parameter="commission_basis_points", value=300)
SEEDS = range(40) if FULL else range(3)


def crowd_log(seed, blocks=60):
    crowd = Crowd(seed)
    for _ in range(blocks):
        crowd.go_on()
    return crowd.alliance


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fork_of_nothing_becomes_the_very_same_state(seed):
    """Whatever a crowd does, and wherever the fork begins: record by record."""
    alliance = crowd_log(seed)
    judge = RememberingJudge()
    replay = Replay.begin(alliance.leaves, judge=judge)
    blocks = iter(replay)
    for _ in range(20 + 10 * (seed % 3)):
        next(blocks)
    fork = Fork(replay.state, origin=replay.origin, actions=[], judge=judge)
    for block in blocks:
        assert fork.execute(block).leaves == block.executed.leaves
    for table in make_tables(CURRENT):
        assert fork.state.list_records(table) == replay.state.list_records(table), table


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_decided_the_fork_adds_up(seed):
    """A crowd's history under another commission, a cap, a suspension and a pause."""
    alliance = crowd_log(seed)
    log = WrittenLog(alliance.leaves, origin=alliance.chain)
    actions = [DEARER, CapDebit(10**9, FRESH), SuspendParticipant(PETROL), Pause(message="gift")]
    found = preview(log, actions=actions, beginning=Beginning(height=30))
    assert found.enactment == "OK"
    assert sum(each.difference.position_micros for each in found.impacts) == 0
    assert sum(each.difference.fees_micros for each in found.impacts) == 0
    assert found.flips


def test_the_same_preview_is_the_same_bytes_and_canonical(log):
    first, second = (preview(log, actions=[DEARER], beginning=Beginning(blocks=20)).to_json() for _ in "12")
    assert first == second
    told = json.loads(first)
    assert json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == first
    assert told["enactment"] == "OK"
    assert told["verified"]["size"] == log.stored_size
    assert {each["participant"] for each in told["participants"]} >= {OPERATOR, FRESH, PETROL}


def test_every_signature_is_checked_once(history, log, monkeypatch):
    asked = []
    real = keys.is_valid_signature

    def count(**signed):
        asked.append(signed["text"])
        return real(**signed)

    monkeypatch.setattr(keys, "is_valid_signature", count)
    monkeypatch.setattr(transaction, "is_valid_signature", count)
    for _ in Replay.begin(history.leaves):
        pass
    alone = sorted(asked)
    asked.clear()
    found = preview(log, actions=[DEARER], beginning=Beginning(height=2))
    assert sorted(asked) == alone
    assert found.compared > 0 < len(alone)


def test_a_history_that_does_not_hold_is_not_previewed(history):
    #   what is changed, what is said
    leaves = list(history.leaves)
    damaged = WrittenLog(leaves, origin=history.chain)
    damaged.bundles[1] = flip(damaged.bundles[1], 500)
    with pytest.raises((InvalidBlock, Unverified)):
        preview(damaged, actions=[DEARER], beginning=Beginning(height=2))
    place = find_leaf(leaves, b'{"@type":"entry"', after=len(leaves) - 60)
    leaves[place] = leaves[place].replace(b'"code":"OK"', b'"code":"NO"')
    forged = WrittenLog(leaves, origin=history.chain)
    with pytest.raises(InvalidBlock, match="ENTRY_DIFFERS"):
        preview(forged, actions=[DEARER], beginning=Beginning(height=2))
    stranger = WrittenLog(history.leaves, origin=history.chain, signer=make_signer("another log"))
    with pytest.raises(Unverified):
        preview(stranger, actions=[DEARER])
    with pytest.raises(InvalidBlock, match="WRONG_CHAIN"):
        preview(WrittenLog(history.leaves, origin=history.chain), chain="other/" + "0" * 32)


@pytest.fixture(scope="module")
def decided():
    """A history with two windows cut, three proposals and some trade after each."""
    alliance = Alliance().open()
    alliance.must(OPERATOR, CutWindow(effective_height=alliance.height + 3))
    for day in range(6):
        if day == 2:
            propose(alliance, "dearer", [DEARER])
            assert propose(alliance, "dearer", [CapDebit(0, FRESH)]) == "PROPOSAL_EXISTS"
        if day == 3:
            alliance.must(OPERATOR, CutWindow(effective_height=alliance.height + 1))
        trade(alliance, day)
        alliance.wait(days=1)
    return alliance


def propose(alliance, name, actions):
    """The operator's proposal, to be voted on for a day."""
    message = Propose(
        actions=actions,
        configuration=0,
        effective_height=alliance.height + 1_000,
        expires=alliance.time + DAY_MILLIS,
        proposal=name,
    )
    return alliance.ask(OPERATOR, message).code


def test_a_proposal_of_the_ledger_is_previewed_by_its_name(decided):
    log = WrittenLog(decided.leaves, origin=decided.chain)
    beginning = Beginning(height=8)
    by_name = preview(log, proposal="dearer", beginning=beginning)
    by_hand = preview(log, actions=[DEARER], beginning=beginning)
    assert by_name.actions == [DEARER]
    assert by_name.impacts == by_hand.impacts
    assert not by_name.changes_nothing
    for unknown in ("cheaper", "dear"):
        with pytest.raises(NoPreview, match="PROPOSAL_UNKNOWN"):
            preview(log, proposal=unknown)


def test_the_replay_begins_where_it_is_asked_to(decided):
    log = WrittenLog(decided.leaves, origin=decided.chain)
    newest = decided.executor.head
    cuts = [
        block.head.height for block in decided.blocks if any("Cut" in repr(each) for each in block.system)
    ]
    assert len(cuts) == 2
    last_day = next(
        block.head.height for block in decided.blocks if block.time >= newest.time - 1 * DAY_MILLIS
    )
    #   beginning, the first height under the actions
    cases = [
        (Beginning(), cuts[-1]),
        (Beginning(height=3), 3),
        (Beginning(blocks=1), newest.height),
        (Beginning(blocks=10**6), 1),
        (Beginning(days=1), last_day),
        (Beginning(days=10_000), 1),
    ]
    for beginning, first in cases:
        found = preview(log, beginning=beginning)
        assert (found.first_height, found.last_height) == (first, newest.height), beginning
    for height in (newest.height + 1, 10**9):
        with pytest.raises(NoPreview, match="NOTHING_TO_REPLAY"):
            preview(log, beginning=Beginning(height=height))


def test_a_log_that_signs_for_something_else_is_not_previewed(history):
    log = WrittenLog(history.leaves, origin=history.chain)
    log.note = sign_checkpoint(
        origin=history.chain, size=len(history.leaves), root=b"r" * 32, signer=LOG_SIGNER
    )
    with pytest.raises(Unverified, match="CHECKPOINT_ROOT"):
        preview(log, actions=[DEARER])


def test_a_proposal_that_is_shown_first_and_not_replayed_is_found_out(decided):
    """The look for it is not a verified one, so what it found is held against what the replay makes."""
    log = WrittenLog(decided.leaves, origin=decided.chain)
    real, asked = log.read_bundle, []

    def lie_once(index, width):
        asked.append(index)
        data = real(index, width)
        return data if asked.count(index) > 1 else data.replace(b'"value":300', b'"value":301')

    log.read_bundle = lie_once
    with pytest.raises(Unverified, match="PROPOSAL_DIFFERS"):
        preview(log, proposal="dearer", beginning=Beginning(height=8))


def test_the_fork_stands_where_the_log_stands_whatever_it_refuses(history):
    """Also after blocks of which nothing is left: heights that were announced come when they came."""
    judge = RememberingJudge()
    replay = Replay.begin(history.leaves, judge=judge)
    blocks = iter(replay)
    for _ in range(19):
        next(blocks)
    keys = [make_signer(PETROL, purpose) for purpose in ("govern", "transact")]
    spare = ParticipantKey(public_of(make_signer("spare")), "govern")
    recover = RecoverKeys([spare], PETROL, [key.key_id for key in keys])
    fork = Fork(replay.state, origin=replay.origin, actions=[recover], judge=judge)
    empty = 0
    for block in blocks:
        empty += fork.execute(block).is_empty
        assert fork.state.get_current("head", "head") == replay.head
    assert empty


def test_a_copied_state_goes_its_own_way(history):
    judge = RememberingJudge()
    replay = Replay.begin(history.leaves, judge=judge)
    blocks = iter(replay)
    for _ in range(20):
        next(blocks)
    before = {table: replay.state.list_records(table) for table in make_tables(CURRENT)}
    fork = Fork(replay.state, origin=replay.origin, actions=[DEARER], judge=judge)
    block = next(blocks)
    after = {table: replay.state.list_records(table) for table in make_tables(CURRENT)}
    fork.execute(block)
    assert {table: replay.state.list_records(table) for table in make_tables(CURRENT)} == after != before
    assert fork.state.get_current("proposal", fork.proposal).state == "enacted"
    assert replay.state.get_current("proposal", fork.proposal) is None
    verify_invariants(fork.state)
