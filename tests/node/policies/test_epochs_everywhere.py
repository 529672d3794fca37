"""An alliance changes its log's key twice. Everything that anybody does with the log works before, across and
after.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack

import httpx2
import msgspec
import pytest

from contracts.messages.actions import ChangeParameter
from ledger.log.note import decode_vkey, open_note
from node.app import open_core
from node.auditing import audit_data_dir, audit_url
from node.backup import back_up, restore
from node.bundle.verifying import verify_bundle
from node.cli.proposing import open_table
from node.config import load_config
from node.keystore import Unusable
from node.preview.run import preview
from node.remote.connection import Connection
from node.remote.submission import Submitter
from node.statements.log import SignedLeaves
from node.statements.sources import open_directory as open_log
from node.statements.sources import open_url as open_log_at
from node.storage.policies import learn_stored_policies
from node.storage.snapshot import Snapshot
from tests.node.policies.rekeyed import FOLDED, STAGES, read_note, size_of, wait_for_size

ORDERS = {"before": "1-0", "between": "2-0", "after": "3-0"}
"""An order of each time."""


def count_epochs(stage):
    """How often the key had changed by then."""
    return STAGES.index(stage) if stage in STAGES else 2


def audit(directory):
    report = audit_data_dir(directory, policy=None, chain=None, progress=lambda _done, _total: None)
    assert report.is_good, report.first_bad
    return report.size


@pytest.mark.parametrize("stage", [*STAGES, FOLDED])
def test_an_auditor_verifies_the_folder_and_the_log_has_the_policies(rekeyed, stage):
    assert audit(rekeyed.stages[stage]) == size_of(rekeyed.read_note(stage))
    with Snapshot(rekeyed.stages[stage] / "ledger.db") as snapshot:
        policies = learn_stored_policies(snapshot, rekeyed.origin)
    listed = [each.policy.logs[0].key.public for each in policies.epochs]
    assert listed == [each.public for each in rekeyed.signers[: count_epochs(stage) + 1]]


def test_an_auditor_verifies_what_is_served(rekeyed, served):
    token = rekeyed.leader.make_token("auditor")
    report = audit_url(
        served, token=token, policy=None, chain=rekeyed.chain, progress=lambda _done, _total: None
    )
    assert report.is_good, report.first_bad


@pytest.mark.parametrize("order", ORDERS.values())
@pytest.mark.parametrize("source", [*STAGES, FOLDED, "url"])
def test_the_bundle_of_an_order_holds_offline_whenever_it_was_made(served, rekeyed, cli, *, source, order):
    made = rekeyed.base / f"{source}-{order}.bundle"
    if source == "url":
        place = ["--url", served, "--token", rekeyed.leader.make_token("auditor")]
    else:
        place = ["--data", rekeyed.stages[source]]
    status, _, err = cli(
        "bundle", "make", "--sender", "fresh", "--order", order, "-o", made, *place, "--chain", rekeyed.chain
    )
    if list(ORDERS.values()).index(order) > count_epochs(source):
        assert (status, "ORDER_UNKNOWN" in err) == (2, True)
        return
    assert status == 0, err
    verified = verify_bundle(made.read_bytes(), chain=rekeyed.chain)
    assert {each.message.reference for each in verified.entries} == {order}
    assert {each.epoch for each in verified.bundle.entries} == {count_epochs(source)}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("place", ["directory", "mirror", "url"])
def test_statements_are_read_from_signed_leaves(rekeyed, served, stage, place):
    with ExitStack() as stack:
        if place == "url":
            token = rekeyed.leader.make_token("auditor")
            opened = open_log_at(served, token=token, chain=rekeyed.chain)
        else:
            folder = rekeyed.mirrors[stage] if place == "mirror" else rekeyed.stages[stage]
            opened = open_log(folder, chain=rekeyed.chain)
        leaves = SignedLeaves(stack.enter_context(opened))
        assert sum(1 for _ in leaves) > 300


@pytest.mark.parametrize("stage", STAGES)
def test_a_proposal_is_previewed_over_all_of_it(rekeyed, stage):
    action = ChangeParameter(parameter="hold_seconds_max", value=60)
    with Snapshot(rekeyed.stages[stage] / "ledger.db") as snapshot:
        found = preview(snapshot, actions=[action], chain=rekeyed.chain)
    assert found.size == size_of(rekeyed.read_note(stage))


def test_a_member_of_the_alliance_sees_an_old_proposal_proven_and_decides_anew(rekeyed, served):
    keys = rekeyed.directory / "keys"
    with open_table(served, keys=keys, participant="clearing", token=None, chain=rekeyed.chain) as table:
        (newer, older) = table.list_proposals()[:2]
        for told in (newer, older):
            assert table.prove(table.read_proposal(told["proposal"]))
    with Connection(served) as connection:
        submitter = Submitter(connection, rekeyed.origin)
        for number in (50, 51):
            assert submitter.submit(rekeyed.leader.sign(number)).outcomes[0].code == "OK"


@pytest.mark.parametrize(
    "name",
    ["sleeper", pytest.param("awake", marks=pytest.mark.full), pytest.param("late", marks=pytest.mark.full)],
)
def test_a_follower_arrives_and_cosigns_and_hands_on_the_policies(rekeyed, served, name):
    follower = rekeyed.leader.follow(rekeyed.base / name, served)
    note = wait_for_size(follower.url, size_of(read_note(served)))
    key = decode_vkey((rekeyed.base / name / "cosigner.vkey").read_text().strip())
    assert open_note(note, [key]).signatures
    # Another follower needs nobody else, and so does one that is restarted.
    assert follower.end()[0] == 0
    follower = rekeyed.leader.follow(rekeyed.base / name, served)
    token = rekeyed.leader.make_token("follower", rekeyed.base / name)
    second = rekeyed.leader.follow(rekeyed.base / f"{name}-2", follower.url, COMMONPOINT_TOKEN=token)
    wait_for_size(second.url, size_of(read_note(follower.url)))
    assert second.end()[0] == follower.end()[0] == 0
    assert audit(rekeyed.base / name) == audit(rekeyed.base / f"{name}-2")


@pytest.mark.parametrize("stage", STAGES)
def test_a_backup_is_restored_with_the_key_of_its_time_and_goes_on(rekeyed, tmp_path, stage):
    back_up(rekeyed.stages[stage], tmp_path / "backup", with_keys=True)
    restore(tmp_path / "backup", tmp_path / "restored")
    core = open_core(load_config(tmp_path / "restored"))
    try:
        assert core.head.size == size_of(rekeyed.read_note(stage))
        core.submit(rekeyed.leader.sign(60).encode()).result(60)
        assert len(core.list_policy_steps()) == count_epochs(stage)
    finally:
        core.stop()
    assert audit(tmp_path / "restored") > size_of(rekeyed.read_note(stage))


def test_a_backup_from_before_is_not_begun_with_a_later_key(rekeyed, tmp_path):
    with pytest.raises(Unusable, match="LOG_KEY_DIFFERS"):
        restore(rekeyed.stages["before"], tmp_path / "restored", keys=rekeyed.directory / "keys")


def test_a_follower_becomes_the_node_with_the_newest_key(rekeyed, tmp_path):
    restore(rekeyed.base / "awake", tmp_path / "restored", keys=rekeyed.directory / "keys")
    core = open_core(load_config(tmp_path / "restored"))
    try:
        core.submit(rekeyed.leader.sign(70).encode()).result(60)
        assert [step.epoch for step in core.list_policy_steps()] == [1, 2]
    finally:
        core.stop()
    audit(tmp_path / "restored")


def test_the_api_says_which_keys_sign_now(rekeyed, served):
    told = httpx2.get(f"{served}/v1/chain", timeout=30).json()
    assert decode_vkey(told["vkey"]).public == rekeyed.signers[0].public
    (now,) = told["vkeys"]
    assert open_note(read_note(served), [decode_vkey(now)]).signatures
    assert decode_vkey(now).public == rekeyed.signers[2].public


def test_a_key_that_nobody_voted_for_is_not_taken(rekeyed, cli, tmp_path):
    directory = shutil.copytree(rekeyed.stages[FOLDED], tmp_path / "copy")
    status, out, err = cli("key", "log", "--data", directory)
    (action,) = msgspec.json.decode(out)
    assert (status, action["@type"]) == (0, "set_trust_policy"), err
    status, _, err = cli("key", "log", "--data", directory, "--take")
    assert (status, "LOG_KEY_NOT_LISTED" in err) == (2, True), err
    assert load_config(directory).open_signer("log").public == rekeyed.signers[2].public
