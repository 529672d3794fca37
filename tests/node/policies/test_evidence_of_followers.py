"""A fork that a follower finds while it begins, in a log whose key was changed twice: the file it leaves is
proof to anybody who has the chain string and nothing else.
"""

from __future__ import annotations

import json
import shutil

import pytest

from ledger.errors import Unverified
from ledger.evidence import judge_evidence, read_evidence
from node.app import hold_data_dir
from node.follower.beginning import open_directory
from node.follower.following import Diverged
from node.follower.serving import catch_up_first
from node.follower.sources import FolderSource, Sources
from node.policies import POLICIES_FOLDER
from tests.node.follower.written import write_log
from tests.node.policies.rekeyed import STAGES, size_of

POLICIES = "v1/policies"


class Interrupted(Exception):
    """The process is gone."""


def begin(directory, rekeyed, *sources, until=None):
    """A follower has come as far as these lead, and is closed; or is gone at this step."""

    def note(step):
        if step == until:
            raise Interrupted

    row = Sources([FolderSource(each) for each in sources])
    config = open_directory(directory, Sources([FolderSource(rekeyed.mirrors["after"])]), chain=rekeyed.chain)
    with hold_data_dir(config):
        follower = catch_up_first(
            config, row, workers=0, is_stopping=lambda: False, on_step=note, is_apart=False
        )
        follower.stop()
        follower.chain.close()
        follower.chain.store.close()


def fork(rekeyed, stage, folder, *, has_policies=True):
    """The log of then with another last entry, signed by its key of then."""
    size = size_of(rekeyed.read_note(stage))
    write_log(rekeyed.stages[stage], folder, altered=size - 1)
    if has_policies:
        (folder / "v1").mkdir()
        shutil.copy(rekeyed.mirrors[stage] / POLICIES, folder / POLICIES)
    return folder


def read_proof(directory, rekeyed, cli):
    """The finding, as the command says it of the file alone."""
    (file,) = directory.glob("evidence-*.json")
    evidence = read_evidence(file.read_bytes())
    status, said, err = cli("evidence", file, "--chain", rekeyed.chain, "--json")
    assert status == 0, (said, err)
    found = judge_evidence(evidence, chain=rekeyed.chain)
    assert json.loads(said)["code"] == found.code
    without = type(evidence)(
        **{name: getattr(evidence, name) for name in evidence.__struct_fields__ if name != "policies"},
        policies=[],
    )
    if evidence.policies:
        # They are what it takes: the keys of now are in no genesis.
        with pytest.raises(Unverified):
            judge_evidence(without, chain=rekeyed.chain)
    return found.code, [step.epoch for step in evidence.policies]


@pytest.mark.parametrize("stage", STAGES)
def test_one_that_has_executed_the_log_shows_the_policies_that_it_enacted(rekeyed, tmp_path, cli, stage):
    epochs = [1, 2][: STAGES.index(stage)]
    begin(tmp_path / "f", rekeyed, rekeyed.mirrors[stage])
    # Whoever shows the fork shows no policies.
    forked = fork(rekeyed, stage, tmp_path / "forked", has_policies=False)
    with pytest.raises(Diverged, match="LOG_FORKED"):
        begin(tmp_path / "f", rekeyed, forked)
    assert read_proof(tmp_path / "f", rekeyed, cli) == ("TWO_ROOTS", epochs)


def test_one_that_has_executed_nothing_yet_shows_what_it_was_shown(rekeyed, tmp_path, cli):
    with pytest.raises(Interrupted):
        begin(tmp_path / "f", rekeyed, rekeyed.mirrors["after"], until="aimed")
    with pytest.raises(Diverged, match="LOG_FORKED"):
        begin(tmp_path / "f", rekeyed, fork(rekeyed, "after", tmp_path / "forked"))
    assert read_proof(tmp_path / "f", rekeyed, cli) == ("TWO_ROOTS", [1, 2])


def test_a_smaller_fork_under_an_older_key_is_shown_with_the_policies_of_both(rekeyed, tmp_path, cli):
    begin(tmp_path / "f", rekeyed, rekeyed.mirrors["after"])
    forked = fork(rekeyed, "between", tmp_path / "forked")
    with pytest.raises(Diverged, match="LOG_FORKED"):
        begin(tmp_path / "f", rekeyed, rekeyed.mirrors["after"], forked)
    assert read_proof(tmp_path / "f", rekeyed, cli) == ("PREFIX_DIFFERS", [1, 2])


def test_where_it_kept_no_checkpoint_that_hands_over_it_asks_the_sources(rekeyed, tmp_path, cli):
    begin(tmp_path / "f", rekeyed, rekeyed.mirrors["after"])
    shutil.rmtree(tmp_path / "f" / POLICIES_FOLDER)
    with pytest.raises(Diverged, match="LOG_FORKED"):
        begin(tmp_path / "f", rekeyed, fork(rekeyed, "after", tmp_path / "forked"))
    assert read_proof(tmp_path / "f", rekeyed, cli) == ("TWO_ROOTS", [1, 2])
