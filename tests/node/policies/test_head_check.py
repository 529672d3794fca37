"""A node that knows less of its log than its witnesses, or something else, signs nothing."""

from __future__ import annotations

import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from contracts.messages import Enrol, Propose, Vote
from contracts.messages.actions import SetTrustPolicy
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
from ledger.log.policy import Policy, Witness, format_policy
from ledger.policy_chain import derive_policy
from node.head_check import HeadCheck, HeadRefused
from node.witness.desk import hash_origin
from tests.contracts.cast import FRESH, OPERATOR, member_id
from tests.node.engine.town import LOG_SIGNER, Town, submit

WITNESS = SeedSigner(b"a witness's own key, 32 bytes...")
KEY = VerifierKey("witness.example/w1", COSIGNATURE_V1, WITNESS.public)


class Shown:
    """What a witness shows of one log, over HTTP."""

    def __init__(self, chain: str) -> None:
        self.note = ""
        self.path = f"/{hash_origin(chain)}/checkpoint"
        shown = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                is_known = self.path == shown.path and shown.note
                data = shown.note.encode() if is_known else b"never cosigned\n"
                self.send_response(200 if is_known else 404)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def cosign(self, note: str) -> None:
        line = cosign(body=split_note(note)[0], name=KEY.name, signer=WITNESS, time_seconds=1)
        self.note = add_signature_lines(note, line)


class Restored:
    """A town, a backup of it from before its last entries, and what a witness saw."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.town = Town(folder)
        core = self.town.open()
        self.grow(core, 1)
        core.stop()
        for path in folder.glob("*.db"):
            shutil.copy(path, folder / f"{path.name}.backup")
        core = self.town.open()
        self.grow(core, 2)
        self.note = core.checkpoint
        core.stop()
        self.witness = Shown(self.town.chain)
        listed = (Witness("w1", KEY, self.witness.url),)
        self.policy: Policy = derive_policy(self.town.origin)._replace(witnesses=listed, quorum="w1")

    def grow(self, core, number: int) -> None:
        data = self.town.sign(
            FRESH,
            f"t{number}",
            Enrol(member=member_id(number)),
            not_after=self.town.clock() + 600_000,
        )
        submit(core, data)

    def restore(self) -> None:
        for path in self.folder.glob("*.db*"):
            if not path.name.endswith(".backup"):
                path.unlink()
        for path in self.folder.glob("*.backup"):
            shutil.copy(path, self.folder / path.name.removesuffix(".backup"))

    def open(self):
        return self.town.open(check_head=HeadCheck(self.town.chain, self.policy, self.folder))


@pytest.fixture
def restored(tmp_path):
    restored = Restored(tmp_path)
    try:
        yield restored
    finally:
        restored.witness.server.shutdown()
        restored.witness.server.server_close()
        restored.town.close()


def test_a_head_that_a_witness_agrees_with_is_signed(restored):
    restored.open().stop()
    restored.witness.cosign(restored.note)
    core = restored.open()
    assert core.checkpoint == restored.note
    restored.grow(core, 3)


def test_an_old_backup_signs_nothing_while_a_witness_has_seen_more(restored):
    restored.witness.cosign(restored.note)
    restored.restore()
    with pytest.raises(HeadRefused, match="HEAD_BEHIND_WITNESSES") as caught:
        restored.open()
    assert caught.value.facts["witness"] == "w1"
    assert caught.value.facts["seen"] > caught.value.facts["size"]
    assert "follower" in caught.value.advice
    # With what the witness has seen it goes on.
    restored.restore()
    core = restored.town.open()
    restored.grow(core, 2)
    core.stop()
    assert restored.open().is_ready


def test_an_old_backup_is_found_by_the_note_the_folder_kept(restored):
    (restored.folder / "witnessed.note").write_text(restored.note)
    restored.restore()
    with pytest.raises(HeadRefused, match="HEAD_BEHIND_WITNESSES") as caught:
        restored.open()
    assert caught.value.facts["witness"] == "this folder"


def test_a_witness_of_another_history_is_told_apart_from_one_that_is_ahead(restored):
    size = parse_checkpoint(split_note(restored.note)[0]).size
    restored.witness.cosign(
        sign_checkpoint(origin=restored.town.chain, size=size, root=bytes(32), signer=LOG_SIGNER)
    )
    with pytest.raises(HeadRefused, match="HEAD_DIFFERS_FROM_WITNESSES"):
        restored.open()


def test_what_a_stranger_shows_under_the_witnesss_address_counts_for_nothing(restored):
    restored.witness.note = sign_checkpoint(
        origin=restored.town.chain, size=10_000, root=bytes(32), signer=LOG_SIGNER
    )
    assert restored.open().is_ready


def test_the_head_of_a_follower_counts_as_well(restored):
    """One that was never asked to cosign shows what it has executed as any node shows its checkpoint."""
    restored.witness.path = "/checkpoint"
    restored.witness.cosign(restored.note)
    restored.open().stop()
    restored.restore()
    with pytest.raises(HeadRefused, match="HEAD_BEHIND_WITNESSES"):
        restored.open()


def test_witnesses_of_the_policy_that_the_log_itself_has_enacted_are_asked(restored):
    policy, restored.policy = restored.policy, None
    restored.witness.cosign(restored.note)
    restored.restore()
    text = format_policy(policy).decode()
    check = HeadCheck(restored.town.chain, None, restored.folder)
    with pytest.raises(HeadRefused, match="HEAD_BEHIND_WITNESSES"):
        check(1, lambda _size: b"", [text])
    core = restored.open()
    propose = Propose(
        actions=[SetTrustPolicy(text)],
        configuration=0,
        effective_height=core.head.height + 1,
        expires=restored.town.clock() + 600_000,
        proposal="trust",
    )
    for number, message in enumerate((propose, Vote("yes", 0, "trust"), Enrol(member=member_id(9)))):
        sender = FRESH if isinstance(message, Enrol) else OPERATOR
        data = restored.town.sign(sender, f"p{number}", message, not_after=restored.town.clock() + 600_000)
        submit(core, data)
    assert core.policies.newest == 1
    core.stop()
    # It has gone on from the backup, which the witness of its own policy knows to be another history.
    with pytest.raises(HeadRefused):
        restored.open()
