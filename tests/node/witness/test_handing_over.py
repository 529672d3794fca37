"""Gathering follows what the alliance decides: a policy counts from its height on, and before anything else
the one before has to hand over to it.
"""

from __future__ import annotations

import pytest

from ledger.log.note import VerifierKey, parse_checkpoint, split_note
from ledger.log.policy import Group, format_policy, parse_policy, verify_checkpoint
from node.witnessing.aims import HANDOVER_FILE, Aims
from node.witnessing.gathering import WITNESSED_FILE, Gatherer
from tests.node.engine.town import LOG_SIGNER
from tests.node.policies.test_policies import NEXT_KEY, Vestry, wait_for_failure
from tests.node.witness.local import LocalWitness, make_text


class Scene:
    """An operator's ledger, two witnesses, and whoever asks them, a round at a time."""

    def __init__(self, folder) -> None:
        self.folder = folder / "node"
        self.folder.mkdir()
        self.vestry = Vestry(self.folder)
        self.chain = self.vestry.core.chain
        keys = [VerifierKey.for_log(self.chain, each.public) for each in (LOG_SIGNER, NEXT_KEY)]
        self.first, self.second = (LocalWitness(folder, number, keys) for number in (1, 2))
        self.gatherer: Gatherer | None = None
        self.open()

    @property
    def core(self):
        return self.vestry.core

    def open(self, listed=None) -> None:
        """As a node does that starts over its data directory."""
        if self.gatherer is not None:
            self.gatherer.stop()
        begun = self.core.checkpoint
        self.core.policies.keep_in(self.folder)
        self.aims = Aims(self.core, listed, self.folder)
        self.aims.hold(begun)
        self.gatherer = Gatherer(self.core, self.aims, self.folder)

    def text(self, *witnesses, signer=LOG_SIGNER, **how) -> str:
        return make_text(self.chain, signer, *witnesses, **how)

    @property
    def epochs(self) -> list[int]:
        """For which epochs this node can show a step."""
        return [step.epoch for step in self.core.list_policy_steps()]

    def gather(self) -> tuple[int, bool]:
        """A round: the size that was asked about, and whether that was enough."""
        done = self.gatherer.gather()
        return done.checkpoint.size, done.is_met

    def change_key(self, text: str) -> int:
        """The log's key is retired; the last size that it has signed."""
        self.vestry.decide(text, then_grow=False)
        assert wait_for_failure(self.core).code == "LOG_KEY_RETIRED"
        size = self.core.head.size
        self.core.stop()
        self.vestry.core = self.vestry.town.open(signer=NEXT_KEY)
        return size

    def close(self) -> None:
        self.gatherer.stop()
        self.first.close()
        self.second.close()
        self.vestry.town.close()


@pytest.fixture
def scene(tmp_path):
    scene = Scene(tmp_path)
    try:
        yield scene
    finally:
        scene.close()


def read_size(note: str) -> int:
    return parse_checkpoint(split_note(note)[0]).size


def test_a_policy_enacted_while_the_node_runs_is_gathered_for_from_its_height_on(scene):
    assert scene.gather() == (scene.core.head.size, True)
    assert not (scene.folder / WITNESSED_FILE).exists()
    text = scene.text(scene.first)
    scene.vestry.decide(text)
    assert scene.epochs == [1]
    assert scene.gather() == (scene.core.head.size, True)
    assert scene.first.seen == scene.core.head.size
    for note in (scene.core.checkpoint, (scene.folder / WITNESSED_FILE).read_text(), scene.core.witnessed):
        assert verify_checkpoint(parse_policy(text.encode()), note).size == scene.core.head.size


def test_the_old_quorum_hands_over_before_the_new_one_is_asked_for_anything(scene):
    scene.vestry.decide(scene.text(scene.first))
    assert scene.gather()[1]
    scene.first.is_up = False
    scene.vestry.decide(scene.text(scene.second))
    for _ in range(2):
        assert not scene.gather()[1]
        scene.vestry.grow()
    assert (scene.epochs, scene.second.asked) == ([1], 0)
    # The log's key stays: whatever the old witnesses cosign now will do.
    scene.first.is_up = True
    assert scene.gather() == (scene.core.head.size, True)
    assert scene.epochs == [1, 2]
    assert scene.gather() == (scene.core.head.size, True)
    assert scene.second.seen == scene.core.head.size
    asked = scene.first.asked
    scene.vestry.grow()
    assert scene.gather() == (scene.core.head.size, True)
    assert scene.first.asked == asked


def test_a_key_that_changes_under_a_quorum_is_waited_for_at_the_last_size_it_may_sign(scene):
    scene.vestry.decide(scene.text(scene.first))
    assert scene.gather()[1]
    scene.first.is_up = False
    size = scene.change_key(scene.text(scene.second, signer=NEXT_KEY))
    scene.open()
    for _ in range(3):
        # The log goes on under its new key; the old quorum is asked about the one checkpoint that counts.
        scene.vestry.grow()
        assert scene.gather() == (size, False)
    assert (scene.epochs, scene.second.asked) == ([1], 0)
    # However often the node starts meanwhile.
    scene.core.stop()
    scene.vestry.core = scene.vestry.town.open(signer=NEXT_KEY)
    scene.vestry.grow()
    scene.open()
    assert scene.gather() == (size, False)
    scene.first.is_up = True
    assert scene.gather() == (size, True)
    assert (scene.first.seen, scene.epochs) == (size, [1, 2])
    assert not (scene.folder / HANDOVER_FILE).exists()
    assert scene.gather() == (scene.core.head.size, True)
    chain = scene.vestry.make_chain()
    for step in scene.core.list_policy_steps():
        chain.accept(step)
    assert chain.verify(scene.core.witnessed) == (parse_checkpoint(split_note(scene.core.checkpoint)[0]), 2)


def test_lines_that_come_one_by_one_for_a_held_checkpoint_are_kept_across_a_start(scene):
    """Two witnesses that are never there at the same time are enough together."""
    both = parse_policy(scene.text(scene.first).encode())
    other = parse_policy(scene.text(scene.second).encode()).witnesses[0]._replace(name="x1")
    text = format_policy(
        both._replace(
            witnesses=(*both.witnesses, other), groups=(Group("all", 2, ("w0", "x1")),), quorum="all"
        )
    ).decode()
    scene.vestry.decide(text)
    assert scene.gather()[1]
    scene.first.is_up = scene.second.is_up = False
    size = scene.change_key(scene.text(signer=NEXT_KEY))
    scene.open()
    scene.vestry.grow()
    scene.first.is_up = True
    assert scene.gather() == (size, False)
    scene.open()
    scene.first.is_up, scene.second.is_up = False, True
    assert scene.gather() == (size, True)
    assert scene.epochs == [1, 2]


def test_where_no_checkpoint_can_hand_over_any_more_the_log_is_gathered_for_all_the_same(scene):
    """The one that could was lost with the folder: clients stay with the policy before, and that is said."""
    scene.vestry.decide(scene.text(scene.first))
    scene.first.is_up = False
    scene.change_key(scene.text(scene.second, signer=NEXT_KEY))
    scene.vestry.grow()
    scene.open()
    assert scene.gather() == (scene.core.head.size, True)
    assert scene.second.seen == scene.core.head.size
    assert scene.epochs == [1]


def test_a_list_of_the_nodes_own_says_where_and_adds_and_never_takes_away(scene):
    listed = parse_policy(scene.text(scene.first).encode())
    more = parse_policy(scene.text(scene.second).encode()).witnesses
    # As long as the alliance has no quorum the folder's list is what has to be met.
    scene.open(listed)
    assert scene.gather() == (scene.core.head.size, True)
    assert scene.first.seen == scene.core.head.size
    # The alliance lists the second, without an address: the folder knows it.
    scene.vestry.decide(scene.text(scene.second, has_urls=False))
    assert not scene.gather()[1]
    scene.open(listed._replace(witnesses=(*listed.witnesses, more[0]._replace(name="second"))))
    assert scene.gather() == (scene.core.head.size, True)
    assert scene.first.seen == scene.second.seen == scene.core.head.size
    # Those of the folder alone never make up for the alliance's.
    scene.second.is_up = False
    scene.vestry.grow()
    assert scene.gather() == (scene.core.head.size, False)
    assert scene.first.seen == scene.core.head.size
    assert read_size((scene.folder / WITNESSED_FILE).read_text()) < scene.core.head.size
