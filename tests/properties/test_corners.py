"""Corners that random histories seldom turn, each told once."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.errors import Refused
from tests.properties.draws import DAY
from tests.properties.model_values import canonical
from tests.properties.pair import Pair

DELAY = 3 * DAY


class Person:
    """A member whose custodian is fresh, and whose key is replaced."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.alliance = self.pair.history.alliance
        self.time = self.pair.model.time
        self.name = self.alliance.new_member()
        self.first, self.second = self.alliance.new_pair(), self.alliance.new_pair()
        assert self.ask("enrol", self.first) == "OK"

    def send(self, purpose: str, message: dict[str, Any]) -> str:
        header = {"not_after": self.time + 1_000}
        (code,) = self.pair.execute(
            self.time, [self.pair.history.send("fresh", purpose, [message], **header)]
        )
        return code

    def ask(self, kind: str, key: Any) -> str:
        proof = self.alliance.prove_possession(key, self.name)
        return self.send("custody", {"@type": kind, "key": proof, "member": self.name})

    def choose(self, choice: str, key: Any) -> str:
        nonce = self.alliance.new_nonce()
        message = self.alliance.sign_choice(
            key, choice=choice, expires=self.time, member=self.name, nonce=nonce
        )
        return self.send("transact", message)


@pytest.fixture
def person() -> Person:
    return Person()


def test_a_replacement_is_the_key_from_its_very_moment(person):
    assert person.ask("replace_member_key", person.second) == "OK"
    person.time += DELAY - 1
    assert person.choose("till_off", person.second) == "CONSENT_SIGNATURE_INVALID"
    assert person.choose("till_off", person.first) == "OK"
    person.time += 1
    assert person.choose("till_on", person.first) == "CONSENT_SIGNATURE_INVALID"
    assert person.choose("stop_replacement", person.second) == "NO_REPLACEMENT_PENDING"
    assert person.choose("till_on", person.second) == "OK"


def test_a_replacement_by_the_very_same_key_can_be_stopped_too(person):
    assert person.ask("replace_member_key", person.first) == "OK"
    assert person.choose("stop_replacement", person.first) == "OK"
    assert person.choose("stop_replacement", person.first) == "NO_REPLACEMENT_PENDING"


def test_a_choice_does_not_forget_a_replacement_that_waits(person):
    assert person.ask("replace_member_key", person.second) == "OK"
    assert person.choose("custodian_on", person.first) == "OK"
    person.time += DELAY
    assert person.choose("custodian_off", person.second) == "OK"


def test_a_series_opens_after_all_that_are_announced():
    """And where too many are announced as well, that the height lies behind them is told first."""
    pair = Pair()

    def open_at(height: int) -> str:
        message = {
            "@type": "open_series",
            "effective_height": height,
            "expiry_months": 0,
            "par_accrue": 20_000,
            "par_redeem": 20_000,
            "program": "fresh",
            "series": f"at-{height}-{pair.model.height}",
        }
        (code,) = pair.execute(pair.model.time, [pair.history.send("fresh", "govern", [message])])
        return code

    assert [open_at(100 + number) for number in range(32)] == ["OK"] * 32
    assert open_at(132) == "TOO_MANY_ANNOUNCED"
    assert open_at(1) == "HEIGHT_NOT_AHEAD"
    assert open_at(131) == "HEIGHT_NOT_AHEAD"


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def respell(text: str) -> str:
    """Other text for the same bytes: the last character has bits to spare."""
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) ^ 1]


@pytest.mark.parametrize("field", ["nonce", "signature", "public", "possession"])
def test_bytes_are_spelled_in_one_way(person, field):
    key = person.alliance.prove_possession(person.second, person.name)
    choice = person.alliance.sign_choice(
        person.first,
        choice="till_off",
        expires=person.time,
        member=person.name,
        nonce=person.alliance.new_nonce(),
    )
    part = key if field in key else choice
    part[field] = respell(part[field])
    replacement = {"@type": "replace_member_key", "key": key, "member": person.name}
    sent = person.pair.history.send("fresh", "custody", [replacement, choice], not_after=person.time)
    with pytest.raises(Refused) as refused:
        person.pair.machine.decoder.decode(canonical(sent))
    assert refused.value.code == "MALFORMED"
