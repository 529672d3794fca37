"""Trust policies that an alliance votes for: shown with their proof, believed only under the one before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from contracts.messages import Enrol, Propose, Vote
from contracts.messages.actions import SetTrustPolicy
from ledger.errors import InvariantBroken, Unverified
from ledger.keys import SeedSigner
from ledger.log.note import (
    COSIGNATURE_V1,
    VerifierKey,
    add_signature_lines,
    cosign,
    parse_checkpoint,
    sign_checkpoint,
    split_note,
)
from ledger.log.policy import Log, Policy, Witness, format_policy
from ledger.policy_chain import PolicyChain, derive_policy
from ledger.policy_steps import PolicyStep
from node.core import NodeCore
from tests.contracts.cast import FRESH, OPERATOR, member_id
from tests.node.api.desk import Desk, code_of
from tests.node.engine.town import LOG_SIGNER, Town, submit

NEXT_KEY = SeedSigner(b"the log's next key, 32 bytes ...")
WITNESS = SeedSigner(b"a witness's own key, 32 bytes...")
WITNESS_KEY = VerifierKey("witness.example/w1", COSIGNATURE_V1, WITNESS.public)


def make_text(chain: str, *, signer: SeedSigner = LOG_SIGNER, is_witnessed: bool = False) -> str:
    log = Log(VerifierKey.for_log(chain, signer.public))
    if not is_witnessed:
        return format_policy(Policy((log,), (), (), "none")).decode()
    return format_policy(Policy((log,), (Witness("w1", WITNESS_KEY),), (), "w1")).decode()


def cosign_note(note: str) -> str:
    line = cosign(body=split_note(note)[0], name=WITNESS_KEY.name, signer=WITNESS, time_seconds=1_700_000_000)
    return add_signature_lines(note, line)


class Vestry:
    """A town whose operator, who decides alone, sets policies."""

    def __init__(self, folder):
        self.town = Town(folder)
        self.core: NodeCore = self.town.open()
        self.count = 0

    @property
    def size(self) -> int:
        return self.core.head.size

    def submit(self, sender: str, *messages: Any) -> None:
        self.count += 1
        data = self.town.sign(sender, f"v-{self.count}", *messages, not_after=self.town.clock() + 600_000)
        submit(self.core, data)

    def decide(self, *texts: str, then_grow: bool = True) -> None:
        """These policies are enacted together; where the node goes on, a block follows."""
        name = f"trust-{self.count}"
        self.submit(
            OPERATOR,
            Propose(
                actions=[SetTrustPolicy(text) for text in texts],
                configuration=0,
                effective_height=self.core.head.height + 1,
                expires=self.town.clock() + 600_000,
                proposal=name,
            ),
        )
        self.submit(OPERATOR, Vote("yes", 0, name))
        self.grow()
        if then_grow:
            self.grow()

    def grow(self) -> None:
        self.submit(FRESH, Enrol(member=member_id(100 + self.count)))

    def make_chain(self) -> PolicyChain:
        return PolicyChain(derive_policy(self.town.origin), chain=self.town.chain)

    def cosign(self, note: str) -> str:
        return cosign_note(note)


@pytest.fixture
def vestry(tmp_path):
    vestry = Vestry(tmp_path)
    try:
        yield vestry
    finally:
        vestry.town.close()


def change(step: PolicyStep, **fields: Any) -> PolicyStep:
    return msgspec.structs.replace(step, **fields)


def test_a_policy_is_believed_under_the_one_before_and_judges_what_is_larger(vestry):
    before = vestry.core.checkpoint
    vestry.decide(make_text(vestry.core.chain, is_witnessed=True))
    (step,) = vestry.core.list_policy_steps()
    chain = vestry.make_chain()
    found = chain.accept(step)
    assert (found.epoch, found.above) == (1, step.block.index + 1)
    assert chain.verify(before)[1] == 0
    note = vestry.core.checkpoint
    assert chain.verify_signed(note)[1] == 1
    with pytest.raises(Unverified, match="QUORUM_NOT_MET"):
        chain.verify(note)
    assert chain.verify(vestry.cosign(note))[1] == 1


def test_a_quorum_that_is_in_force_has_to_hand_over_to_the_next_policy(vestry):
    vestry.decide(make_text(vestry.core.chain, is_witnessed=True))
    vestry.decide(make_text(vestry.core.chain))
    # The log alone does not show it: the witness has to have cosigned the tree in which it was decided.
    assert [step.epoch for step in vestry.core.list_policy_steps()] == [1]
    vestry.core.add_cosignatures(vestry.cosign(vestry.core.checkpoint))
    steps = vestry.core.list_policy_steps()
    assert [step.epoch for step in steps] == [1, 2]
    chain = vestry.make_chain()
    for step in steps:
        chain.accept(step)
    bare = change(steps[1], checkpoint=split_note(steps[1].checkpoint)[0] + "\n" + log_line(steps[1]))
    other = vestry.make_chain()
    other.accept(steps[0])
    with pytest.raises(Unverified, match="QUORUM_NOT_MET"):
        other.accept(bare)


def log_line(step: PolicyStep) -> str:
    """The log's own line under the checkpoint, and no other."""
    return step.checkpoint.split("\n\n", 1)[1].splitlines(keepends=True)[0]


def test_a_step_that_says_anything_else_is_not_believed(vestry):
    vestry.decide(make_text(vestry.core.chain, is_witnessed=True))
    vestry.decide(make_text(vestry.core.chain, is_witnessed=True))
    vestry.core.add_cosignatures(vestry.cosign(vestry.core.checkpoint))
    first, second = vestry.core.list_policy_steps()
    early = sign_checkpoint(
        origin=vestry.core.chain, size=first.block.index, root=bytes(32), signer=LOG_SIGNER
    )
    moved = msgspec.structs.replace(first.propose, index=first.propose.index - 1)
    longer = msgspec.structs.replace(
        first.propose, leaf=first.propose.leaf.replace("quorum w1", "quorum none", 1)
    )
    wrong = [
        ("POLICY_EPOCH", second),
        ("POLICY_NOT_ENACTED", change(first, action=1)),
        ("POLICY_NOT_ENACTED", change(first, propose=first.block)),
        ("POLICY_NOT_ENACTED", change(first, enact=second.enact)),
        ("POLICY_BLOCK", change(first, block=second.block)),
        ("POLICY_BLOCK", change(first, block=first.enact)),
        ("POLICY_CHECKPOINT", change(first, checkpoint=early)),
        ("ROOT_MISMATCH", change(first, propose=moved)),
        ("ROOT_MISMATCH", change(first, propose=longer)),
        ("SIGNATURE_INVALID", change(first, checkpoint=first.checkpoint.replace("\n", "\n1", 1))),
    ]
    for code, step in wrong:
        chain = vestry.make_chain()
        with pytest.raises(Unverified) as caught:
            chain.accept(step)
        assert caught.value.code == code, step
        assert chain.newest.epoch == 0
    chain = vestry.make_chain()
    chain.accept(first)
    with pytest.raises(Unverified, match="POLICY_OUT_OF_ORDER"):
        chain.accept(change(first, epoch=2))


def test_a_retired_log_key_signs_nothing_new_and_what_it_signed_stays_good(vestry):
    vestry.grow()
    before = vestry.core.checkpoint
    vestry.decide(make_text(vestry.core.chain, signer=NEXT_KEY), then_grow=False)
    assert wait_for_failure(vestry.core).code == "LOG_KEY_RETIRED"
    last = vestry.core.checkpoint
    vestry.core.stop()
    with pytest.raises(InvariantBroken, match="LOG_KEY_RETIRED"):
        vestry.town.open()
    with pytest.raises(InvariantBroken, match="LOG_KEY_DIFFERS"):
        vestry.town.open(signer=WITNESS)
    vestry.core = vestry.town.open(signer=NEXT_KEY)
    # Its first act is not to sign again what the retired key had to sign.
    assert vestry.core.checkpoint == last
    vestry.core.policies.keep_in(vestry.town.database.parent)
    assert [step.checkpoint for step in vestry.core.list_policy_steps()] == [last]
    vestry.grow()
    chain = vestry.make_chain()
    chain.accept(vestry.core.list_policy_steps()[0])
    for note, epoch in ((before, 0), (last, 0), (vestry.core.checkpoint, 1)):
        assert chain.verify(note)[1] == epoch
    head = parse_checkpoint(split_note(vestry.core.checkpoint)[0])
    forged = sign_checkpoint(origin=head.origin, size=head.size, root=head.root, signer=LOG_SIGNER)
    with pytest.raises(Unverified, match="LOG_KEY_RETIRED"):
        chain.verify(forged)
    vestry.core.stop()
    # What hands over was kept: after another start nothing else could.
    again = vestry.core = vestry.town.open(signer=NEXT_KEY)
    assert again.list_policy_steps() == []
    again = PolicyFresh(again, vestry.town.database.parent)
    assert [step.checkpoint for step in again.steps] == [last]


class PolicyFresh:
    """The steps as a node knows them that was told its folder at once."""

    def __init__(self, core: NodeCore, folder: Any) -> None:
        core.policies.keep_in(folder)
        self.steps = core.list_policy_steps()


def wait_for_failure(core: NodeCore) -> InvariantBroken:
    for _ in range(2_000):
        if core.failure is not None:
            return core.failure
        core.wait_for_height(core.head.height + 1, 0.01)
    raise TimeoutError


def test_two_policies_of_one_block_are_two_epochs_and_the_later_judges(vestry):
    witnessed, plain = make_text(vestry.core.chain, is_witnessed=True), make_text(vestry.core.chain)
    vestry.decide(witnessed, plain)
    steps = vestry.core.list_policy_steps()
    chain = vestry.make_chain()
    found = [chain.accept(step) for step in steps]
    assert [(each.epoch, each.above) for each in found] == [(1, found[0].above), (2, found[0].above)]
    assert chain.verify(vestry.core.checkpoint)[1] == 2


async def test_anyone_is_shown_every_policy_with_its_step(tmp_path):
    desk = Desk(tmp_path)
    try:
        text = make_text(desk.core.chain)
        desk.propose("trust", SetTrustPolicy(text))
        desk.must(OPERATOR, Vote("yes", 0, "trust"))
        desk.must(FRESH, desk.enrol(f"m_{'7' * 26}", None))
        taken = desk.must(FRESH, desk.enrol(f"m_{'8' * 26}", None))
        async with desk.client() as client:
            shown = (await client.get("/v1/policies")).json()["policies"]
            told = (await client.get("/v1/chain")).json()
            asks = desk.asks(f"participant:{FRESH}")
            receipt = (await client.get(f"/v1/receipts/{taken.index + 1}", headers=asks)).json()
            with_witnesses = await client.get(f"/v1/receipts/{taken.index + 1}?witnessed=yes", headers=asks)
    finally:
        desk.close()
    assert [(row["epoch"], row["policy"]) for row in shown] == [(0, told["policy"]), (1, text)]
    assert told["epoch"] == receipt["epoch"] == 1
    step = msgspec.convert(shown[1]["step"], PolicyStep)
    chain = PolicyChain(derive_policy(desk.town.origin), chain=desk.core.chain)
    assert chain.accept(step).above == shown[1]["above"]
    # No quorum is asked for, so every checkpoint satisfies the policy.
    assert with_witnesses.json() == receipt


async def test_a_receipt_with_witnesses_waits_for_them(tmp_path):
    desk = Desk(tmp_path)
    try:
        desk.propose("trust", SetTrustPolicy(make_text(desk.core.chain, is_witnessed=True)))
        desk.must(OPERATOR, Vote("yes", 0, "trust"))
        desk.must(FRESH, desk.enrol(f"m_{'7' * 26}", None))
        taken = desk.must(FRESH, desk.enrol(f"m_{'8' * 26}", None))
        path = f"/v1/receipts/{taken.index + 1}?witnessed=yes"
        async with desk.client() as client:
            asks = desk.asks(f"participant:{FRESH}")
            early = await client.get(path, headers=asks)
            cosigned = cosign_note(desk.core.checkpoint)
            desk.core.add_cosignatures(cosigned)
            desk.must(FRESH, desk.enrol(f"m_{'9' * 26}", None))
            late = (await client.get(path, headers=asks)).json()
    finally:
        desk.close()
    assert code_of(early) == "NOT_WITNESSED"
    assert late["proof"].endswith(cosigned)
    assert late["epoch"] == 1
