"""How one gets a token with a ledger key: everything in order, and everything that may be out of it."""

from __future__ import annotations

import msgspec
import pytest

from contracts.messages import AddKey, ReplaceMemberKey, RevokeKey
from node.access import Role
from tests.contracts.cast import ANNA, BORIS, CLARA, FRESH, PETROL, START, STRANGER, make_signer, public_of
from tests.node.api.desk import URL, code_of
from tests.node.api.letters_of_request import COVERED, PATH, make_nonce, sign_request


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
            return await client.post(
                path, content=made if body is None else body, headers={**signed, **(headers or {})}
            )

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
    for how in (
        {"now": START - 59_000},
        {"now": START + 59_000},
        {"include_alg": False},
        {"expires": START // 1000 + 9},
    ):
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
    {"signature-input": 'commonpoint=("@method" "@target-uri");created=1;keyid=5;nonce=?1;tag=x'},
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
BODIES += [
    b'{"subject":"participant:fresh-market","more":1}',
    b"[" * 3_000,
    b'{"subject":"participant:\xff"}',
    b"\x00",
]
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
