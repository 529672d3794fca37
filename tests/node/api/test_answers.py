"""What the routes answer: as it is described, as the log has it, and at one height."""

from __future__ import annotations

import re

import msgspec
import pytest

from contracts.messages import Enrol
from ledger.codec import from_base64url
from ledger.genesis import read_genesis
from ledger.log.merkle import verify_consistency
from ledger.log.note import decode_vkey, open_note, parse_checkpoint
from ledger.log.policy import parse_policy
from ledger.outcome import Outcome
from ledger.receipt import read_receipt, verify_receipt
from node.api import alliance_answers, answers
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CLARA,
    DAY_MILLIS,
    FRESH,
    PARTICIPANTS,
    PETROL,
    START,
    make_signer,
    member_id,
)
from tests.node.api.desk import code_of

#   path, the model it is described by
DESCRIBED = [
    ("/v1/chain", alliance_answers.Chain),
    ("/v1/parameters", alliance_answers.Parameters),
    ("/v1/participants", alliance_answers.Participants),
    ("/v1/programs", alliance_answers.Programs),
    ("/v1/programs/leaf", alliance_answers.Program),
    ("/v1/quote?program=leaf&series=leaf-1&target=mile&points=160", alliance_answers.Quote),
    (f"/v1/members/{ANNA}", answers.Member),
    (f"/v1/members/{BORIS}", answers.Member),
    (f"/v1/members/{ANNA}/balances", answers.Balances),
    (f"/v1/members/{ANNA}/history?limit=2", answers.History),
    ("/v1/orders/pump-7?sender=petrol-west", answers.Order),
    ("/v1/entries/{exchange}", answers.EntryAnswer),
    ("/v1/receipts/{exchange}", answers.ReceiptAnswer),
    ("/v1/transactions/fresh-market/desk-1?trusted_size=3", answers.Taken),
    ("/v1/positions", answers.Positions),
    ("/v1/positions/bilateral", answers.Bilateral),
    ("/v1/tallies", answers.Tallies),
    ("/v1/consistency?old=10&new=20", answers.Consistency),
    ("/problems/BUSY", answers.CodeAnswer),
    ("/v1/entries/0", answers.ProblemAnswer),
]


@pytest.mark.parametrize(("path", "model"), DESCRIBED, ids=[row[0] for row in DESCRIBED])
async def test_an_answer_is_what_the_page_describes(traded, path, model):
    desk, places = traded
    async with desk.client() as client:
        answer = await client.get(path.format(**places._asdict()), headers=desk.asks("auditor"))
    found = model.model_validate_json(answer.content, strict=True)
    assert found.model_dump(by_alias=True, exclude_unset=True) == answer.json()
    # Canonical enough to be compared: sorted keys and no null, as everywhere else.
    assert msgspec.json.encode(answer.json(), order="sorted") == answer.content
    assert b"null" not in answer.content
    assert path.startswith("/problems") or answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_chain_can_be_pinned_from_its_answer_alone(traded):
    desk, _ = traded
    async with desk.client() as client:
        told = (await client.get("/v1/chain")).json()
        checkpoint = (await client.get("/checkpoint")).text
    origin = read_genesis([leaf.encode() for leaf in told["genesis"]])
    assert origin.chain == told["chain"] == desk.core.chain
    policy = parse_policy(told["policy"].encode())
    assert policy.logs[0].key == decode_vkey(told["vkey"])
    opened = parse_checkpoint(open_note(checkpoint, [decode_vkey(told["vkey"])]).body)
    assert (opened.origin, opened.size) == (told["chain"], told["size"])
    assert (told["time"], told["clock"], told["utc_offset_minutes"]) == (START, "system", 480)


async def test_receipts_verify_offline(traded):
    desk, places = traded
    policy = parse_policy(desk.core.policy.encode())
    async with desk.client() as client:
        for name, index in places._asdict().items():
            answer = await client.get(f"/v1/receipts/{index}", headers=desk.asks("auditor"))
            receipt = read_receipt(answer.content)
            found = verify_receipt(receipt, policy)
            assert found.leaf_index == index, name
            assert msgspec.json.decode(found.outcome, type=Outcome).code == "OK"
            assert found.transaction is not None


async def test_an_entry_shows_the_leaf_its_block_and_its_transaction(traded):
    desk, places = traded
    async with desk.client() as client:
        answer = await client.get(f"/v1/entries/{places.exchange}", headers=desk.asks("auditor"))
    shape = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])
    entry, transaction, block = desk.core.read_leaves(places.exchange, places.exchange + 1), None, None
    assert bytes(shape["entry"]) == entry[0]
    (transaction,) = desk.core.read_leaves(places.exchange - 1, places.exchange)
    assert bytes(shape["transaction"]) == transaction
    block = desk.core.find_block(places.exchange)
    assert (answer.json()["height"], answer.json()["time"]) == block[1:]
    assert answer.json()["index"] == places.exchange


async def test_the_transaction_of_every_entry_of_a_large_one_is_found(desk):
    members = [member_id(number) for number in range(1, 601)]
    first = desk.must(FRESH, *[Enrol(member=member) for member in members[:1]])
    large = desk.must(FRESH, *[Enrol(member=member) for member in members[1:]])
    after = desk.must(FRESH, Enrol(member=member_id(9_999)))
    (leaf,) = desk.core.read_leaves(large.index, large.index + 1)
    asks = desk.asks("auditor")
    async with desk.client() as client:
        for number in (1, 2, 3, 255, 256, 257, 300, 512, 598, 599):
            answer = await client.get(f"/v1/entries/{large.index + number}", headers=asks)
            assert (
                bytes(msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])["transaction"]) == leaf
            )
        for other in (first, after):
            (own,) = desk.core.read_leaves(other.index, other.index + 1)
            answer = await client.get(f"/v1/entries/{other.index + 1}", headers=asks)
            assert (
                bytes(msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])["transaction"]) == own
            )
        for no_entry in (large.index, large.index + 600):
            assert code_of(await client.get(f"/v1/entries/{no_entry}", headers=asks)) == "NOT_FOUND"


async def test_what_a_block_does_by_itself_is_an_entry_without_a_transaction(desk):
    desk.trade()
    desk.clock.at += 500 * DAY_MILLIS
    desk.must(FRESH, Enrol(member=member_id(77)), not_after=desk.clock() + 1_000)
    asks = desk.asks(f"participant:{FRESH}")
    async with desk.client() as client:
        rows = (await client.get(f"/v1/members/{ANNA}/history?program=leaf&limit=1", headers=asks)).json()[
            "rows"
        ]
        assert rows[0]["entry"]["@type"] == "system"
        assert rows[0]["time"] == desk.clock()
        index = rows[0]["index"]
        entry = (await client.get(f"/v1/entries/{index}", headers=asks)).json()
        assert entry == rows[0]
        for role in (f"participant:{FRESH}", f"member:{ANNA}", "auditor"):
            answer = await client.get(f"/v1/receipts/{index}", headers=desk.asks(role))
            found = verify_receipt(read_receipt(answer.content), parse_policy(desk.core.policy.encode()))
            assert found.transaction is None
        hidden = await client.get(f"/v1/entries/{index}", headers=desk.asks(f"member:{CLARA}"))
        assert code_of(hidden) == "NOT_FOUND"
        balances = (await client.get(f"/v1/members/{ANNA}/balances", headers=asks)).json()["balances"]
        assert balances == []


async def test_points_past_their_day_are_shown_and_not_available(desk):
    desk.trade()
    # Nobody has cut a block since: the expiry entry is not in the log yet, and yet nothing can be spent.
    desk.clock.at += 500 * DAY_MILLIS
    async with desk.client() as client:
        answer = await client.get(f"/v1/members/{ANNA}/balances?program=leaf", headers=desk.asks("auditor"))
    (row,) = answer.json()["balances"]
    assert (row["points"], row["available"], row["held"]) == (740, 0, 0)
    assert sum(lot[3] for lot in row["lots"]) == 740


async def test_pages_of_a_history_make_up_the_whole(traded):
    desk, _ = traded
    async with desk.client() as client:
        for role, path in [
            ("auditor", f"/v1/members/{ANNA}/history"),
            (f"participant:{FRESH}", f"/v1/members/{ANNA}/history?program=leaf"),
            (f"participant:{PETROL}", f"/v1/members/{CLARA}/history"),
        ]:
            asks = desk.asks(role)
            whole = (await client.get(path, headers=asks)).json()
            assert "next" not in whole
            indexes = [row["index"] for row in whole["rows"]]
            assert indexes == sorted(indexes, reverse=True)
            for limit in (1, 2, 3):
                found, page = [], {}
                while True:
                    before = f"&before={page['next']}" if page else ""
                    url = f"{path}{'&' if '?' in path else '?'}limit={limit}{before}"
                    page = (await client.get(url, headers=asks)).json()
                    assert 0 < len(page["rows"]) <= limit
                    found += page["rows"]
                    if "next" not in page:
                        break
                assert found == whole["rows"]


async def test_positions_sum_to_zero_and_tallies_to_the_supply(traded):
    desk, _ = traded
    async with desk.client() as client:
        positions = (await client.get("/v1/positions", headers=desk.asks("auditor"))).json()
        tallies = (await client.get("/v1/tallies", headers=desk.asks("auditor"))).json()
    assert sum(int(row["net_micros"]) for row in positions["rows"]) == 0
    assert {row["participant"] for row in positions["rows"]} == set(PARTICIPANTS)
    assert positions["size"] == tallies["size"] == desk.core.head.size
    supply: dict[str, int] = {}
    for row in tallies["rows"]:
        comes = row["account"] in ("issued.home", "issued.partner", "exchanged.in")
        supply[row["program"]] = supply.get(row["program"], 0) + int(row["points"]) * (1 if comes else -1)
    assert supply == {program: desk.core.get_record("supply", program) for program in ("leaf", "mile")}


async def test_a_member_is_shown_with_the_key_in_force(desk):
    from contracts.messages import ReplaceMemberKey

    desk.trade()
    new = make_signer("anna's new phone")
    letter = desk.enrol(ANNA, new).key
    desk.must(FRESH, ReplaceMemberKey(key=letter, member=ANNA))
    path, asks = f"/v1/members/{ANNA}", desk.asks("auditor")
    async with desk.client() as client:
        before = (await client.get(path, headers=asks)).json()
        assert from_base64url(before["key"], size=32) == make_signer(ANNA).public
        assert before["pending"]["key"] == letter.public
        desk.clock.at = before["pending"]["at"]
        # By itself, and without a block: nobody could hold back the entry that brings it.
        after = (await client.get(path, headers=desk.asks("auditor"))).json()
        assert (after["key"], after["key_trusted_at"]) == (letter.public, desk.clock.at)
        assert "pending" not in after
        boris = (await client.get(f"/v1/members/{BORIS}", headers=desk.asks("auditor"))).json()
        assert "key" not in boris
        assert (boris["custodian_consent"], boris["till_consent"]) == (True, True)


async def test_consistency_is_proven_between_any_two_sizes_of_the_log(traded):
    desk, _ = traded
    leaves = desk.core.read_leaves(0, desk.core.head.size)
    from ledger.log.merkle import compute_leaf_hashes, compute_root

    hashes = compute_leaf_hashes(leaves)
    async with desk.client() as client:
        for old, new in [(1, 2), (3, 17), (10, 10), (1, len(leaves)), (32, len(leaves))]:
            answer = await client.get(f"/v1/consistency?old={old}&new={new}")
            verify_consistency(
                old=old,
                old_root=compute_root(hashes[:old]),
                new=new,
                new_root=compute_root(hashes[:new]),
                proof=[from_base64url(text, size=32) for text in answer.json()["proof"]],
            )
        for old, new in [(2, 1), (1, len(leaves) + 1), (0, 5), (2**53 - 1, 2**53 - 1)]:
            answer = await client.get(f"/v1/consistency?old={old}&new={new}")
            assert (answer.status_code, code_of(answer)) == (400, "BAD_SIZES")


async def test_the_page_describes_every_route_and_nothing_else(traded):
    desk, _ = traded
    async with desk.client() as client:
        told = (await client.get("/openapi.json")).json()
    from node.api.app import list_routes

    routes = {(route.path, method.lower()) for route in list_routes() for method in route.methods}
    routes -= {("/docs", "get"), ("/v1/simulation/blocks", "post")}
    shown = {
        (path.replace("{place}", "{place:path}"), method)
        for path, each in told["paths"].items()
        for method in each
    }
    assert shown == routes | {("/v1/transactions", "post")}
    for each in told["paths"].values():
        for operation in each.values():
            assert operation.get("description")
            assert "422" not in operation["responses"]
            assert operation["tags"]
    wanted = set(re.findall(r"#/components/schemas/(\w+)", str(told)))
    assert wanted <= told["components"]["schemas"].keys()
    assert "HTTPValidationError" not in told["components"]["schemas"]
    assert told["paths"]["/v1/positions"]["get"]["security"]
    assert "security" not in told["paths"]["/v1/chain"]["get"]
