"""The verbs a merchant knows, against the small node and against the real one."""

from __future__ import annotations

import pickle

import pytest
from msgspec.structs import replace

from contracts.messages import Earn, Enrol
from contracts.rulebook import RULEBOOKS, get_purposes
from merchant_sdk import (
    AtomicAborted,
    ConfigurationError,
    ConsentError,
    InsufficientPoints,
    InvalidRequest,
    Micros,
    NotFound,
    OccurredAtError,
    Receipt,
    ReferenceConflict,
    UnknownToLedger,
    Unverified,
    Wallet,
    make_member_id,
)
from merchant_sdk.requests import PURPOSES
from tests.merchant_sdk.genesis import get_system_time, keys_of


@pytest.fixture
async def fresh(any_village):
    async with any_village.shop("fresh") as shop:
        yield shop


@pytest.fixture
async def petrol(any_village):
    async with any_village.shop("petrol") as shop:
        yield shop


@pytest.fixture
async def wallet(any_village, fresh):
    """Anna, a member of fresh, with a key of her own and 100 points."""
    wallet = Wallet(any_village.chain)
    await fresh.enrol(wallet)
    await fresh.earn(wallet.member, "100", "A-0")
    return wallet


def test_every_message_may_be_signed_by_the_keys_the_rules_say():
    kinds = {kind for rulebook in RULEBOOKS.values() for kind in rulebook.rules}
    assert {kind: frozenset(purposes) for kind, purposes in PURPOSES.items()} == {
        kind: get_purposes(kind) for kind in kinds
    }


async def test_a_member_is_enrolled_with_an_id_of_ours_or_theirs(fresh):
    given = make_member_id()
    assert await fresh.enrol(given) == given
    made = await fresh.enrol()
    assert made != given
    assert made.startswith("m_")
    wallet = Wallet(fresh.chain)
    assert await fresh.enrol(wallet) == wallet.member
    held = Wallet(fresh.chain)
    assert await fresh.enrol(held.member, held.possession()) == held.member
    with pytest.raises(InvalidRequest, match="another member"):
        await fresh.enrol(given, wallet)


async def test_earning_tells_points_balance_and_where_it_stands(fresh, wallet):
    done = await fresh.earn(wallet.member, Micros(45_670_000), "A-1", occurred_at=get_system_time())
    assert (done.code, done.points, done.balance, done.already_done, done.first) == (
        "OK",
        45,
        145,
        False,
        None,
    )
    assert [lot.points for lot in done.lots] == [45]
    assert done.legs == ()
    assert done.message.amount == 45_670_000
    assert done.height > 2
    assert abs(done.time - get_system_time()) < 60_000
    assert done.transaction_id


async def test_partners_earn_points_they_owe_for(petrol, wallet):
    done = await petrol.earn(wallet.member, "30", "P-1", program="fresh")
    assert done.points == 30
    assert [(leg.source, leg.destination, leg.micros, leg.reason) for leg in done.legs] == [
        ("petrol", "fresh", 300_000, "earn")
    ]


async def test_a_points_code_is_good_for_what_it_says_once(petrol, wallet):
    code = wallet.points_code("fresh", 50, "petrol")
    done = await petrol.redeem(str(code), 40, "P-1", amount="4.00")
    assert (done.points, done.balance) == (40, 60)
    assert {leg.reason for leg in done.legs} == {"redeem", "commission"}
    with pytest.raises(ConsentError) as caught:
        await petrol.redeem(code, 40, "P-2")
    assert caught.value.code == "CONSENT_USED"
    assert caught.value.facts["index"] == caught.value.committed.index
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(ConsentError, match="CONSENT_TOO_SMALL"):
        await petrol.redeem(wallet.points_code("fresh", 5, "petrol"), 6, "P-3")
    with pytest.raises(ConsentError, match="CONSENT_WRONG_COUNTERPARTY"):
        await petrol.redeem(wallet.points_code("fresh", 5, "fresh"), 5, "P-4")
    with pytest.raises(InvalidRequest, match="other points"):
        await petrol.redeem(wallet.points_code("fresh", 5), 5, "P-5", program="petrol")


async def test_a_shop_needs_no_code_for_its_own_points_of_its_own_member(fresh, wallet):
    done = await fresh.redeem(wallet.member, 30, "R-1", without_code=True)
    assert (done.points, done.balance, done.legs) == (30, 70, ())
    with pytest.raises(InsufficientPoints) as caught:
        await fresh.redeem(wallet.member, 71, "R-2", without_code=True)
    assert caught.value.committed.code == "INSUFFICIENT_POINTS"
    assert caught.value.committed.points is None


async def test_a_custodian_speaks_for_a_member_without_a_key(any_village, fresh, petrol):
    member = await fresh.enrol()
    await fresh.earn(member, "20", "A-1")
    custody = Wallet(any_village.chain, member=member, seed=keys_of("fresh", "custody")["custody"])
    done = await petrol.redeem(custody.points_code("fresh", 20, "petrol"), 20, "P-1")
    assert done.balance == 0


async def test_an_order_asked_for_again_is_done_once_and_says_where(fresh, wallet):
    moment = get_system_time()
    first = await fresh.earn(wallet.member, "10", "A-1", occurred_at=moment)
    again = await fresh.earn(wallet.member, "10", "A-1", occurred_at=moment)
    assert (again.already_done, again.is_ok, again.first, again.points) == (True, True, first.index, None)
    receipt = await again.receipt()
    assert (receipt.index, receipt.message) == (first.index, first.message)


async def test_messages_of_ones_own_are_one_transaction(fresh, wallet):
    members = [make_member_id() for _ in range(3)]
    results = await fresh.submit([Enrol(member=member) for member in [*members, wallet.member]])
    assert [result.code for result in results] == ["OK", "OK", "OK", "MEMBER_EXISTS"]
    assert len({result.transaction_id for result in results}) == 1
    assert [result.is_ok for result in results] == [True, True, True, False]
    assert type(results[3].get_error()).__name__ == "AlreadyExists"
    with pytest.raises(InvalidRequest):
        await fresh.submit([])
    with pytest.raises(InvalidRequest):
        await fresh.submit(["not a message"])


async def test_an_atomic_transaction_is_all_or_nothing(fresh, wallet):
    now = get_system_time()
    results = await fresh.submit(
        [
            Earn(amount=10**6, member=wallet.member, occurred_at=now, program="fresh", reference="A-1"),
            Earn(amount=10**6, member=make_member_id(), occurred_at=now, program="fresh", reference="A-2"),
        ],
        atomic=True,
        transaction_id="both-or-none",
    )
    assert [result.code for result in results] == ["ATOMIC_ABORTED", "MEMBER_UNKNOWN"]
    assert isinstance(results[0].get_error(), AtomicAborted)
    assert {result.transaction_id for result in results} == {"both-or-none"}


async def test_what_the_ledger_turns_down_is_a_typed_error(fresh, wallet):
    with pytest.raises(UnknownToLedger, match="MEMBER_UNKNOWN"):
        await fresh.earn(make_member_id(), "5", "A-1")
    await fresh.earn(wallet.member, "5", "A-1")
    with pytest.raises(ReferenceConflict) as caught:
        await fresh.earn(wallet.member, "6", "A-1")
    assert caught.value.facts["first"] == caught.value.committed.first
    assert caught.value.what_to_do.startswith("No points moved")
    with pytest.raises(OccurredAtError, match="OCCURRED_IN_FUTURE") as caught:
        await fresh.earn(wallet.member, "5", "A-2", occurred_at=get_system_time() + 3_600_000)
    assert caught.value.may_retry


async def test_a_receipt_proves_itself_offline(fresh, wallet):
    done = await fresh.earn(wallet.member, "10", "A-1")
    receipt = await done.receipt()
    policy = await fresh.policy()
    read = Receipt.read(receipt.data, policy=policy)
    # Only one that came over the line knows whom to ask for witnesses.
    assert replace(read, wait_with=receipt.wait_with) == receipt
    assert (read.sender, read.transaction_id) == ("fresh", done.transaction_id)
    assert (read.index, read.height, read.time) == (done.index, done.height, done.time)
    assert (read.code, read.outcome, read.message) == ("OK", done.outcome, done.message)
    for place in range(0, len(receipt.data), 7):
        changed = bytes([receipt.data[place] ^ 1])
        with pytest.raises(Unverified):
            Receipt.read(receipt.data[:place] + changed + receipt.data[place + 1 :], policy=policy)
    with pytest.raises(ConfigurationError, match="policy"):
        Receipt.read(receipt.data, policy="quorum none")
    other = policy.replace("village", "city")
    with pytest.raises((Unverified, ConfigurationError)):
        Receipt.read(receipt.data, policy=other)


async def test_a_receipt_that_is_not_ours_to_see_does_not_exist(fresh):
    with pytest.raises(NotFound) as caught:
        await fresh.receipt(10**6)
    assert caught.value.status == 404


async def test_a_balance_is_that_of_our_own_program(fresh, petrol, wallet):
    await petrol.earn(wallet.member, "10", "P-1")
    balance = await fresh.balance(wallet.member)
    assert (balance.program, balance.points, balance.available, balance.held) == ("fresh", 100, 100, 0)
    assert [lot.points for lot in balance.lots] == [100]
    assert {each.program: each.points for each in await fresh.balances(wallet.member) if each.points} == {
        "fresh": 100,
        "petrol": 10,
    }
    assert (await fresh.balance(wallet.member, "petrol")).points == 10


async def test_a_shop_without_a_program_says_which(any_village, wallet):
    async with any_village.shop("op", keys=keys_of("op", "transact")) as operator:
        with pytest.raises(ConfigurationError, match="which program"):
            await operator.earn(wallet.member, "5", "A-1")


# What only the real node answers is asked of it alone.
real_node = pytest.mark.parametrize("any_village", ["real node"], indirect=True)


@real_node
async def test_an_exchange_is_carried_out_as_quoted(fresh, wallet):
    quote = await fresh.quote(program="fresh", series="2026", target="petrol", points=21)
    assert (quote.points_taken, quote.points_received, quote.least) == (20, 10, 10)
    code = wallet.consent_for_exchange(quote)
    done = await fresh.exchange(str(code), quote, "X-1")
    assert (done.points, done.balance) == (20, 80)
    assert [lot.points for lot in done.received] == [10]
    with pytest.raises(ConsentError, match="CONSENT_USED"):
        await fresh.exchange(code, quote, "X-2")
    with pytest.raises(InvalidRequest, match="own consent"):
        await fresh.exchange(wallet.member, quote, "X-3")
    with pytest.raises(InvalidRequest, match="something else"):
        await fresh.exchange(wallet.points_code("fresh", 20), quote, "X-4")


@real_node
async def test_history_is_walked_page_by_page(fresh, wallet, monkeypatch):
    monkeypatch.setattr("merchant_sdk.client.reading.PAGE_ENTRIES", 2)
    for number in range(1, 4):
        await fresh.earn(wallet.member, str(number), f"A-{number}")
    entries = [entry async for entry in fresh.history(wallet.member, "fresh")]
    assert [entry.message["reference"] for entry in entries] == ["A-3", "A-2", "A-1", "A-0"]
    assert [entry.outcome.balance for entry in entries] == [106, 103, 101, 100]
    assert {entry.kind for entry in entries} == {"earn"}
    everything = [entry.kind async for entry in fresh.history(wallet.member)]
    assert everything == ["earn"] * 4 + ["enrol"]


@real_node
async def test_an_order_and_what_is_owed_can_be_looked_up(petrol, wallet):
    done = await petrol.redeem(wallet.points_code("fresh", 100, "petrol"), 100, "P-1")
    (entry,) = await petrol.order("P-1")
    assert (entry.index, entry.height, entry.time) == (done.index, done.height, done.time)
    (position,) = [each for each in await petrol.positions() if each.participant == "petrol"]
    assert (position.net_micros, position.net) == (990_000, "0.99")
    assert await petrol.order("P-2") == []


@real_node
async def test_reading_what_was_just_written_can_wait_for_it(fresh, wallet):
    done = await fresh.earn(wallet.member, "10", "A-1")
    balance = await fresh.balance(wallet.member, min_height=done.height)
    assert balance.points == 110
    assert balance.height >= done.height
