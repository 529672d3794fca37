"""A ledger that one node keeps, in the test's own process, and whatever may be done with its folder."""

from __future__ import annotations

import os
import signal

from contracts.messages import Enrol, Propose, Vote
from contracts.messages.actions import SetTrustPolicy
from ledger.keys import SeedSigner
from ledger.log.note import VerifierKey
from ledger.log.policy import Policy, format_policy
from ledger.transaction import sign_transaction
from node import keystore
from node.app import hold_data_dir, open_core
from node.config import POSTGRESQL_FILE, init_data_dir, load_config
from node.engine.cometbft.founding import make_validator
from node.engine.cometbft.switching import (
    open_to_look,
    plan_switch,
    prepare_validator,
    read_standing,
)
from node.storage.snapshot import Snapshot
from tests.contracts.cast import FRESH, OPERATOR, make_participant, make_signer, member_id
from tests.node.cometbft.validators import get_time

WHO = (OPERATOR, FRESH)


class Sequencer:
    """A ledger that one node keeps, in this process while it is open."""

    def __init__(self, folder, *, address: str | None = None) -> None:
        self.folder = folder
        self.directory = folder / "ledger"
        self.keys = {who: folder / f"keys-{who}" for who in WHO}
        self.validators = [
            make_validator(keys, participant=who, address=f"127.0.0.1:{26_100 + number}")
            for number, (who, keys) in enumerate(self.keys.items())
        ]
        self.config = init_data_dir(
            self.directory,
            name="handed-over",
            operator=OPERATOR,
            participants=[make_participant(FRESH)],
            time=get_time() - 1_000,
            store="sqlite" if address is None else "postgresql",
        )
        if address is not None:
            (self.directory / POSTGRESQL_FILE).write_text(address + "\n")
        self._count = 0

    def run(self, *letters) -> None:
        """The node runs, takes these one after the other, and is stopped."""
        with hold_data_dir(self.config):
            core = open_core(self.config)
            try:
                for sender, signer, messages in letters:
                    self._count += 1
                    data = sign_transaction(
                        messages,
                        chain=self.config.origin.chain,
                        sender=sender,
                        transaction_id=f"t-{self._count}",
                        not_after=get_time() + 300_000,
                        signer=signer,
                    ).encode()
                    core.submit(data).result(timeout=60)
                self.checkpoint = core.checkpoint
            finally:
                core.stop()

    def enrol(self, *numbers: int):
        return [(FRESH, make_signer(FRESH, "custody"), [Enrol(member=member_id(one))]) for one in numbers]

    def decide(self, height: int, *actions):
        """The operator alone votes; enacted with whatever comes next."""
        govern, name = self.config.open_signer("govern"), f"p-{height}"
        proposal = Propose(
            actions=list(actions),
            configuration=0,
            effective_height=height,
            expires=get_time() + 600_000,
            proposal=name,
        )
        vote = Vote(choice="yes", configuration=0, proposal=name)
        return [(OPERATOR, govern, [each]) for each in (proposal, vote)]

    def rotate(self) -> None:
        """The log has another key from its fourth block on."""
        seed = keystore.make_seed()
        key = VerifierKey.for_log(self.config.origin.chain, SeedSigner(seed).public)
        text = format_policy(Policy.for_logs([key])).decode()
        self.run(*self.enrol(100), *self.decide(4, SetTrustPolicy(text)), *self.enrol(101))
        (self.config.keys / "log.pem").unlink()
        passphrase = keystore.read_passphrase(self.config.keys)
        keystore.write_key(self.config.keys / "log.pem", seed=seed, passphrase=passphrase)

    def hand_over(self) -> None:
        """A few blocks, and the last: validators are to make the next."""
        self.run(*self.enrol(1, 2, 3))
        height = self.height + 3
        planned = plan_switch(self.config.origin, self.validators)
        self.run(*self.decide(height, *planned), *self.enrol(4))
        assert self.height == height

    @property
    def height(self) -> int:
        with hold_data_dir(self.config):
            return read_standing(self.config).head.height

    def prepare(self, directory, *, source=None, who=OPERATOR, **how):
        return prepare_validator(
            directory, source=source, keys=self.keys[who], validators=self.validators, **how
        )


def read_leaves(directory):
    with Snapshot(load_config(directory).database) as snapshot:
        return snapshot.read_size(), snapshot.read_bundle(0, 256)


def grow(directory, *, blocks: int) -> None:
    """A validator's log has blocks of its engine too, and is signed with its key."""
    config = load_config(directory)
    with hold_data_dir(config), open_to_look(config) as chain:
        for number in range(1, blocks + 1):
            transaction = sign_transaction(
                [Enrol(member=member_id(1_000 + number))],
                chain=config.origin.chain,
                sender=FRESH,
                transaction_id=f"later-{number}",
                not_after=get_time() + 300_000,
                signer=make_signer(FRESH, "custody"),
            )
            time = max(get_time(), chain.executor.head.time)
            block = chain.executor.execute_block([transaction], time=time, engine_height=number)
            chain.commit(block, [transaction], chain.hash_block(block))
        chain.fold_all()


def run_and_die(work, *, spared: set[str]) -> str | None:
    """``work(on_step)`` in a process of its own, which is killed after the first step that is not ``spared``;
    its name, or None where the work came to its end.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:

        def on_step(step: str) -> None:
            if step not in spared:
                os.write(writing, step.encode())
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            work(on_step)
            os._exit(0)
        finally:
            os._exit(9)
    os.close(writing)
    with os.fdopen(reading) as said:
        step = said.read()
    _, status = os.waitpid(pid, 0)
    assert status == (signal.SIGKILL if step else 0), status
    return step or None
