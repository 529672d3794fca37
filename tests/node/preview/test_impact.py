"""What a preview says would have been different, against sums worked out from the log's own entries."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from contracts.messages import MESSAGE_DECODER, Countersign, CutWindow
from contracts.messages.actions import (
    AdmitParticipant,
    CapDebit,
    ChangeParameter,
    Pause,
    RecoverKeys,
    SetPar,
    SetRulebook,
    SuspendParticipant,
)
from contracts.messages.registry import ParticipantKey
from ledger.leaves import (
    BLOCK_LEAF_DECODER,
    BLOCK_START,
    ENTRY_DECODER,
    ENTRY_START,
    TRANSACTION_LEAF_DECODER,
    TRANSACTION_START,
)
from ledger.outcome import Outcome
from node.preview.figures import NOTHING
from node.preview.run import preview
from node.preview.span import Beginning, NoPreview
from tests.contracts.cast import FRESH, OPERATOR, PETROL, PHARMACY, PROGRAMS, make_signer, public_of
from tests.node.audit.written import WrittenLog, trade, write_history

OUTCOME = msgspec.json.Decoder(Outcome)
SINCE = 20
FROM = Beginning(height=SINCE)


def list_entries(history, since=SINCE):
    """Of every entry since a height: its index, sender, message and outcome."""
    found, pending = [], []
    for index, leaf in enumerate(history.leaves):
        if leaf.startswith(TRANSACTION_START):
            sender = TRANSACTION_LEAF_DECODER.decode(leaf).header.sender
        elif leaf.startswith(ENTRY_START):
            entry = ENTRY_DECODER.decode(leaf)
            message = MESSAGE_DECODER.decode(bytes(entry.message))
            pending.append((index, sender, message, OUTCOME.decode(bytes(entry.outcome))))
        elif leaf.startswith(BLOCK_START):
            if BLOCK_LEAF_DECODER.decode(leaf).height >= since:
                found += pending
            pending = []
    return found


def differences(found):
    """By participant what is not as it was, measure by measure."""
    told = {}
    for impact in found.impacts:
        changed = msgspec.structs.asdict(impact.difference)
        if impact.difference != NOTHING:
            told[impact.participant] = {name: amount for name, amount in changed.items() if amount}
    return told


def legs_of(outcome):
    return outcome.legs if outcome.legs is not msgspec.UNSET else []


def test_a_preview_of_nothing_shows_no_difference_anywhere(log):
    for beginning in (Beginning(), Beginning(height=1), FROM, Beginning(blocks=1), Beginning(days=3)):
        found = preview(log, beginning=beginning)
        assert found.changes_nothing
        assert found.compared > 0
        assert (found.flips, found.altered, found.enactment) == ([], {}, None)


def test_what_was_is_what_the_log_says_of_the_replayed_blocks(history, log):
    """Points issued, and what everybody came to owe: entry by entry, since the first replayed block."""
    issued: Counter[str] = Counter()
    positions: Counter[str] = Counter()
    for _, _, message, outcome in list_entries(history):
        if message.__struct_config__.tag == "earn" and outcome.code == "OK":
            issued[PROGRAMS[message.program].issuer] += sum(lot.points for lot in outcome.lots)
        for leg in legs_of(outcome):
            positions[leg.source] -= leg.micros
            positions[leg.destination] += leg.micros
    found = {each.participant: each.base for each in preview(log, beginning=FROM).impacts}
    assert {name: each.issued for name, each in found.items() if each.issued} == issued
    assert {name: each.position_micros for name, each in found.items() if each.position_micros} == {
        name: micros for name, micros in positions.items() if micros
    }
    for row in PROGRAMS.values():
        supply = history.get("supply", row.program) or 0
        assert found[row.issuer].liability_points == supply
        assert found[row.issuer].liability_micros == supply * row.par_redeem


def test_a_dearer_commission_moves_exactly_what_it_is_recomputed_to(history, log):
    """From 100 to 300 basis points: every spending elsewhere anew, and what was refunded of it."""
    found = preview(
        log, actions=[ChangeParameter(parameter="commission_basis_points", value=300)], beginning=FROM
    )
    more: Counter[str] = Counter()
    paid = {}
    for _, sender, message, outcome in list_entries(history):
        by_reason = {leg.reason: leg.micros for leg in legs_of(outcome)}
        if "commission" in by_reason:
            gross = by_reason["redeem"] + by_reason["commission"]
            dearer = gross * 300 // 10_000
            more[sender] -= dearer - by_reason["commission"]
            paid[getattr(message, "hold", None) or message.reference] = (gross, dearer)
        elif "commission_return" in by_reason:
            gross, dearer = paid[message.original]
            left = gross - by_reason["redeem_return"] - by_reason["commission_return"]
            more[sender] += (dearer - dearer * left // gross) - by_reason["commission_return"]
    assert more[PETROL] < 0
    assert more[PHARMACY] == 0
    more[OPERATOR] = -sum(more.values())
    expected = {name: {"fees_micros": sum_, "position_micros": sum_} for name, sum_ in more.items() if sum_}
    assert differences(found) == expected
    assert found.flips == []
    assert found.enactment == "OK"


def test_a_lower_cap_flips_exactly_the_debits_that_no_longer_fit(history, log):
    """All debits count, since nothing is settled; what is refused leaves room for what is smaller."""
    cap = 3_000_000
    owed = 0
    for leaf in history.leaves[: list_entries(history)[0][0]]:
        if leaf.startswith(ENTRY_START):
            outcome = OUTCOME.decode(bytes(ENTRY_DECODER.decode(leaf).outcome))
            owed += sum(leg.micros for leg in legs_of(outcome) if leg.source == FRESH)
    refused = []
    for index, _, message, outcome in list_entries(history):
        debit = sum(leg.micros for leg in legs_of(outcome) if leg.source == FRESH)
        kind = message.__struct_config__.tag
        if debit and kind in ("redeem", "exchange"):
            if owed + debit > cap:
                refused.append((index, kind))
            else:
                owed += debit
    found = preview(log, actions=[CapDebit(cap, FRESH)], beginning=FROM)
    flipped = [(each.index, group.type) for group in found.flips for each in group.examples]
    capped = {(group.type, group.before, group.after) for group in found.flips}
    assert refused
    assert sorted(each for each in flipped if each[1] in ("redeem", "exchange")) == refused
    assert {("redeem", "OK", "ISSUER_CAP"), ("exchange", "OK", "ISSUER_CAP")} <= capped


def test_a_suspension_flips_what_it_forbids_and_lets_the_rest_be(history, log):
    found = preview(log, actions=[SuspendParticipant(PETROL)], beginning=FROM)
    expected: Counter[tuple[str, str]] = Counter()
    for _, sender, message, outcome in list_entries(history):
        kind = message.__struct_config__.tag
        if sender == PETROL and kind not in ("capture", "refund"):
            expected[kind, outcome.code] += 1
    told = {
        (group.type, group.before): group.count
        for group in found.flips
        if group.after == "PARTICIPANT_SUSPENDED"
    }
    assert told == expected
    # What was to be captured was never held.
    rest = [group for group in found.flips if group.after != "PARTICIPANT_SUSPENDED"]
    assert {(group.type, group.before, group.after) for group in rest} == {
        ("capture", "OK", "HOLD_UNKNOWN"),
        ("refund", "OK", "ORIGINAL_UNKNOWN"),
    }
    assert differences(found)[OPERATOR]["fees_micros"] < 0


def test_a_transaction_that_is_refused_flips_every_message_of_it(history, log):
    """Keys that a recovery revokes sign nothing any more: the fork's blocks of them alone are empty."""
    keys = [make_signer(PETROL, purpose) for purpose in ("govern", "transact")]
    spare = ParticipantKey(public_of(make_signer("spare")), "govern")
    recover = RecoverKeys([spare], PETROL, [key.key_id for key in keys])
    found = preview(log, actions=[recover], beginning=FROM)
    # They end at the beginning of the block in which they are revoked.
    entries = [each for each in list_entries(history, SINCE) if each[1] == PETROL]
    told = sum(group.count for group in found.flips if group.after == "KEY_NOT_VALID")
    assert told == len(entries) > 0
    assert {each.sender for group in found.flips for each in group.examples} == {PETROL}


def test_a_lower_par_changes_what_is_exchanged_and_kills_no_quote(history, log):
    """The quotes of the time name the rate height of the time: they go on, at the new rates."""
    action = SetPar(par_accrue=14_000, par_redeem=12_000, program="mile", series="mile-1")
    found = preview(log, actions=[action], beginning=FROM)
    assert found.flips == []
    swaps = [
        message
        for _, _, message, out in list_entries(history)
        if out.code == "OK" and message.__struct_config__.tag == "exchange"
    ]
    assert swaps
    received = sum(swap.points * 10_000 // 14_000 - swap.points * 10_000 // 16_000 for swap in swaps)
    assert differences(found)[PETROL]["exchanged_in"] == received > 0
    paid = 0
    for swap in swaps:
        old, new = (swap.points * 10_000 // accrue * accrue for accrue in (16_000, 14_000))
        paid += new - old
    assert differences(found)[PETROL]["position_micros"] == paid


def test_what_cannot_be_enacted_is_named_and_changes_nothing(log):
    #   actions, code
    cases = [
        ([SetPar(9_000, 9_000, "leaf", "leaf-1")], "PAR_BELOW_FLOOR"),
        ([SetPar(10_000, 10_000, "leaf", "leaf-9")], "SERIES_UNKNOWN"),
        ([Pause(message="earn"), SuspendParticipant(OPERATOR)], "OPERATOR_STAYS"),
        ([ChangeParameter(parameter="commission_basis_points", value=10**6)], "PARAMETER_OUT_OF_BOUNDS"),
    ]
    for actions, code in cases:
        found = preview(log, actions=actions, beginning=FROM)
        assert (found.enactment, found.is_enacted) == (code, False)
        assert found.changes_nothing


def test_rules_that_this_program_does_not_know_are_not_previewed(log):
    with pytest.raises(NoPreview, match="RULEBOOK_UNKNOWN"):
        preview(log, actions=[SetRulebook(1_000_000)], beginning=FROM)


def test_who_joins_has_a_row_of_its_own(log):
    joins = AdmitParticipant([ParticipantKey(public_of(make_signer("new")), "govern")], "New", "new-shop", 0)
    found = preview(log, actions=[joins], beginning=FROM)
    assert [each.participant for each in found.impacts if each.base == NOTHING == each.proposed].count(
        "new-shop"
    ) == 1
    assert found.changes_nothing


def test_a_signed_statement_is_signed_in_the_fork_too():
    """The window comes to other sums there, and its parties agreed to what they saw."""
    history = write_history(days=3, is_settled=False)
    history.must(OPERATOR, CutWindow(effective_height=history.height + 1))
    trade(history, 2_000)
    block = next(each for each in reversed(history.blocks) if each.system)
    cut = OUTCOME.decode(bytes(msgspec.json.decode(block.leaves[0], type=dict[str, msgspec.Raw])["outcome"]))
    for name in history.get("window", "000001").parties:
        history.must(name, Countersign(statement=cut.statement, verdict="agree", window=1))
    assert history.get("window", "000001").state != "closed"
    log = WrittenLog(history.leaves, origin=history.chain)
    dearer = [ChangeParameter(parameter="commission_basis_points", value=300)]
    found = preview(log, actions=dearer, beginning=Beginning(height=10))
    assert found.flips == []
    assert found.altered["cut"] == 1
    assert differences(found)[OPERATOR]["fees_micros"] > 0
    # Without a height it begins with the open window, which is that of the last day.
    assert preview(log, actions=dearer).first_height == block.head.height
