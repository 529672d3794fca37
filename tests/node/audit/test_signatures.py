"""A second process checks signatures ahead: it changes how long an audit takes and never what it finds."""

from __future__ import annotations

import pytest

from ledger.codec import to_base64url
from ledger.keys import signed_text
from node.audit import signatures
from node.audit.replay import Replay
from node.audit.signatures import SignatureChecker, check_signatures
from node.audit.verify import verify_ledger
from tests.contracts.cast import FRESH, make_signer
from tests.node.audit.forgeries import DAY, change, find_transaction, forge_signature, sign_for_somebody_else


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Every group is worth asking, and a group is a few blocks."""
    monkeypatch.setattr(signatures, "WORTH_ASKING", 1)
    monkeypatch.setattr(signatures, "GROUP_LEAVES", 100)


def replay_with(checker, leaves, *, find_public=None):
    replay = Replay.begin(leaves)
    known = dict(replay.state.list_records("key"))
    replay.blocks = checker.read_ahead(
        replay.blocks,
        chain=replay.origin.chain,
        find_public=find_public or (lambda key: known[key].public if key in known else None),
    )
    return replay


def test_every_block_comes_in_order_and_its_signatures_are_known(history):
    with SignatureChecker() as checker:
        replay = replay_with(checker, history.leaves)
        blocks = list(replay.blocks)
        assert checker._process is not None
    assert [block.first for block in blocks] == [block.first for block in history.blocks]
    checked = [transaction.verified_by for block in blocks for transaction in block.transactions]
    assert None not in checked
    assert len(checked) == history.executor.head.transactions


def test_an_audit_with_a_checker_finds_what_one_without_finds(history, log):
    assert verify_ledger(log, processes=2).is_good
    assert verify_ledger(log, processes=2).operations == history.executor.head.entries


@pytest.mark.parametrize("forge", [forge_signature, sign_for_somebody_else])
def test_a_forged_signature_is_found_where_it_stands(history, leaves, rewrite, forge):
    index = forge(leaves, history)
    assert verify_ledger(rewrite(leaves), processes=2).first_bad.index == index


def test_a_fault_that_was_read_ahead_is_told_after_those_before_it(history, leaves, rewrite):
    early = forge_signature(leaves, history)
    late = find_transaction(leaves, history, block=DAY + 4)
    change(leaves, late, rb'"height":\d+', b'"height":1')
    assert early < late
    assert verify_ledger(rewrite(leaves), processes=2).first_bad.index == early


def test_a_signature_found_valid_under_another_key_does_not_count(history, leaves):
    # The checker is told the stranger's key, and rightly says that the stranger signed.
    index = sign_for_somebody_else(leaves, history)
    stranger = to_base64url(make_signer("a stranger").public)
    with SignatureChecker() as checker:
        replay = replay_with(checker, leaves, find_public=lambda _key: stranger)
        with pytest.raises(Exception, match="UNKNOWN_KEY") as caught:
            list(replay)
    assert caught.value.index == index


def test_a_checker_that_dies_is_done_without(history):
    with SignatureChecker() as checker:
        replay = replay_with(checker, history.leaves)
        blocks = iter(replay)
        next(blocks)
        checker._process.kill()
        assert sum(1 for _ in blocks) == len(history.blocks) - 1
        assert checker._is_over


def test_a_checker_that_cannot_be_started_is_done_without(history, log, monkeypatch):
    monkeypatch.setattr(signatures.sys, "executable", "/nowhere/python")
    report = verify_ledger(log, processes=2)
    assert report.is_good
    assert report.size == len(history.leaves)


def test_a_small_log_starts_no_checker(history, monkeypatch):
    monkeypatch.setattr(signatures, "WORTH_ASKING", 256)
    with SignatureChecker() as checker:
        assert sum(1 for _ in replay_with(checker, history.leaves)) == len(history.blocks)
        assert checker._process is None


def test_no_process_is_left_behind(history):
    with SignatureChecker() as checker:
        next(iter(replay_with(checker, history.leaves)))
        process = checker._process
    assert process.poll() is not None


def test_the_checker_says_of_each_signature_what_the_rule_says():
    signer = make_signer(FRESH, "transact")
    text = signed_text(purpose="transaction", chain="c", body=b"{}")
    good = to_base64url(signer.sign(text))
    public = to_base64url(signer.public)
    bad = ("A" if good[0] != "A" else "B") + good[1:]
    asked = [
        (public, text, good),
        (public, text, bad),
        (public, text + b" ", good),
        (public, text, good[:-1]),
        ("", text, good),
    ]
    assert check_signatures(asked) == bytes([1, 0, 0, 0, 0])
