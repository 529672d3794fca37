"""What the routes answer: as it is described, as the log has it, and at one height."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pytest
from msgspec.structs import replace

from contracts.messages import AnnouncePar, Enrol, Grant, OpenSeries, SetParameter
from contracts.mechanics.parameters import PARAMETERS
from ledger.codec import from_base64url
from ledger.genesis import read_genesis
from ledger.log.merkle import verify_consistency
from ledger.log.note import decode_vkey, open_note, parse_checkpoint
from ledger.log.policy import parse_policy
from ledger.outcome import Outcome
from ledger.receipt import read_receipt, verify_receipt
from node.api import answers
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CLARA,
    DAY_MILLIS,
    FRESH,
    OPERATOR,
    PARTICIPANTS,
    PETROL,
    START,
    make_signer,
    member_id,
)
from tests.node.api.desk import code_of

#   path, the model it is described by
DESCRIBED = [
    ("/v1/chain", answers.Chain),
    ("/v1/parameters", answers.Parameters),
    ("/v1/participants", answers.Participants),
    ("/v1/programs", answers.Programs),
    ("/v1/programs/leaf", answers.Program),
    ("/v1/quote?program=leaf&series=leaf-1&target=mile&points=160", answers.Quote),
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
            assert bytes(msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])["transaction"]) == leaf
        for other in (first, after):
            (own,) = desk.core.read_leaves(other.index, other.index + 1)
            answer = await client.get(f"/v1/entries/{other.index + 1}", headers=asks)
            assert bytes(msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])["transaction"]) == own
        for no_entry in (large.index, large.index + 600):
            assert code_of(await client.get(f"/v1/entries/{no_entry}", headers=asks)) == "NOT_FOUND"


async def test_what_a_block_does_by_itself_is_an_entry_without_a_transaction(desk):
    desk.trade()
    desk.clock.at += 500 * DAY_MILLIS
    desk.must(FRESH, Enrol(member=member_id(77)), not_after=desk.clock() + 1_000)
    asks = desk.asks(f"participant:{FRESH}")
    async with desk.client() as client:
        rows = (await client.get(f"/v1/members/{ANNA}/history?program=leaf&limit=1", headers=asks)).json()["rows"]
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
    assert sum(lot[2] for lot in row["lots"]) == 740


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


async def test_participants_are_shown_with_their_keys_and_programs(traded):
    desk, _ = traded
    async with desk.client() as client:
        rows = (await client.get("/v1/participants", headers=desk.asks("follower"))).json()["participants"]
    fresh = next(row for row in rows if row["participant"] == FRESH)
    assert fresh["programs"] == ["leaf"]
    assert {key["key"] for key in fresh["keys"]} == {
        make_signer(FRESH, purpose).key_id for purpose in ("govern", "custody", "transact", "till")
    }
    assert all("valid_to" not in key for key in fresh["keys"])


async def test_parameters_are_shown_as_they_are_and_as_they_will_be(desk):
    height = desk.core.head.height + 9
    desk.must(OPERATOR, SetParameter(effective_height=height, parameter="commission_basis_points", value=250))
    async with desk.client() as client:
        rows = (await client.get("/v1/parameters")).json()["parameters"]
    assert [row["name"] for row in rows] == sorted(PARAMETERS)
    commission = next(row for row in rows if row["name"] == "commission_basis_points")
    assert commission["changes"] == [{"height": height, "value": 250}]
    assert commission["value"] == PARAMETERS["commission_basis_points"].default
    assert all(row["changes"] == [] for row in rows if row["name"] != "commission_basis_points")


async def test_a_revoked_grant_is_no_longer_shown(desk):
    desk.trade()
    async with desk.client() as client:
        before = (await client.get("/v1/programs/mile", headers=desk.asks("auditor"))).json()["grants"]
        generous = Grant(budget_day=5, budget_total=5, expires=START + 9, kind="redeem", program="mile", to=FRESH)
        desk.must(PETROL, generous)
        after = (await client.get("/v1/programs/mile", headers=desk.asks("auditor"))).json()["grants"]
    assert [grant["kind"] for grant in before] == ["exchange_in"]
    assert {"kind": "redeem", "to": FRESH, "budget_day": 5, "budget_total": 5} == {
        name: next(grant for grant in after if grant["kind"] == "redeem")[name]
        for name in ("kind", "to", "budget_day", "budget_total")
    }


async def test_a_quote_is_what_the_exchange_does(desk):
    desk.trade()
    path = "/v1/quote?program=leaf&series=leaf-1&target=mile&points=160"
    async with desk.client() as client:
        quote = (await client.get(path, headers=desk.asks(f"member:{ANNA}"))).json()
    message = desk.make_exchange(make_signer(ANNA))
    assert message.rate_height == quote["rate_height"]
    # The same exchange as the town's own, under another name: with the quote's figures it goes through alike.
    entry = desk.core.find_order(FRESH, "swap-1")[0]
    outcome = msgspec.json.decode(desk.core.read_leaves(entry, entry + 1)[0])["outcome"]
    assert outcome["points"] == quote["points_taken"]
    assert sum(lot[2] for lot in outcome["received"]) == quote["points_received"] == quote["least"]
    assert "valid_to_height" not in quote


async def test_a_quote_names_the_height_at_which_it_dies(desk):
    desk.trade()
    path = "/v1/quote?program=leaf&series=leaf-1&target=mile&points=160"
    asks = desk.asks("auditor")
    ahead = desk.core.head.height + 40
    new = OpenSeries(
        effective_height=ahead + 5, expiry_months=3, par_accrue=20_000, par_redeem=15_000, program="mile", series="m2"
    )
    desk.must(PETROL, new)
    async with desk.client() as client:
        assert (await client.get(path, headers=asks)).json()["valid_to_height"] == ahead + 5
        par = AnnouncePar(
            effective_height=ahead, par_accrue=10_600, par_redeem=10_100, program="leaf", series="leaf-1"
        )
        desk.must(FRESH, par)
        assert (await client.get(path, headers=asks)).json()["valid_to_height"] == ahead


#   what is asked, the code of the rule that would reject it, in the order of the rule's checks
UNQUOTABLE = [
    ({"program": "none", "target": "none", "series": "none", "points": 1}, "PROGRAM_UNKNOWN"),
    ({"program": "leaf", "target": "none", "series": "none", "points": 1}, "PROGRAM_UNKNOWN"),
    ({"program": "leaf", "target": "leaf", "series": "none", "points": 1}, "PROGRAMS_MUST_DIFFER"),
    ({"program": "leaf", "target": "empty", "series": "none", "points": 1}, "SERIES_UNKNOWN"),
    ({"program": "leaf", "target": "empty", "series": "leaf-1", "points": 1}, "NO_OPEN_SERIES"),
    ({"program": "leaf", "target": "mile", "series": "leaf-1", "points": 1}, "EXCHANGE_TOO_SMALL"),
]


async def test_what_the_rates_would_reject_is_not_quoted(desk):
    from contracts.messages import OpenProgram

    desk.trade()
    desk.must(PETROL, OpenProgram(name="Empty", program="empty", spend_per_point=1_000_000))
    async with desk.client() as client:
        for params, code in UNQUOTABLE:
            answer = await client.get("/v1/quote", params=params, headers=desk.asks("auditor"))
            assert (answer.status_code, code_of(answer)) == (400, code)


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
        assert boris["custodian_consent"] and boris["till_consent"]


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


async def test_a_read_waits_for_the_height_it_needs(desk):
    height = desk.core.head.height + 1
    async with desk.client() as client:
        asked = asyncio.create_task(client.get(f"/v1/chain?min_height={height}"))
        await asyncio.sleep(0.1)
        assert not asked.done()
        desk.core.submit(desk.sign(FRESH, Enrol(member=ANNA)))
        answer = await asked
        assert answer.json()["height"] == height
        late = await client.get(f"/v1/chain?min_height={height + 1}")
        assert (late.status_code, code_of(late)) == (503, "NOT_YET")
        assert late.headers["retry-after"] == "1"


async def test_a_crowd_of_waiting_reads_holds_up_nobody(desk):
    async with desk.client() as client:
        waiting = [asyncio.create_task(client.get("/v1/chain?min_height=99")) for _ in range(300)]
        await asyncio.sleep(0)
        answer = await client.get("/v1/chain")
        assert answer.status_code == 200
        assert {code_of(late) for late in await asyncio.gather(*waiting)} == {"NOT_YET"}


async def test_no_answer_is_of_two_heights(desk):
    desk.trade()
    stop = asyncio.Event()

    async def trade_on():
        number = 1_000
        while not stop.is_set():
            number += 1
            earn = replace(desk.town.earn(number, points=7, sender=PETROL), reference=f"on-{number}")
            await asyncio.wrap_future(desk.core.submit(desk.sign(PETROL, earn)))

    trading = asyncio.create_task(trade_on())
    seen = set()
    async with desk.client() as client:
        for _ in range(150):
            found = (await client.get("/v1/positions", headers=desk.asks("auditor"))).json()
            assert sum(int(row["net_micros"]) for row in found["rows"]) == 0
            seen.add((found["height"], str(found["rows"])))
    stop.set()
    await trading
    assert len({height for height, _ in seen}) == len(seen) > 3, "one height with two different answers"


async def test_the_page_describes_every_route_and_nothing_else(traded):
    desk, _ = traded
    async with desk.client() as client:
        told = (await client.get("/openapi.json")).json()
    from node.api.app import list_routes

    routes = {(route.path, method.lower()) for route in list_routes() for method in route.methods}
    routes -= {("/docs", "get"), ("/v1/simulation/blocks", "post")}
    shown = {(path.replace("{place}", "{place:path}"), method) for path, each in told["paths"].items() for method in each}
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
