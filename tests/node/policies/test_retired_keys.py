"""What a retired log key signs for a later tree is believed nowhere: one fault, every place that judges."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager

import msgspec
import pytest

from contracts.messages.actions import ChangeParameter
from ledger.errors import Unverified
from ledger.log.note import parse_checkpoint, sign_checkpoint, split_note
from ledger.log.tlog_proof import format_tlog_proof, parse_tlog_proof
from ledger.receipt import Receipt
from node.audit.verify import verify_ledger
from node.auditing import audit_data_dir
from node.backup import back_up
from node.bundle.directory import DirectoryOrders
from node.bundle.file import decode_bundle, encode_bundle
from node.bundle.making import make_bundle
from node.bundle.verifying import verify_bundle
from node.config import load_config
from node.follower.beginning import open_directory
from node.follower.serving import catch_up_first
from node.follower.sources import FolderSource, Sources
from node.preview.run import preview
from node.remote.connection import Connection
from node.remote.policies import RemotePolicies
from node.startup import open_chain
from node.statements.log import SignedLeaves
from node.statements.sources import TileFolder
from node.statements.sources import open_directory as open_log
from node.storage.orders import OrderSnapshot
from node.storage.policies import prove_stored_policies
from tests.node.policies.rekeyed import FOLDED


@contextmanager
def from_folder(rekeyed, retired, tmp_path):
    copy = shutil.copytree(rekeyed.stages[FOLDED], tmp_path / "copy")
    with closing(sqlite3.connect(copy / "ledger.db")) as database, database:
        database.execute("UPDATE note SET text = ?", (retired,))
    yield copy


def by_verify_folder(rekeyed, retired, tmp_path):
    with from_folder(rekeyed, retired, tmp_path) as copy:
        report = audit_data_dir(copy, policy=None, chain=None, progress=lambda _done, _total: None)
    raise Unverified(report.first_bad.check)


def by_verify_url(rekeyed, retired, tmp_path):
    raise Unverified(verify_ledger(TileFolder(forge(rekeyed, retired, tmp_path))).first_bad.check)


def forge(rekeyed, retired, tmp_path):
    folder = shutil.copytree(rekeyed.mirrors["after"], tmp_path / "forged")
    (folder / "checkpoint").write_text(retired)
    return folder


def by_statement(rekeyed, retired, tmp_path):
    with open_log(forge(rekeyed, retired, tmp_path), chain=rekeyed.chain) as log:
        SignedLeaves(log)


def by_statement_of_a_folder(rekeyed, retired, tmp_path):
    with (
        from_folder(rekeyed, retired, tmp_path) as copy,
        open_log(copy, chain=rekeyed.chain) as log,
    ):
        SignedLeaves(log)


def by_preview(rekeyed, retired, tmp_path):
    action = ChangeParameter(parameter="hold_seconds_max", value=60)
    preview(TileFolder(forge(rekeyed, retired, tmp_path)), actions=[action], chain=rekeyed.chain)


def by_backup(rekeyed, retired, tmp_path):
    with from_folder(rekeyed, retired, tmp_path) as copy:
        back_up(copy, tmp_path / "backup")


def by_start(rekeyed, retired, tmp_path):
    with from_folder(rekeyed, retired, tmp_path) as copy:
        config = load_config(copy)
        open_chain(config.database, genesis=config.origin.leaves, signer=config.open_signer("log"))


def by_follower(rekeyed, retired, tmp_path):
    """It knows the newest policy from its own log, and is shown a checkpoint of one that is retired."""
    directory = shutil.copytree(rekeyed.base / "awake", tmp_path / "followed")
    source = FolderSource(forge(rekeyed, retired, tmp_path))
    sources = Sources([source])
    config = open_directory(directory, sources, chain=rekeyed.chain)
    follower = catch_up_first(
        config,
        Sources([FolderSource(rekeyed.mirrors["after"])]),
        workers=0,
        is_stopping=lambda: False,
        is_apart=False,
    )
    try:
        follower._policies.open(retired, source)
    finally:
        follower.chain.close()
        follower.chain.store.close()


def by_remote(rekeyed, retired, _tmp_path):
    with Connection(rekeyed.node.url) as connection:
        RemotePolicies(connection, rekeyed.origin).verify(retired)


def by_bundle(rekeyed, retired, _tmp_path):
    """The very bundle, with every receipt under the retired key's note."""
    folder = rekeyed.stages[FOLDED]
    with OrderSnapshot(folder / "ledger.db") as snapshot:
        policies = prove_stored_policies(snapshot, rekeyed.origin, folder)
        source = DirectoryOrders(
            snapshot, origin=rekeyed.origin, note=snapshot.read_checkpoint(), policies=policies
        )
        made = make_bundle(source, origin=rekeyed.origin, sender="fresh", reference="3-0")
    assert decode_bundle(encode_bundle(made)) == made

    def move(receipt: Receipt) -> Receipt:
        proof = parse_tlog_proof(receipt.proof)
        text = format_tlog_proof(index=proof.leaf_index, hashes=proof.hashes, checkpoint=retired)
        return msgspec.structs.replace(receipt, proof=text)

    forged = msgspec.structs.replace(
        made, entries=[*map(move, made.entries)], context=[*map(move, made.context)]
    )
    verify_bundle(encode_bundle(forged), chain=rekeyed.chain)


PLACES = {
    "commonpoint verify, a folder": by_verify_folder,
    "commonpoint verify, what is served": by_verify_url,
    "a statement from a mirror": by_statement,
    "a statement from a folder": by_statement_of_a_folder,
    "a preview": by_preview,
    "a backup": by_backup,
    "a node's start": by_start,
    "a follower": by_follower,
    "whoever submits": by_remote,
    "a bundle": by_bundle,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", [0, 1])
def test_what_a_retired_key_signs_later_is_believed_nowhere(rekeyed, served, tmp_path, place, key):
    del served
    newest = parse_checkpoint(split_note(rekeyed.read_note("after"))[0])
    retired = sign_checkpoint(
        origin=rekeyed.chain, size=newest.size, root=newest.root, signer=rekeyed.signers[key]
    )
    with pytest.raises(Unverified) as caught:
        PLACES[place](rekeyed, retired, tmp_path)
    assert caught.value.code == "LOG_KEY_RETIRED"
