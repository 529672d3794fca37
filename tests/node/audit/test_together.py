"""Several processes find that a good ledger is good, and what only arithmetic tells of a bad one.

The quick way of `node.audit.together` may say that a ledger is good, and nothing else; so for everything that
is bad it is asked by itself first, whether it noticed.
"""

from __future__ import annotations

import msgspec
import pytest

from contracts.messages import Redeem
from ledger.codec import to_base64url
from ledger.executor import Executor
from ledger.keys import SeedSigner
from ledger.leaves import ENTRY_START
from ledger.log.tiles import TILE_WIDTH
from ledger.transaction import Transaction
from node.audit import verify
from node.audit.crew import Crew
from node.audit.preparing import Irregular
from node.audit.verify import verify_ledger
from tests.contracts.cast import ANNA, FRESH, PETROL, make_signer
from tests.contracts.letters import sign_consent
from tests.node.audit.audited import audit
from tests.node.audit.hurried import find, hurry, look_quickly
from tests.node.audit.written import WrittenLog, write_history


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    hurry(monkeypatch)


# Good ledgers.


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_good_log_is_good_at_the_first_look(history, log, workers):
    report = look_quickly(log, workers=workers)
    head = history.executor.head
    assert (report.size, report.height) == (head.size, head.height)
    assert (report.operations, report.transactions) == (head.entries, head.transactions)


def test_a_good_data_directory_is_good_at_the_first_look(history, directory, monkeypatch):
    alone = audit(directory)
    monkeypatch.setattr(verify._Audit, "run", lambda *_, **__: pytest.fail("it was looked at again"))
    together = audit(directory, processes=2)
    assert together.is_good
    assert together.records == alone.records > 0
    assert together.rows == alone.rows > 0
    assert together.size == len(history.leaves)


@pytest.mark.parametrize("signed_blocks", [-2, -9], ids=["in the last bundle", "before it"])
def test_leaves_after_the_checkpoint_are_verified_together_too(history, signed_blocks):
    size = history.blocks[signed_blocks].head.size
    log = WrittenLog(history.leaves, origin=history.chain, has_partial_tiles=False, signed_size=size)
    assert look_quickly(log).unsigned_leaves == len(history.leaves) - size


def test_a_checkpoint_at_the_border_of_a_bundle_has_the_root_of_whole_bundles(history):
    log = WrittenLog(
        history.leaves, origin=history.chain, signed_size=2 * TILE_WIDTH, has_partial_tiles=False
    )
    assert look_quickly(log).size == len(history.leaves)


def test_progress_comes_to_the_end(history, log):
    seen = []
    verify_ledger(log, processes=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(history.leaves), len(history.leaves))


# What only arithmetic tells: everything else about these ledgers is as it should be.


class Gullible:
    """A judge of a node that checks nothing."""

    wants_notice = False

    def expect(self, signed):
        pass

    def is_valid(self, _signed):
        return True

    def close(self):
        pass


def spend_elsewhere(alliance, *, signer):
    """A redemption of ANNA's points at another merchant, with a signature of somebody's under something."""
    consent = sign_consent(
        alliance.chain,
        make_signer(ANNA),
        counterparty=PETROL,
        expires=alliance.time + 60_000,
        member=ANNA,
        points=1,
        program="leaf",
    )
    forged = msgspec.structs.replace(consent, signature=to_base64url(signer.sign(b"another text")))
    return Redeem(
        consent=forged, member=ANNA, occurred_at=alliance.time, points=1, program="leaf", reference="late"
    )


@pytest.fixture
def later():
    """A history that a test may go on with."""
    return write_history(days=1)


def go_on(alliance, *, gullible):
    """One more block, with a consent that nobody signed; then a few good ones."""
    if gullible:
        executor = alliance.executor
        alliance.executor = Executor(
            state=executor.state, origin=alliance.origin, rulebooks=executor.rulebooks, judge=Gullible()
        )
    index = len(alliance.leaves) + 1
    outcome = alliance.ask(PETROL, spend_elsewhere(alliance, signer=SeedSigner(bytes(32))))
    for _ in range(3):
        alliance.earn(ANNA, 5)
    return index, outcome.code


def test_a_consent_that_nobody_signed_is_found_however_well_all_else_fits(later, monkeypatch):
    index, code = go_on(later, gullible=True)
    assert code == "OK"
    check_noticed(later, index, "ENTRY_DIFFERS", monkeypatch)


def test_a_consent_that_was_turned_down_for_its_signature_is_as_it_should_be(later):
    _, code = go_on(later, gullible=False)
    assert code == "CONSENT_SIGNATURE_INVALID"
    assert look_quickly(WrittenLog(later.leaves, origin=later.chain)).size == len(later.leaves)


def test_a_transaction_that_nobody_signed_is_found_however_well_all_else_fits(later, monkeypatch):
    with monkeypatch.context() as gullible:
        gullible.setattr(Transaction, "verify_signature", lambda *_: None)
        signed = later.sign(FRESH, later.enrol("m_" + "7" * 26))
        signed.signature = to_base64url(bytes(64))
        index = len(later.leaves)
        later.cut(signed)
    check_noticed(later, index, "SIGNATURE_INVALID", monkeypatch)


def check_noticed(alliance, index, check, monkeypatch):
    """Whoever does the arithmetic, a worker or the process that executes."""
    log = WrittenLog(alliance.leaves, origin=alliance.chain)
    with pytest.raises(Irregular, match="signature"):
        look_quickly(log)
    with monkeypatch.context() as busy:
        busy.setattr(Crew, "_give_lot", lambda _self: None)
        with pytest.raises(Irregular, match="signature"):
            look_quickly(log)
    alone = find(log)
    assert (alone["first_bad"]["index"], alone["first_bad"]["check"]) == (index, check)
    assert find(log, processes=2) == alone


def test_the_entries_of_the_history_go_over_the_borders_of_groups(history):
    # Or nothing here would show that a transaction is put together from several.
    borders = range(TILE_WIDTH, len(history.leaves), TILE_WIDTH)
    assert any(history.leaves[at].startswith(ENTRY_START) for at in borders)
