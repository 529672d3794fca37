"""Tokens: what the node believes of its own word, and how one gets it with a ledger key."""

from __future__ import annotations

import base64

import msgspec
import pytest

from contracts.messages import AddKey, ReplaceMemberKey, RevokeKey
from ledger.codec import to_base64url
from ledger.errors import InvariantBroken, Refused
from node.access import Role
from node.http_signatures import NONCES_PER_KEY_MAX, NonceWindow, compute_target_url
from node.tokens import TokenIssuer
from tests.contracts.cast import ANNA, BORIS, CLARA, FRESH, PETROL, START, STRANGER, make_signer, public_of
from tests.node.api.desk import SECRET, URL, code_of
from tests.node.api.letters_of_request import COVERED, PATH, make_nonce, sign_request

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
    others = [token + "=", token + "\n", " " + token, f"{claim}=.{mac}", f"{claim}.{mac}.", f"{claim}..{mac}", mac, ""]
    # The last character of a group has spare bits: these decode to the same bytes.
    spare = base64.urlsafe_b64decode(mac + "=")
    others += [f"{claim}.{mac[:-1]}{c}" for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c != mac[-1]]
    assert len(spare) == 32
    for other in [*others, "\ud800", "é" * 40, "a" * 100_000]:
        with pytest.raises(Refused, match="TOKEN_INVALID"):
            issuer.verify(other)


def test_a_claim_that_is_ours_but_not_of_this_form_is_no_token():
    issuer = make_issuer()
    for claim in [b"{}", b"null", b"[" * 500, b'{"chain":"x"}', b'{"role":"auditor","chain":"%b"}' % CHAIN.encode()]:
        mac = issuer._compute_mac(claim)
        with pytest.raises(Refused, match="TOKEN_INVALID"):
            issuer.verify(f"{to_base64url(claim)}.{to_base64url(mac)}")


def test_a_secret_of_another_length_makes_no_issuer():
    for secret in (b"", bytes(31), bytes(33)):
        with pytest.raises(InvariantBroken, match="TOKEN_SECRET"):
            make_issuer(secret=secret)


@pytest.fixture
def ask(desk):
    """Asks for a token with everything in order but for what is told."""
    numbers = iter(range(1_000_000))

    async def ask(signer, *, subject=f"participant:{FRESH}", body=None, headers=None, path=PATH, **how):
        how.setdefault("chain", desk.core.chain)
        how.setdefault("now", desk.clock())
        how.setdefault("nonce", make_nonce(next(numbers)))
        signed, made = sign_request(signer, subject=subject, **how)
        async with desk.client() as client:
            return await client.post(path, content=made if body is None else body, headers={**signed, **(headers or {})})

    return ask


@pytest.mark.parametrize("purpose", ["transact", "till", "custody", "govern"])
async def test_a_participants_key_gets_a_token_that_opens_its_own(desk, ask, purpose):
    answer = await ask(make_signer(FRESH, purpose))
    assert answer.status_code == 200, answer.text
    assert answer.json()["expires"] == desk.clock() + 900_000
    async with desk.client() as client:
        asks = {"authorization": f"Bearer {answer.json()['token']}"}
        rows = (await client.get("/v1/positions", headers=asks)).json()["rows"]
        assert [row["participant"] for row in rows] == [FRESH]


async def test_a_members_key_gets_a_token_that_opens_their_own(desk, ask):
    desk.trade()
    answer = await ask(make_signer(ANNA), subject=f"member:{ANNA}")
    async with desk.client() as client:
        asks = {"authorization": f"Bearer {answer.json()['token']}"}
        assert (await client.get(f"/v1/members/{ANNA}", headers=asks)).status_code == 200
        assert code_of(await client.get(f"/v1/members/{BORIS}", headers=asks)) == "NOT_FOUND"


#   what is wrong, how the request is made, the code
WRONG = [
    ("another chain's tag", {"chain": "town/" + "1" * 32}, "SIGNATURE_INVALID"),
    ("another label", {"label": "sig1"}, "SIGNATURE_INVALID"),
    ("method not covered", {"covered": COVERED[1:]}, "SIGNATURE_INVALID"),
    ("address not covered", {"covered": ("@method", "content-digest")}, "SIGNATURE_INVALID"),
    ("digest not covered", {"covered": COVERED[:2]}, "SIGNATURE_INVALID"),
    ("made for another method", {"method": "GET"}, "SIGNATURE_INVALID"),
    ("made for another address", {"url": URL + "/v1/other"}, "SIGNATURE_INVALID"),
    ("made for another host", {"url": "http://elsewhere.example/v1/tokens"}, "SIGNATURE_INVALID"),
    ("made for another port", {"url": "http://127.0.0.1:9999/v1/tokens"}, "SIGNATURE_INVALID"),
    ("no nonce", {"nonce": None}, "SIGNATURE_INVALID"),
    ("a short nonce", {"nonce": "abc"}, "SIGNATURE_INVALID"),
    ("a strange nonce", {"nonce": "abc def ghi jkl mno"}, "SIGNATURE_INVALID"),
    ("too old", {"now": START - 61_000}, "SIGNATURE_INVALID"),
    ("too early", {"now": START + 61_000}, "SIGNATURE_INVALID"),
    ("expired", {"expires": START // 1000 - 1}, "SIGNATURE_INVALID"),
    ("another body", {"body": b'{"subject": "participant:fresh-market"}'}, "SIGNATURE_INVALID"),
    ("another key's id", {"key_id": make_signer(FRESH, "govern").key_id}, "SIGNATURE_INVALID"),
    ("a key nobody has", {"key_id": "0" * 16}, "UNKNOWN_KEY"),
    ("an id that is none", {"key_id": "../../etc/passwd"}, "UNKNOWN_KEY"),
    ("another's subject", {"subject": f"participant:{PETROL}"}, "UNKNOWN_KEY"),
    ("a subject that is not there", {"subject": "participant:not-admitted"}, "UNKNOWN_KEY"),
    ("a member without a key", {"subject": f"member:{BORIS}"}, "UNKNOWN_KEY"),
    ("a member that is not there", {"subject": f"member:{STRANGER}"}, "UNKNOWN_KEY"),
    ("a member with another key", {"subject": f"member:{CLARA}"}, "UNKNOWN_KEY"),
]


@pytest.mark.parametrize(("how", "code"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
async def test_a_request_signed_otherwise_gets_no_token(ask, how, code):
    answer = await ask(make_signer(FRESH, "transact"), **how)
    assert (answer.status_code, code_of(answer)) == (401, code)


async def test_a_request_in_order_gets_one_all_the_same(ask):
    for how in ({"now": START - 59_000}, {"now": START + 59_000}, {"include_alg": False}, {"expires": START // 1000 + 9}):
        assert (await ask(make_signer(FRESH, "transact"), **how)).status_code == 200


#   headers put in the place of the signed ones
SPOILED = [
    {"signature": ""},
    {"signature": "commonpoint=:AAAA:"},
    {"signature": "commonpoint=:" + "A" * 86 + "==:"},
    {"signature": "x" * 100_000},
    {"signature-input": "commonpoint=()"},
    {"signature-input": 'commonpoint=("@method")'},
    {"signature-input": "commonpoint=1;created=99999999999999999999"},
    {"signature-input": "((((((((((((((((" * 60},
    {"signature-input": 'commonpoint=("@method" "@target-uri" "content-digest");created=1;keyid=5;nonce=?1;tag=x'},
    {"content-digest": "sha-256=:AAAA:"},
    {"content-digest": "md5=:AAAA:"},
    {"content-digest": ""},
    {"host": "elsewhere.example"},
    {"host": "[::1"},
    {"host": ""},
]


@pytest.mark.parametrize("headers", SPOILED, ids=range(len(SPOILED)))
async def test_spoiled_headers_get_no_token(ask, headers):
    answer = await ask(make_signer(FRESH, "transact"), headers=headers)
    assert (answer.status_code, code_of(answer)) == (401, "SIGNATURE_INVALID")


#   a body that is no subject
BODIES = [b"", b"{}", b"null", b"[]", b'{"subject":1}', b'{"subject":"auditor"}', b'{"subject":"operator"}']
BODIES += [b'{"subject":"participant:fresh-market","more":1}', b"[" * 3_000, b'{"subject":"participant:\xff"}', b"\x00"]
BODIES += [b'{"subject":"member:anna"}', b'{"subject":"\\ud800"}', b'{"subject":' + b"9" * 4_000 + b"}"]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_a_body_that_names_no_subject_is_malformed(ask, body):
    answer = await ask(make_signer(FRESH, "transact"), body=body)
    assert (answer.status_code, code_of(answer)) == (400, "MALFORMED")


async def test_a_large_body_is_not_read(ask):
    answer = await ask(make_signer(FRESH, "transact"), body=b" " * 5_000)
    assert (answer.status_code, code_of(answer)) == (413, "TOO_LARGE")


async def test_a_captured_request_is_good_once(ask):
    assert (await ask(make_signer(FRESH, "transact"), nonce=make_nonce(7))).status_code == 200
    again = await ask(make_signer(FRESH, "transact"), nonce=make_nonce(7))
    assert (again.status_code, code_of(again)) == (409, "NONCE_USED")
    assert (await ask(make_signer(FRESH, "till"), nonce=make_nonce(7))).status_code == 200


async def test_a_bad_signature_spends_no_nonce(ask):
    await ask(make_signer(FRESH, "transact"), nonce=make_nonce(8), key_id=make_signer(FRESH, "govern").key_id)
    assert (await ask(make_signer(FRESH, "govern"), nonce=make_nonce(8))).status_code == 200


async def test_a_revoked_key_gets_no_token_and_takes_its_tokens_with_it(desk, ask):
    till = make_signer(FRESH, "till")
    token = (await ask(till)).json()["token"]
    asks = {"authorization": f"Bearer {token}"}
    async with desk.client() as client:
        assert (await client.get("/v1/participants", headers=asks)).status_code == 200
        desk.must(FRESH, RevokeKey(key=till.key_id))
        assert code_of(await client.get("/v1/participants", headers=asks)) == "TOKEN_INVALID"
    answer = await ask(till)
    assert (answer.status_code, code_of(answer)) == (401, "KEY_NOT_VALID")


async def test_a_new_key_gets_a_token_from_its_height_on(desk, ask):
    new = make_signer("a new till")
    assert code_of(await ask(new)) == "UNKNOWN_KEY"
    desk.must(FRESH, AddKey(public=public_of(new), purpose="till"))
    assert (await ask(new)).status_code == 200


async def test_a_members_replaced_key_is_worth_nothing(desk, ask):
    desk.trade()
    old, new = make_signer(ANNA), make_signer("anna's new phone")
    desk.must(FRESH, ReplaceMemberKey(key=desk.enrol(ANNA, new).key, member=ANNA))
    subject = f"member:{ANNA}"
    token = (await ask(old, subject=subject)).json()["token"]
    desk.clock.at = desk.core.get_record("member", ANNA).pending_at
    fresh = desk.tokens.issue(Role("member", ANNA), seconds=60, key=old.key_id)[0]
    async with desk.client() as client:
        for each in (token, fresh):
            asks = {"authorization": f"Bearer {each}"}
            assert code_of(await client.get(f"/v1/members/{ANNA}", headers=asks)) == "TOKEN_INVALID"
    assert code_of(await ask(old, subject=subject)) == "UNKNOWN_KEY"
    assert (await ask(new, subject=subject)).status_code == 200


async def test_two_authorizations_are_none(desk):
    async with desk.client() as client:
        lines = [("authorization", f"Bearer {desk.token('auditor')}")] * 2
        assert code_of(await client.get("/v1/positions", headers=lines)) == "TOKEN_INVALID"
        for spelled in ("Basic YTpi", "Bearer", "Bearer ", desk.token("auditor"), "Bearer a b"):
            answer = await client.get("/v1/positions", headers={"authorization": spelled})
            assert code_of(answer) == "TOKEN_INVALID"
        lower = {"authorization": f"bearer {desk.token('auditor')}"}
        assert (await client.get("/v1/positions", headers=lower)).status_code == 200


def test_nonces_are_remembered_as_long_as_they_could_be_used_again():
    window = NonceWindow()
    window.use("k", "n", now_seconds=1_000)
    for later in (1_000, 1_060, 1_120):
        with pytest.raises(Refused, match="NONCE_USED"):
            window.use("k", "n", now_seconds=later)
    window.use("k", "n", now_seconds=1_121)


def test_one_key_cannot_fill_the_window_for_others():
    window = NonceWindow()
    for number in range(NONCES_PER_KEY_MAX):
        window.use("greedy", str(number), now_seconds=0)
    with pytest.raises(Refused, match="BUSY"):
        window.use("greedy", "one more", now_seconds=0)
    window.use("modest", "0", now_seconds=0)
    window.use("greedy", "one more", now_seconds=121)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr("node.http_signatures.NONCES_MAX", 10)
    window = NonceWindow()
    for number in range(10):
        window.use(f"key {number}", "n", now_seconds=0)
    with pytest.raises(Refused, match="BUSY"):
        window.use("another", "n", now_seconds=0)
    for number in range(10):
        window.use(f"key {number}", "n", now_seconds=200)
    assert len(window._order) == 10
    assert len(window._known) == 10


#   Host header, the operator's addresses, the address the client must have signed (None: refused)
ADDRESSES = [
    ("127.0.0.1:8710", (), "http://127.0.0.1:8710/v1/tokens"),
    ("localhost", (), "http://localhost/v1/tokens"),
    ("[::1]:80", (), "http://[::1]:80/v1/tokens"),
    ("points.example", ("https://points.example",), "https://points.example/v1/tokens"),
    ("POINTS.example", ("https://points.example/",), "https://points.example/v1/tokens"),
    ("points.example:8443", ("https://points.example:8443",), "https://points.example:8443/v1/tokens"),
    ("points.example", (), None),
    ("points.example:1", ("https://points.example",), None),
    ("127.0.0.1.evil.example", (), None),
    ("evil.example#127.0.0.1", (), None),
    ("127.0.0.1@evil.example", (), None),
    ("", (), None),
    ("[", (), None),
]


@pytest.mark.parametrize(("host", "origins", "expected"), ADDRESSES)
def test_a_request_is_for_this_node_or_for_none(host, origins, expected):
    def compute():
        return compute_target_url(scheme="http", host=host, target="/v1/tokens", origins=origins)

    if expected is None:
        with pytest.raises(Refused, match="SIGNATURE_INVALID"):
            compute()
    else:
        assert compute() == expected


async def test_behind_a_proxy_the_operators_address_is_what_clients_sign(tmp_path):
    from tests.node.api.desk import Desk

    desk = Desk(tmp_path, origins=("https://points.example",))
    try:
        headers, body = sign_request(
            make_signer(FRESH, "transact"),
            chain=desk.core.chain,
            subject=f"participant:{FRESH}",
            now=desk.clock(),
            nonce=make_nonce(1),
            url="https://points.example/v1/tokens",
        )
        async with desk.client() as client:
            answer = await client.post(PATH, content=body, headers={**headers, "host": "points.example"})
            assert answer.status_code == 200
            assert msgspec.json.decode(answer.content).keys() == {"expires", "token"}
    finally:
        desk.close()
