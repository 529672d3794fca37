"""With whose word a ledger may go on with other validators than it names, and with whose it may not."""

from __future__ import annotations

import msgspec
import pytest

from ledger.codec import to_base64url
from ledger.errors import Unverified
from node.app import hold_data_dir
from node.constitution import make_equal_constitution
from node.engine.cometbft.beginning import read_beginning
from node.engine.cometbft.founding import found_ledger, join_ledger, make_validator
from node.engine.cometbft.home import HOME_FOLDER, make_chain_id
from node.engine.cometbft.recovering import encode_note, make_note, recover_validator
from node.engine.cometbft.recovery import RECOVERY_FILE, Recovery, endorse
from node.engine.cometbft.switching import open_to_look
from node.engine.standing import get_engine
from node.keystore import Unusable
from tests.contracts.cast import FRESH, OPERATOR, PETROL, PHARMACY, START, make_participant, make_signer

FOUR = (OPERATOR, FRESH, PETROL, PHARMACY)


class Alliance:
    """Four who decide together, more than half of them; each has a validator."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.keys = {who: folder / f"keys-{who}" for who in FOUR}
        self.made = [
            make_validator(keys, participant=who, address=f"127.0.0.1:{26_000 + number}")
            for number, (who, keys) in enumerate(self.keys.items())
        ]
        self.config = found_ledger(
            folder / OPERATOR,
            keys=self.keys[OPERATOR],
            validators=self.made,
            name="four",
            operator=OPERATOR,
            participants=[make_participant(who) for who in FOUR[1:]],
            constitution=make_equal_constitution(FOUR, trustee=OPERATOR),
            time=START,
        )

    def join(self, who):
        return join_ledger(
            self.folder / who, genesis=self.config.origin.leaves, keys=self.keys[who], validators=self.made
        )

    def note(self, *places):
        with hold_data_dir(self.config):
            return make_note(self.config, [self.made[place] for place in places])

    def sign(self, note, *who) -> Recovery:
        line = encode_note(note)
        bare = Recovery(line, note, [])
        signers = {name: make_signer(name, "govern") for name in FOUR[1:]}
        signers[OPERATOR] = self.config.open_signer("govern")
        return bare._replace(
            endorsements=[endorse(bare, participant=name, signer=signers[name]) for name in who]
        )

    def recover(self, recovery, who=OPERATOR, **how):
        return recover_validator(
            self.folder / who,
            recovery=recovery,
            source=None,
            keys=self.keys[who],
            validators=self.made,
            **how,
        )


@pytest.fixture
def alliance(tmp_path):
    return Alliance(tmp_path)


def test_those_who_are_left_go_on_by_a_note_that_most_have_signed(alliance):
    before = alliance.config.directory / HOME_FOLDER / "config" / "genesis.json"
    original = before.read_bytes()
    recovery = alliance.sign(alliance.note(0, 1), OPERATOR, FRESH, PHARMACY)
    alliance.recover(recovery)
    alliance.join(FRESH)
    alliance.recover(recovery, FRESH)
    homes = [alliance.folder / who / HOME_FOLDER for who in (OPERATOR, FRESH)]
    geneses = [(home / "config" / "genesis.json").read_bytes() for home in homes]
    assert geneses[0] == geneses[1]
    genesis = msgspec.json.decode(geneses[0])
    assert [each["name"] for each in genesis["validators"]] == sorted((OPERATOR, FRESH))
    assert genesis["chain_id"] != make_chain_id(alliance.config.origin.chain)
    assert len(genesis["chain_id"]) <= 50
    assert genesis["initial_height"] == "1"
    with open_to_look(alliance.config) as chain:
        engine = get_engine(chain.reader)
        found = read_beginning(homes[0], chain=chain.origin.chain, engine=engine)
        assert (found.chain_id, found.height, found.engine_height) == (genesis["chain_id"], 0, 0)
        assert [name for name, _, _ in found.find_validators(chain.reader).validators] == [OPERATOR, FRESH]
    # What it voted before is kept, and the note where a backup finds it.
    put_away = alliance.config.directory / f"{HOME_FOLDER}.before-00000000"
    assert (put_away / "config" / "genesis.json").read_bytes() == original
    assert (alliance.config.directory / "recovery-00000000.jsonl").read_bytes() == recovery.encode()
    with pytest.raises(Unusable, match="ALREADY_PREPARED"):
        alliance.recover(recovery)


#   who goes on, who signs, the code
@pytest.mark.parametrize(
    ("places", "signers", "code"),
    [
        ((0, 1), (), "NOT_ENOUGH_WEIGHT"),
        ((0, 1), (OPERATOR, FRESH), "NOT_ENOUGH_WEIGHT"),
        ((0, 1), (OPERATOR, OPERATOR, FRESH), "NOT_ENOUGH_WEIGHT"),
        ((0,), (OPERATOR, FRESH, PETROL, PHARMACY), "QUORUM_ELSEWHERE"),
    ],
    ids=["nobody", "half", "half, one twice", "three could go on without it"],
)
def test_a_minority_does_not_go_on(alliance, places, signers, code):
    with pytest.raises(Unverified, match=code):
        alliance.recover(alliance.sign(alliance.note(*places), *signers))
    assert not (alliance.config.directory / HOME_FOLDER / RECOVERY_FILE).exists()
    assert (alliance.config.directory / HOME_FOLDER / "data" / "priv_validator_state.json").exists()


def test_a_note_is_worth_what_its_very_bytes_and_keys_are(alliance):
    note = alliance.note(0, 1)
    good = alliance.sign(note, OPERATOR, FRESH, PETROL)
    wrong = msgspec.structs.replace(good.endorsements[1], signature=good.endorsements[0].signature)
    till = endorse(good, participant=FRESH, signer=make_signer(FRESH, "till"))
    other = msgspec.structs.replace(note, chain="another/" + "0" * 32)
    forged = msgspec.structs.replace(note, root=to_base64url(bytes(32)))
    longer = msgspec.structs.replace(note, size=note.size + 1, height=1)
    shorter = msgspec.structs.replace(note, size=note.size - 1)
    later = msgspec.structs.replace(note, engine_height=7)
    for code, recovery in (
        ("SIGNATURE_INVALID", good._replace(endorsements=[good.endorsements[0], wrong])),
        ("KEY_NOT_VALID", good._replace(endorsements=[*good.endorsements, till])),
        ("WRONG_CHAIN", alliance.sign(other, OPERATOR, FRESH, PETROL)),
        ("ROOT_DIFFERS", alliance.sign(forged, OPERATOR, FRESH, PETROL)),
        ("ENGINE_HEIGHT_DIFFERS", alliance.sign(later, OPERATOR, FRESH, PETROL)),
        ("LOG_BEHIND_NOTE", alliance.sign(longer, OPERATOR, FRESH, PETROL)),
        ("LOG_AHEAD_OF_NOTE", alliance.sign(shorter, OPERATOR, FRESH, PETROL)),
        ("SIGNATURE_INVALID", good._replace(line=good.line.replace(b'"size":', b'"size": '))),
    ):
        with pytest.raises((Unverified, Unusable), match=code):
            alliance.recover(recovery)
    alliance.join(PETROL)
    with pytest.raises(Unusable, match="NOT_A_VALIDATOR"):
        alliance.recover(good, PETROL)
    alliance.recover(good, PETROL, is_later=True)
    alliance.recover(good)


class CutOff(Exception):
    """As if the process had died between two steps."""


def test_a_recovery_that_is_cut_off_anywhere_is_done_when_it_is_asked_for_again(alliance, tmp_path):
    recovery = alliance.sign(alliance.note(0, 1), OPERATOR, FRESH, PHARMACY)
    steps: list[str] = []
    alliance.join(FRESH)
    alliance.recover(recovery, FRESH, on_step=steps.append)
    assert len(steps) >= 6
    done = 0
    while True:
        told: list[str] = []

        def die(step, told=told, limit=done):
            told.append(step)
            if len(told) > limit:
                raise CutOff(step)

        try:
            alliance.recover(recovery, on_step=die)
            break
        except CutOff:
            done += 1
    assert done == len(steps)
    a, b = (tmp_path / who / HOME_FOLDER / "config" / "genesis.json" for who in (OPERATOR, FRESH))
    assert a.read_bytes() == b.read_bytes()
    assert not (tmp_path / OPERATOR / f"{HOME_FOLDER}.new").exists()
