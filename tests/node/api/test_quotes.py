"""Quotes: what the exchange then does, until when, and what is not quoted."""

from __future__ import annotations

import msgspec

from contracts.messages import AnnouncePar, OpenProgram, OpenSeries
from tests.contracts.cast import ANNA, FRESH, PETROL, make_signer
from tests.node.api.desk import code_of


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
    assert sum(lot[3] for lot in outcome["received"]) == quote["points_received"] == quote["least"]
    assert "valid_to_height" not in quote


async def test_a_quote_names_the_height_at_which_it_dies(desk):
    desk.trade()
    path = "/v1/quote?program=leaf&series=leaf-1&target=mile&points=160"
    asks = desk.asks("auditor")
    ahead = desk.core.head.height + 40
    new = OpenSeries(
        effective_height=ahead + 5,
        expiry_months=3,
        par_accrue=20_000,
        par_redeem=15_000,
        program="mile",
        series="m2",
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
    desk.trade()
    desk.must(PETROL, OpenProgram(name="Empty", program="empty", spend_per_point=1_000_000))
    async with desk.client() as client:
        for params, code in UNQUOTABLE:
            answer = await client.get("/v1/quote", params=params, headers=desk.asks("auditor"))
            assert (answer.status_code, code_of(answer)) == (400, code)
