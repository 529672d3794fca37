"""What a validator's folder is made of when a sequencer hands over: any copy that reaches so far, whichever
key signed it; and whatever kills the making of it, asking again finishes it.
"""

from __future__ import annotations

import shutil
import sqlite3

import pytest

from ledger.errors import Unverified
from ledger.keys import SeedSigner
from ledger.log.note import parse_checkpoint, sign_checkpoint, split_note
from node import keystore
from node.auditing import audit_data_dir
from node.backup import back_up, restore
from node.config import POSTGRESQL_FILE, load_config
from node.engine.cometbft.founding import make_validator
from node.engine.cometbft.home import HOME_FOLDER, is_prepared
from node.engine.cometbft.switching import (
    FORMER_LOG_KEY_FILE,
    prepare_validator,
)
from node.keystore import Unusable
from node.storage.copying import copy_log
from node.storage.snapshot import Snapshot
from tests.contracts.cast import FRESH, OPERATOR, make_signer
from tests.node.cometbft.sequencer import Sequencer, grow, read_leaves, run_and_die


@pytest.fixture
def sequencer(tmp_path):
    return Sequencer(tmp_path)


@pytest.fixture(params=["one log key", "a log key that was replaced"])
def handed_over(request, sequencer):
    """A ledger whose sequencer has made its last block."""
    if request.param != "one log key":
        sequencer.rotate()
    sequencer.hand_over()
    return sequencer


def test_any_copy_that_reaches_so_far_is_enough(handed_over, tmp_path):
    ledger = handed_over
    backup = tmp_path / "backup"
    back_up(ledger.directory, backup)
    config, engine, head = ledger.prepare(tmp_path / "first", source=backup, who=FRESH)
    assert (head.height, engine.height) == (ledger.height, ledger.height)
    exact = read_leaves(tmp_path / "first")
    assert exact[0] == head.size
    # The validator went on meanwhile: its folder, and a backup of it, hold more than is taken.
    grow(tmp_path / "first", blocks=3)
    back_up(tmp_path / "first", tmp_path / "newer")
    shutil.copytree(tmp_path / "first", tmp_path / "without-views")
    (tmp_path / "without-views" / "views.db").unlink()
    for name in ("first", "newer", "without-views"):
        assert read_leaves(tmp_path / name)[0] > head.size
        made = tmp_path / f"from-{name}"
        _, _, again = ledger.prepare(made, source=tmp_path / name)
        assert again == head
        assert read_leaves(made) == exact
        kept = sorted(path.name for path in (made / "policies").iterdir())
        assert kept == sorted(path.name for path in (tmp_path / "first" / "policies").iterdir())
        assert (made / "policies" / kept[-1]).read_text() == ledger.checkpoint
    # One that holds blocks of validators is nobody's alone; the sequencer's, as it was left, may be restored.
    for name in ("newer", "without-views"):
        with pytest.raises(Unusable, match="NOT_RESTORED_ALONE"):
            restore(tmp_path / name, tmp_path / "restored", keys=ledger.config.keys)
    restore(backup, tmp_path / "restored", keys=ledger.config.keys)
    assert ledger.prepare(tmp_path / "restored")[2] == head
    geneses = {path.read_bytes() for path in tmp_path.glob(f"*/{HOME_FOLDER}/config/genesis.json")}
    assert len(geneses) == 1
    # And the sequencer's own folder, with the validator's key in the place of its own.
    _, _, own = ledger.prepare(ledger.directory)
    assert own == head
    assert config.open_signer("log").public != ledger.config.open_signer("log").public
    assert (ledger.config.keys / FORMER_LOG_KEY_FILE).exists()


def test_what_is_no_such_copy_is_turned_down_by_name(sequencer, tmp_path):
    sequencer.run(*sequencer.enrol(1, 2))
    back_up(sequencer.directory, tmp_path / "early")
    for source in (None, tmp_path / "early"):
        with pytest.raises(Unusable, match="NOT_SWITCHED"):
            sequencer.prepare(sequencer.directory if source is None else tmp_path / "n", source=source)
    sequencer.hand_over()
    stranger = tmp_path / "stranger"
    other = make_validator(stranger, participant=FRESH, address="127.0.0.1:26109")
    back_up(sequencer.directory, tmp_path / "backup")
    with pytest.raises(Unusable, match="NOT_A_VALIDATOR"):
        prepare_validator(tmp_path / "n1", source=tmp_path / "backup", keys=stranger, validators=[other])
    # Whoever is to be voted in says so, and goes on with the folder that was begun.
    config, _, _ = prepare_validator(
        tmp_path / "n1", source=tmp_path / "backup", keys=stranger, validators=[other], is_later=True
    )
    assert is_prepared(config.directory / HOME_FOLDER)
    with pytest.raises(Unusable, match="ALREADY_PREPARED"):
        sequencer.prepare(tmp_path / "n1", source=tmp_path / "backup")
    with pytest.raises(Unusable, match="FOLDER_NOT_EMPTY"):
        sequencer.prepare(sequencer.directory, source=tmp_path / "backup")
    # A checkpoint that does not reach so far, and one that nobody of this log has signed.
    config = load_config(tmp_path / "early")
    late, forged = tmp_path / "late", tmp_path / "forged"
    for folder in (late, forged):
        shutil.copytree(tmp_path / "backup", folder)
    with Snapshot(config.database) as early:
        note = early.read_note_size(), early.read_checkpoint()
    change_note(late, *note)
    with pytest.raises(Unusable, match="COPY_NOT_SIGNED"):
        sequencer.prepare(tmp_path / "n2", source=late)
    change_note(forged, note[0], sign_by_nobody(note[1]))
    with pytest.raises(Unverified, match="LOG_SIGNATURE_MISSING"):
        sequencer.prepare(tmp_path / "n3", source=forged)
    sequencer.prepare(tmp_path / "n3", source=tmp_path / "backup")


def change_note(directory, size, text) -> None:
    with sqlite3.connect(directory / "ledger.db") as database:
        database.execute("UPDATE note SET size = ?, text = ?", (size, text))
    database.close()


def sign_by_nobody(note) -> str:
    found = parse_checkpoint(split_note(note)[0])
    signer = make_signer("nobody", "log")
    return sign_checkpoint(origin=found.origin, size=found.size, root=found.root, signer=signer)


@pytest.mark.parametrize("is_own", [True, False], ids=["the sequencer's own folder", "a new folder"])
def test_whatever_kills_the_switch_it_is_finished_by_asking_again(sequencer, tmp_path, is_own):
    """SIGKILL after every step, each over what the one before left."""
    sequencer.hand_over()
    backup = tmp_path / "backup"
    back_up(sequencer.directory, backup)
    fresh, source = (sequencer.directory, None) if is_own else (tmp_path / "n", backup)

    def switch(on_step):
        sequencer.prepare(fresh, source=source, on_step=on_step)

    killed: set[str] = set()
    while (step := run_and_die(switch, spared=killed)) is not None:
        killed.add(step)
    assert len(killed) >= (6 if is_own else 10), killed
    assert {"home begun", "home written", "executed"} <= killed
    assert is_prepared(fresh / HOME_FOLDER)
    config = load_config(fresh)
    config.check_private()
    assert config.open_signer("log").public == keystore.open_signer(sequencer.keys[OPERATOR], "log").public
    assert not (fresh / "unfinished").exists()
    assert not (config.keys / "next.pem").exists()
    sequencer.prepare(tmp_path / "undisturbed", source=backup)
    undisturbed = tmp_path / "undisturbed" / HOME_FOLDER / "config"
    assert (fresh / HOME_FOLDER / "config/genesis.json").read_bytes() == (
        undisturbed / "genesis.json"
    ).read_bytes()
    assert read_leaves(fresh) == read_leaves(tmp_path / "undisturbed")
    if is_own:
        former = keystore.read_seed(
            config.keys / FORMER_LOG_KEY_FILE, passphrase=keystore.read_passphrase(config.keys)
        )
        assert SeedSigner(former).public in sequencer.config.origin.log_keys
    grow(fresh, blocks=1)


def test_a_ledger_that_postgresql_keeps_is_handed_over_and_stays_there(postgres_server, tmp_path):
    place = postgres_server.make()
    ledger = Sequencer(tmp_path, address=place.address)
    ledger.hand_over()
    _, _, head = ledger.prepare(ledger.directory)
    # Another validator takes its files from the database itself.
    config, _, same = ledger.prepare(tmp_path / "other", source=ledger.directory, who=FRESH)
    assert same == head
    assert not (config.directory / POSTGRESQL_FILE).exists()
    for directory in (ledger.directory, config.directory):
        grow(directory, blocks=2)
        report = audit_data_dir(directory, policy=None, chain=None, progress=lambda _done, _total: None)
        assert report.is_good, report.first_bad
        assert report.height == head.height + 2
    assert read_leaves(ledger.directory) != (0, None)
    postgres_server.take_back(place)


def test_a_copy_that_is_cut_is_held_against_the_whole_tree(sequencer, tmp_path):
    sequencer.run(*sequencer.enrol(*range(300)))
    config = sequencer.config
    with Snapshot(config.database) as snapshot:
        size = snapshot.read_size()
        end = snapshot.find_block(200) + 1
        copied = copy_log(snapshot, tmp_path / "cut.db", config.origin, end=end)
        assert (copied.size, copied.height, copied.signed_size) == (end, 200, size)
        whole = copy_log(snapshot, tmp_path / "cut.db", config.origin)
        assert (whole.before, whole.size, whole.height) == (end, size, 300)
