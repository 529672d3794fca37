"""docs/how-to/merchant.md is true: its examples run against a real node and socket, its tables are whole."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import uvicorn

import merchant_sdk
from merchant_sdk import (
    Allowance,
    AsyncMerchant,
    Balance,
    Committed,
    CommonpointError,
    Held,
    HistoryEntry,
    Merchant,
    Position,
    Program,
    Quote,
    Receipt,
    RejectedByLedger,
    Resent,
    Wallet,
    WebhookEvent,
    errors,
    make_member_id,
)
from merchant_sdk.government import Government, Halt, Proposal, Trial, Voter, VotingRule
from merchant_sdk.programs import ProgramPolicy, Series
from merchant_sdk.settings import read_settings
from merchant_sdk.statement import Line, Statement
from merchant_sdk.webhooks import sign_delivery
from merchant_sdk.windows import (
    Exposure,
    OpenWindow,
    Transfer,
    Window,
    WindowPosition,
    Windows,
    WindowSummary,
)
from node.keystore import make_folder, write_keys
from node.sandbox import OPERATOR, sandbox
from tests.merchant_sdk.genesis import get_system_time, seed_of
from tests.merchant_sdk.village import RealNode, Village


@pytest.fixture
def guide(repository) -> str:
    return (repository / "docs/how-to/merchant.md").read_text(encoding="utf-8")


@pytest.fixture
def examples(guide):
    return re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)


@pytest.fixture
def address(tmp_path):
    """A real node that serves a begun village on a port of this machine."""
    node = RealNode(tmp_path)
    asyncio.run(Village(node).begin())
    config = uvicorn.Config(node.transport.app, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", node.chain
        server.should_exit = True
        thread.join(30)
    node.core.stop()


@pytest.fixture
def environment(address, tmp_path, monkeypatch):
    """A shop's machine, set up as the guide says."""
    url, chain = address
    keys = tmp_path / "keys"
    make_folder(keys)
    write_keys(keys, {purpose: seed_of("fresh", purpose) for purpose in ("transact", "custody", "govern")})
    monkeypatch.chdir(tmp_path)
    for name, value in {"URL": url, "CHAIN": chain, "PARTICIPANT": "fresh", "KEY": str(keys)}.items():
        monkeypatch.setenv(f"COMMONPOINT_{name}", value)


def test_the_examples_run_as_they_stand_there(environment, examples, capsys, tmp_path):  # noqa: ARG001
    known: dict = {"__name__": "guide"}
    for example in examples:
        exec(compile(example, "docs/how-to/merchant.md", "exec"), known)
    printed = iter(capsys.readouterr().out.splitlines())
    assert next(printed) == "45 points, balance 45"
    kinds = ["return_order", "refund", "capture", "hold", "redeem", "earn", "enrol"]
    assert [next(printed).split()[1:] for _ in kinds] == [[kind, "OK"] for kind in kinds]
    assert next(printed) == "True True 40 fresh fresh"
    assert next(printed).startswith("not paid: No points moved. Ask for fewer points")
    assert next(printed) == "[20]"
    assert list(printed) == ["unknown", "20 20", "enacted 1 []"]
    check_what_the_examples_define(known)
    take_many_at_once(known)
    settle_a_week(known)
    assert capsys.readouterr().out == "no-such-member MEMBER_UNKNOWN\n"
    told = known["check"](tmp_path / "receipt.json", tmp_path / "policy.txt")
    assert told.startswith(f"entry {known['done'].index}: Earn(amount=45600000")
    assert told.endswith("was OK")


def check_what_the_examples_define(known):
    with Merchant(outbox="outbox.db", program="fresh") as shop:
        assert known["settle_what_is_open"](shop) == []
        assert known["exchange_all"](shop, known["wallet"], 11) == 5
        known["set_up"](shop)
        shop.set_policy()
        member = shop.enrol()
        shop.earn(member, "100", "A-1")
        for order, points, left in (("H-10", 3, 3), ("H-11", None, 1)):
            shop.hold(member, 5, order, without_code=True)
            assert known["check_out"](shop, order, points) == left
        assert known["work_a_day_on_the_road"](shop, member) == [
            "K-4: ALLOWANCE_USED_UP, 5 left",
            "K-1: OK, 12 points",
            "settled 15",
        ]
        receive_with_flask(shop, known)
        join_and_pay_in_part(shop, known)
        known["open_program"](shop, "petrol", get_system_time() + 86_400_000)
        assert shop.earn(member, "9", "L-1", program="leaf").points == 9
        assert shop.program("leaf").par_redeem == 10_000
        receipt = shop.receipt(known["done"].index)
        Path("receipt.json").write_bytes(receipt.data)
        Path("policy.txt").write_text(shop.policy())


def settle_a_week(known):
    """A merchant finds its books in the statement or disputes what differs; both sides attest payments."""
    with sandbox() as alliance:
        anna = alliance.wallet()
        shops = {name: alliance.merchant(name, program=name) for name in ("fresh", "petrol", OPERATOR)}
        shops["fresh"].enrol(anna)
        shops["fresh"].earn(anna.member, "500", "A-1")
        taken = shops["petrol"].redeem(anna.points_code("fresh", 300, "petrol"), 300, "P-1")
        books = {(leg.source, leg.destination, leg.reason): leg.micros for leg in taken.legs}
        number = alliance.cut_window()
        wrong = {key: micros + 1 for key, micros in books.items()}
        assert len(known["sign_week"](shops["petrol"], number, wrong)) == 1
        assert shops["petrol"].window(number).disputed == ("petrol",)
        assert [known["sign_week"](shop, number, books) for shop in shops.values()] == [[], [], []]
        paid = {place: f"bank-{place}" for place in range(9)}
        states = [known["attest_what_was_paid"](shop, number, paid) for shop in shops.values()]
        assert states == ["confirmed", "confirmed", "settled"]


def take_many_at_once(known):
    """Orders from tasks share a transaction, and an import says of each row what came of it."""

    async def take_in(orders):
        async with AsyncMerchant(program="fresh") as shop:
            return await known["take_in"](shop, orders)

    now = get_system_time()
    with Merchant() as shop:
        member = shop.enrol()
        results = asyncio.run(take_in([(f"T-{number}", member, "3.00", now) for number in range(20)]))
        assert [result.points for result in results] == [3] * 20
        assert len({result.transaction_id for result in results}) == 1
        rows = [(f"N-{number}", member, 5_000_000, now) for number in range(1_500)]
        assert known["import_day"](shop, [*rows, ("no-such-member", make_member_id(), 1, now)]) == 1_500
        assert shop.balance(member, "fresh").points == 20 * 3 + 1_500 * 5


def join_and_pay_in_part(shop, known):
    """A phone's key comes to the ledger by the shop's server, and its code pays part of an order."""
    member, seed = make_member_id(), bytes(range(32))
    sent = known["make_key"](shop.chain, member, seed)
    assert [known["join"](shop, member, sent) for _ in range(2)] == [member, member]
    now = get_system_time()
    shop.earn(member, "500", "A-5", occurred_at=now)
    code = Wallet(shop.chain, member=member, seed=seed).points_code("fresh", 400, "fresh")
    discount = known["compute_discount"](shop, code, 400)
    assert discount == Decimal(400) * shop.program("fresh").par_redeem / 1_000_000
    order = {"number": "A-6", "time": now, "total": Decimal("30.00"), "discount": discount, "points": 400}
    for _ in range(2):
        assert known["pay_in_part"](shop, member, code, order) == Decimal("30.00") - discount
    assert shop.balance(member).points == 100 + int(Decimal("30.00") - discount)


def receive_with_flask(shop, known):
    """The shop of the guide takes a delivery made of a real entry and its receipt, once."""
    receipt = shop.receipt(known["done"].index)
    told = msgspec.json.decode(receipt.data)
    told = {
        "entry": msgspec.Raw(told["entry"].encode()),
        "height": receipt.height,
        "index": receipt.index,
        "receipt": msgspec.Raw(receipt.data),
        "time": receipt.time,
    }
    body, secret, handled = msgspec.json.encode(told), "whsec_c2VjcmV0", []

    def handle(number, event):
        handled.append((number, event.points))

    client = known["make_app"](secret, shop.policy(), "fresh", handle).test_client()
    stranger = known["make_app"](secret, shop.policy(), "petrol", handle).test_client()
    headers = sign_delivery(secret, body, delivery_id="wh_2")
    assert stranger.post("/hooks/points", data=body, headers=headers).status_code == 204
    assert handled == []
    for status in (204, 204):
        headers = sign_delivery(secret, body, delivery_id="wh_1")
        assert client.post("/hooks/points", data=body, headers=headers).status_code == status
    assert handled == [("A-1029", 45)]
    assert client.post("/hooks/points", data=body).status_code == 401


def test_every_error_has_its_place_in_the_guide(guide):
    told = guide.partition("## When something goes wrong")[2].partition("\n## ")[0]
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    names = {kind.__name__ for kind in classes if issubclass(kind, CommonpointError)} - {"CommonpointError"}
    assert {name for name in names if f"`{name}`" not in told} == set()
    assert RejectedByLedger.__name__ in names


def test_every_verb_and_every_public_error_is_told(guide):
    verbs = [name for name in dir(Merchant) if not name.startswith("_")]
    assert [name for name in verbs if not re.search(rf"`[^`]*\b{name}\b", guide)] == []
    kinds = [name for name in merchant_sdk.__all__ if name.endswith("Error") or name == "StepUpRequired"]
    assert [name for name in kinds if f"`{name}`" not in guide] == []


def test_every_field_of_what_is_handed_out_is_told(guide):
    handed = (
        Committed,
        Held,
        Allowance,
        Quote,
        Balance,
        Position,
        Program,
        ProgramPolicy,
        Series,
        HistoryEntry,
        Receipt,
        Resent,
        WebhookEvent,
        Government,
        Halt,
        Proposal,
        Trial,
        Voter,
        VotingRule,
        Line,
        Statement,
        Exposure,
        OpenWindow,
        Transfer,
        Window,
        WindowPosition,
        Windows,
        WindowSummary,
    )
    named = set(
        re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`|^```.*?^```", guide, re.DOTALL | re.MULTILINE)))
    )
    hidden = {"fetch_receipt", "capture_with", "release_with"}
    for kind in handed:
        fields = {name for name in dir(kind) if not name.startswith("_")} - hidden
        assert sorted(fields - named) == [], kind.__name__


def test_every_variable_of_the_environment_is_told(guide):
    source = Path(read_settings.__code__.co_filename).read_text(encoding="utf-8")
    for name in set(re.findall(r'"(COMMONPOINT_[A-Z_]+)"', source)):
        assert name in guide or name.replace("COMMONPOINT_KEY", "…") in guide, name
