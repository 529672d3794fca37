"""Every route asked by everybody, about what is theirs, somebody else's, and nobody's.

The table says who sees; everybody else hears the same 404, byte for byte, and who shows no token hears 401.
"""

from __future__ import annotations

import pytest

from node.api.app import list_routes
from tests.contracts.cast import ANNA, BORIS, CINEMA, CLARA, FRESH, OPERATOR, PETROL, PHARMACY, STRANGER
from tests.node.api.desk import code_of

ASKERS = {
    "fresh": f"participant:{FRESH}",
    "petrol": f"participant:{PETROL}",
    "pharmacy": f"participant:{PHARMACY}",
    "cinema": f"participant:{CINEMA}",
    "clearing": f"participant:{OPERATOR}",
    "nowhere": "participant:not-admitted",
    "anna": f"member:{ANNA}",
    "boris": f"member:{BORIS}",
    "clara": f"member:{CLARA}",
    "unborn": f"member:{STRANGER}",
    "auditor": "auditor",
    "follower": "follower",
    "operator": "operator",
}
EVERY_TOKEN = " ".join(ASKERS)
ANYBODY = EVERY_TOKEN + " nobody"
PARTICIPANTS = "fresh petrol pharmacy cinema clearing nowhere"

#   path ({name} stands for where that entry of the town's trade is), who sees it
TABLE = [
    ("/v1/chain", ANYBODY),
    ("/v1/parameters", ANYBODY),
    ("/v1/consistency?old=1&new=9", ANYBODY),
    ("/v1/policies", ANYBODY),
    ("/checkpoint", ANYBODY),
    ("/tile/0/000.p/9", ANYBODY),
    ("/tile/5/000.p/9", ""),
    ("/healthz", ANYBODY),
    ("/readyz", ANYBODY),
    ("/problems/NOT_FOUND", ANYBODY),
    ("/problems/NO_SUCH_CODE", ""),
    ("/v1/participants", EVERY_TOKEN),
    ("/v1/programs", EVERY_TOKEN),
    ("/v1/programs/leaf", EVERY_TOKEN),
    ("/v1/programs/none", ""),
    ("/v1/programs/No-Such-Form", ""),
    ("/v1/quote?program=leaf&series=leaf-1&target=mile&points=100", EVERY_TOKEN),
    # Anna: enrolled at fresh, with leaves and miles. Boris: at fresh. Clara: at petrol, with miles only.
    (f"/v1/members/{ANNA}", "fresh anna auditor"),
    (f"/v1/members/{BORIS}", "fresh boris auditor"),
    (f"/v1/members/{CLARA}", "petrol clara auditor"),
    (f"/v1/members/{STRANGER}", ""),
    ("/v1/members/anna", ""),
    (f"/v1/members/{ANNA}/balances", "fresh petrol anna auditor"),
    (f"/v1/members/{ANNA}/balances?program=leaf", "fresh anna auditor"),
    (f"/v1/members/{ANNA}/balances?program=mile", "fresh petrol anna auditor"),
    (f"/v1/members/{ANNA}/balances?program=drop", "fresh anna auditor"),
    (f"/v1/members/{ANNA}/balances?program=none", ""),
    (f"/v1/members/{BORIS}/balances", "fresh boris auditor"),
    (f"/v1/members/{CLARA}/balances", "petrol clara auditor"),
    (f"/v1/members/{STRANGER}/balances", ""),
    (f"/v1/members/{ANNA}/history", "fresh petrol anna auditor"),
    (f"/v1/members/{ANNA}/history?program=leaf", "fresh anna auditor"),
    (f"/v1/members/{ANNA}/history?program=mile&before=5", "fresh petrol anna auditor"),
    (f"/v1/members/{CLARA}/history", "petrol clara auditor"),
    (f"/v1/members/{STRANGER}/history", ""),
    ("/v1/orders/pump-7?sender=petrol-west", "petrol auditor"),
    ("/v1/orders/pump-7", "petrol"),
    ("/v1/orders/pump-7?sender=fresh-market", ""),
    ("/v1/orders/pump-8?sender=petrol-west", ""),
    ("/v1/entries/{grant}", "fresh petrol auditor"),
    ("/v1/entries/{enrol_anna}", "fresh anna auditor"),
    ("/v1/entries/{earn_home}", "fresh anna auditor"),
    ("/v1/entries/{earn_partner}", "fresh petrol anna auditor"),
    ("/v1/entries/{earn_clara}", "petrol clara auditor"),
    ("/v1/entries/{earn_anna_mile}", "fresh petrol anna auditor"),
    ("/v1/entries/{redeem_elsewhere}", "fresh petrol clearing anna auditor"),
    ("/v1/entries/{redeem_home}", "fresh boris auditor"),
    ("/v1/entries/{exchange}", "fresh petrol anna clara auditor"),
    ("/v1/entries/0", ""),
    ("/v1/entries/999999", ""),
    ("/v1/entries/-1", ""),
    ("/v1/entries/1e1", ""),
    ("/v1/receipts/{earn_home}", "fresh anna auditor"),
    ("/v1/receipts/{redeem_elsewhere}", "fresh petrol clearing anna auditor"),
    ("/v1/receipts/{exchange}", "fresh petrol anna clara auditor"),
    ("/v1/receipts/999999", ""),
    ("/v1/transactions/fresh-market/desk-1", "fresh auditor"),
    ("/v1/transactions/petrol-west/desk-2", "petrol auditor"),
    ("/v1/transactions/fresh-market/desk-2", ""),
    ("/v1/transactions/not-admitted/desk-1", ""),
    ("/v1/transactions/fresh-market/none-1/absence", "fresh auditor"),
    ("/v1/transactions/fresh-market/desk-1/absence", ""),
    ("/v1/positions", PARTICIPANTS + " auditor"),
    ("/v1/positions/bilateral", PARTICIPANTS + " auditor"),
    ("/v1/tallies", PARTICIPANTS + " auditor"),
    ("/v1/tallies?program=leaf", "fresh auditor"),
    ("/v1/tallies?program=none", ""),
    ("/v1/government", PARTICIPANTS + " auditor operator"),
    ("/v1/proposals", PARTICIPANTS + " auditor operator"),
    ("/v1/proposals?state=open", PARTICIPANTS + " auditor operator"),
    ("/v1/windows", PARTICIPANTS + " auditor operator"),
    ("/v1/exposures", PARTICIPANTS + " auditor operator"),
    # Nothing was proposed here and no window cut; where there is, `test_governance` and `test_windows` ask.
    ("/v1/proposals/fees-1", ""),
    ("/v1/windows/1", ""),
    ("/v1/windows/1/statement", ""),
    ("/v1/windows/0", ""),
    ("/v1/windows/first", ""),
    ("/v1/export/entries.csv", PARTICIPANTS + " auditor"),
    ("/v1/export/positions.csv", PARTICIPANTS + " auditor"),
    ("/v1/export/bilateral.csv", PARTICIPANTS + " auditor"),
    ("/v1/export/tallies.csv", PARTICIPANTS + " auditor"),
    ("/v1/export/tallies.csv?program=leaf", "fresh auditor"),
    ("/v1/export/tallies.csv?program=none", ""),
    ("/v1/events", PARTICIPANTS + " anna boris clara unborn auditor"),
    # This desk delivers nothing to anybody; who manages endpoints is in tests/node/webhooks.
    ("/v1/webhooks", ""),
    ("/v1/webhooks/wh_0000000000000000", ""),
    ("/tile/entries/000.p/9", "auditor follower"),
    ("/tile/entries/999", ""),
    ("/metrics", "operator"),
    ("/v1/simulation/blocks", ""),
    ("/nothing/here", ""),
]
# What is open to nobody is closed to those without a token too, and says so with 404, not with 401.
OPEN = ("/tile/5", "/problems/", "/v1/simulation", "/nothing")


@pytest.mark.parametrize(("path", "seen_by"), TABLE, ids=[row[0] for row in TABLE])
async def test_a_route_answers_those_it_concerns_and_nobody_else(traded, path, seen_by):
    desk, places = traded
    path = path.format(**places._asdict())
    bodies = set()
    async with desk.client(address="192.0.2.7") as client:
        for name, role in ASKERS.items():
            answer = await client.get(path, headers=desk.asks(role))
            if name in seen_by.split():
                assert answer.status_code == 200, (name, answer.text)
            elif path == "/v1/orders/pump-7" and name == "auditor":
                assert (answer.status_code, code_of(answer)) == (400, "BAD_REQUEST")
            else:
                assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND"), name
                bodies.add((answer.content, str(sorted(answer.headers.items()))))
        answer = await client.get(path)
        if "nobody" in seen_by.split():
            assert answer.status_code == 200
        elif path.startswith(OPEN):
            assert code_of(answer) == "NOT_FOUND"
        else:
            assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED")
            assert answer.headers["www-authenticate"] == "Bearer"
    assert len(bodies) <= 1, "two kinds of not found can be told apart"


def test_every_route_that_is_read_stands_in_the_table(traded):
    _, places = traded
    asked = {path.format(**places._asdict()).split("?")[0] for path, _ in TABLE}
    read = [route for route in list_routes() if "GET" in route.methods and route.path != "/docs"]
    assert len(read) >= 24
    assert [route.path for route in read if not any(route.path_regex.fullmatch(path) for path in asked)] == []


@pytest.mark.parametrize(
    "path", [row[0] for row in TABLE if "nobody" not in row[1] and not row[0].startswith(OPEN)]
)
async def test_a_token_that_is_none_opens_nothing(traded, path):
    desk, places = traded
    path = path.format(**places._asdict())
    good = desk.token("auditor")
    bad = [good[:-1] + ("A" if good[-1] != "A" else "B"), good + "A", "x", "." * 9, good.upper()]
    async with desk.client(address="192.0.2.7") as client:
        for token in bad:
            answer = await client.get(path, headers={"authorization": f"Bearer {token}"})
            assert (answer.status_code, code_of(answer)) == (401, "TOKEN_INVALID")


async def test_participants_see_their_own_rows_of_what_is_owed(traded):
    desk, _ = traded
    async with desk.client() as client:
        everything = (await client.get("/v1/positions/bilateral", headers=desk.asks("auditor"))).json()[
            "rows"
        ]
        assert {row["reason"] for row in everything} == {"commission", "earn", "exchange", "redeem"}
        for name in (FRESH, PETROL, OPERATOR, CINEMA):
            asks = desk.asks(f"participant:{name}")
            own = (await client.get("/v1/positions", headers=asks)).json()["rows"]
            assert [row["participant"] for row in own] == [name]
            rows = (await client.get("/v1/positions/bilateral", headers=asks)).json()["rows"]
            assert rows == [row for row in everything if name in (row["from"], row["to"])]
            net = sum(int(row["micros"]) * (1 if row["to"] == name else -1) for row in rows)
            assert own[0]["net_micros"] == str(net)
        tallies = (await client.get("/v1/tallies", headers=desk.asks(f"participant:{PETROL}"))).json()["rows"]
        assert {row["program"] for row in tallies} == {"mile"}


async def test_an_issuer_sees_only_its_own_programs_of_somebody_elses_member(traded):
    desk, places = traded
    asks = desk.asks(f"participant:{PETROL}")
    async with desk.client() as client:
        balances = (await client.get(f"/v1/members/{ANNA}/balances", headers=asks)).json()["balances"]
        assert [row["program"] for row in balances] == ["mile"]
        rows = (await client.get(f"/v1/members/{ANNA}/history", headers=asks)).json()["rows"]
        assert [row["index"] for row in rows] == [places.earn_anna_mile]


async def test_how_much_of_a_grant_is_used_is_between_the_two(traded):
    desk, _ = traded
    async with desk.client() as client:
        for role in ASKERS.values():
            program = (await client.get("/v1/programs/leaf", headers=desk.asks(role))).json()
            knows = role in ("auditor", f"participant:{FRESH}", f"participant:{PETROL}")
            assert {("used_total" in grant, "used_day" in grant) for grant in program["grants"]} == {
                (knows, knows)
            }


async def test_figures_are_for_the_machine_itself_and_not_for_who_comes_through_its_proxy(traded):
    desk, _ = traded
    async with desk.client() as client:
        assert (await client.get("/metrics")).status_code == 200
        for header in ("x-forwarded-for", "forwarded", "via", "x-real-ip"):
            assert code_of(await client.get("/metrics", headers={header: "127.0.0.1"})) == "UNAUTHENTICATED"
