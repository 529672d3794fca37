"""What only the core knows, its workers say too: whether anything is taken now, and who has cosigned."""

from __future__ import annotations

import threading

import httpx2
import pytest

from contracts.messages import Enrol
from ledger.keys import SeedSigner
from ledger.log.note import COSIGNATURE_V1, VerifierKey, add_signature_lines, cosign, open_note, split_note
from ledger.receipt import read_receipt
from node import readiness
from tests.contracts.cast import FRESH, member_id
from tests.node.engine.gate import Gate
from tests.node.link.linked import SECONDS, TwiceLinkedDesk
from tests.node.link.spawned import wait_until

WITNESS = SeedSigner(b"a witness's own key, 32 bytes...")
KEY = VerifierKey("witness.example/w1", COSIGNATURE_V1, WITNESS.public)
TIMES = 6
"""A new connection each: whichever worker takes it."""


@pytest.fixture
def desk(tmp_path):
    desk = TwiceLinkedDesk(tmp_path)
    try:
        yield desk
    finally:
        desk.close()


def ask(desk, path, **headers) -> list[httpx2.Response]:
    return [httpx2.get(f"{desk.url}{path}", headers=headers, timeout=SECONDS) for _ in range(TIMES)]


def list_reasons(desk) -> set[str]:
    """What all workers say of the node: nothing but ``ready``, or why not."""
    return {
        each.text.strip() if each.status_code == 200 else each.json()["reason"]
        for each in ask(desk, "/readyz")
    }


def test_every_worker_says_when_the_node_takes_nothing_and_why(desk, monkeypatch):
    assert list_reasons(desk) == {"ready"}
    desk.core.disk.is_low = True
    assert list_reasons(desk) == {"the disk is nearly full"}
    desk.core.disk.is_low = False
    assert list_reasons(desk) == {"ready"}
    # Blocks that stand still while somebody waits.
    monkeypatch.setattr(readiness, "WAIT_SECONDS_MAX", 0.05)
    gate = desk.core._chain._on_step = Gate()
    gate.close("executed")
    data = desk.sign(FRESH, Enrol(member=member_id(7)))
    sending = threading.Thread(
        target=lambda: httpx2.post(f"{desk.url}/v1/transactions", content=data, timeout=60)
    )
    sending.start()
    with gate.held():
        wait_until(lambda: desk.core._mempool.waited_seconds > 0.05)
        (reason,) = list_reasons(desk)
        assert reason.startswith("no block takes what waits")
    sending.join()
    assert list_reasons(desk) == {"ready"}
    # Others make the blocks.
    monkeypatch.setattr(type(desk.core), "is_at_rest", property(lambda _: True))
    assert list_reasons(desk) == {"validators make the blocks, and this node none"}
    monkeypatch.undo()
    desk.core.close_intake()
    assert list_reasons(desk) == {"intake is closed"}
    assert {each.text for each in ask(desk, "/healthz")} == {"ok\n"}


def bear_witness(note: str) -> str:
    line = cosign(body=split_note(note)[0], name=KEY.name, signer=WITNESS, time_seconds=1_700_000_000)
    return add_signature_lines(note, line)


def is_cosigned(note: str) -> bool:
    return any(name == KEY.name for name, _ in split_note(note)[1])


def test_what_was_gathered_is_shown_by_every_worker_and_with_every_proof(desk):
    taken = desk.must(FRESH, Enrol(member=member_id(7)))
    note = bear_witness(desk.core.checkpoint)
    desk.core.add_cosignatures(note)
    shown = [each.text for each in ask(desk, "/checkpoint")]
    assert set(shown) == {note}
    assert open_note(shown[0], [KEY]).signatures[0].time_seconds == 1_700_000_000
    asks = desk.asks(f"participant:{FRESH}")
    for answer in ask(desk, f"/v1/receipts/{taken.index + 1}", **asks):
        assert read_receipt(answer.content).proof.endswith(note)
    # The next block's checkpoint has only the log's own line.
    desk.must(FRESH, Enrol(member=member_id(8)))
    assert {each.text for each in ask(desk, "/checkpoint")} == {desk.core.checkpoint}
    assert not is_cosigned(desk.core.checkpoint)
    # What comes for a checkpoint that was left behind changes nothing.
    desk.core.add_cosignatures(note)
    assert {each.text for each in ask(desk, "/checkpoint")} == {desk.core.checkpoint}


def test_a_worker_that_hears_of_cosignatures_before_the_block_shows_both(desk):
    """The gatherer may be quicker than the news of the block: it looks at the core itself."""
    desk.must(FRESH, Enrol(member=member_id(7)))
    publish, told = desk.core.on_block, []

    def cosign_first(seconds, block):
        plain = desk.core.checkpoint
        told.append(bear_witness(plain))
        desk.core.on_cosigned(told[-1])
        publish(seconds, block)

    desk.core.on_block = cosign_first
    desk.must(FRESH, Enrol(member=member_id(8)))
    assert {each.text for each in ask(desk, "/checkpoint")} == {told[-1]}
    assert not is_cosigned(desk.core.checkpoint)


def test_a_worker_that_begins_later_knows_them_at_once(desk):
    desk.must(FRESH, Enrol(member=member_id(7)))
    note = bear_witness(desk.core.checkpoint)
    desk.core.add_cosignatures(note)
    before = desk.pids
    for worker in list(desk.supervisor._workers):
        worker.process.kill()
    wait_until(lambda: len(desk.pids) == 2 and not set(before) & set(desk.pids))
    assert {each.text for each in ask(desk, "/checkpoint")} == {note}
