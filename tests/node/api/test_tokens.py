"""Tokens: what the node believes of its own word, and how one gets it with a ledger key."""

from __future__ import annotations

import base64

import pytest

from ledger.codec import to_base64url
from ledger.errors import InvariantBroken, Refused
from node.access import Role
from node.tokens import TokenIssuer
from tests.contracts.cast import ANNA, FRESH, START
from tests.node.api.desk import SECRET

CHAIN = "town/" + "0" * 32
AUDITOR = Role("auditor")


def make_issuer(*, secret=SECRET, chain=CHAIN, at=START):
    return TokenIssuer(secret=secret, chain=chain, clock=lambda: at)


def test_a_token_says_who_asks_until_it_expires():
    for role in (AUDITOR, Role("participant", FRESH), Role("member", ANNA)):
        token, expires = make_issuer().issue(role, seconds=60)
        assert expires == START + 60_000
        assert make_issuer(at=expires).verify(token).role == role
        with pytest.raises(Refused, match=r"TOKEN_INVALID.*expired"):
            make_issuer(at=expires + 1).verify(token)


def test_what_the_api_gives_lives_a_quarter_of_an_hour_and_what_an_operator_prints_a_day():
    issuer = make_issuer()
    issuer.issue(AUDITOR, seconds=900, key="0" * 16)
    issuer.issue(AUDITOR, seconds=86_400)
    for how in ({"seconds": 901, "key": "0" * 16}, {"seconds": 86_401}, {"seconds": 0}, {"seconds": -5}):
        with pytest.raises(Refused, match="BAD_REQUEST"):
            issuer.issue(AUDITOR, **how)


def test_a_token_of_another_node_or_chain_is_none():
    token, _ = make_issuer().issue(AUDITOR, seconds=60)
    for other in (make_issuer(secret=bytes(32)), make_issuer(chain="town/" + "1" * 32)):
        with pytest.raises(Refused, match="TOKEN_INVALID"):
            other.verify(token)


def test_every_changed_character_of_a_token_is_found():
    issuer = make_issuer()
    token, _ = issuer.issue(Role("participant", FRESH), seconds=60)
    for position, character in enumerate(token):
        for other in "A-_.=":
            if other != character:
                with pytest.raises(Refused, match="TOKEN_INVALID"):
                    issuer.verify(token[:position] + other + token[position + 1 :])


def test_a_token_has_one_spelling():
    issuer = make_issuer()
    token, _ = issuer.issue(AUDITOR, seconds=60)
    claim, mac = token.split(".")
    others = [
        token + "=",
        token + "\n",
        " " + token,
        f"{claim}=.{mac}",
        f"{claim}.{mac}.",
        f"{claim}..{mac}",
        mac,
        "",
    ]
    # The last character of a group has spare bits: these decode to the same bytes.
    spare = base64.urlsafe_b64decode(mac + "=")
    others += [f"{claim}.{mac[:-1]}{c}" for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c != mac[-1]]
    assert len(spare) == 32
    for other in [*others, "\ud800", "é" * 40, "a" * 100_000]:
        with pytest.raises(Refused, match="TOKEN_INVALID"):
            issuer.verify(other)


def test_a_claim_that_is_ours_but_not_of_this_form_is_no_token():
    issuer = make_issuer()
    for claim in [
        b"{}",
        b"null",
        b"[" * 500,
        b'{"chain":"x"}',
        b'{"role":"auditor","chain":"%b"}' % CHAIN.encode(),
    ]:
        mac = issuer._compute_mac(claim)
        with pytest.raises(Refused, match="TOKEN_INVALID"):
            issuer.verify(f"{to_base64url(claim)}.{to_base64url(mac)}")


def test_a_secret_of_another_length_makes_no_issuer():
    for secret in (b"", bytes(31), bytes(33)):
        with pytest.raises(InvariantBroken, match="TOKEN_SECRET"):
            make_issuer(secret=secret)
