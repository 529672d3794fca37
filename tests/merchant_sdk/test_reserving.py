"""Points that are held for a till are never out of its sight, whatever is lost or killed meanwhile."""

from __future__ import annotations

import signal
import sqlite3

import pytest

from merchant_sdk import AllowanceError, ConsentError, InvalidRequest, NotSent, UnknownOutcome
from merchant_sdk.till_store import Row, TillClock, TillStore
from node.sandbox import sandbox
from tests.merchant_sdk.dying_shop import DONE
from tests.merchant_sdk.shops import name_orders


@pytest.fixture
def alliance():
    with sandbox(merchants=("fresh",)) as alliance:
        yield alliance


@pytest.fixture
def open_shop(alliance, tmp_path):
    """The same shop again, as after a restart."""

    def open_shop():
        return alliance.merchant("fresh", outbox=tmp_path / "outbox.db", program="fresh", retries=0)

    return open_shop


@pytest.fixture
def shop(open_shop):
    return open_shop()


@pytest.fixture
def wallet(alliance, shop):
    """A member with 1,000 points."""
    wallet = alliance.wallet()
    shop.enrol(wallet)
    shop.earn(wallet.member, "1000", "A-0")
    return wallet


def consent(wallet):
    return wallet.consent_for_hold("fresh", 500, "fresh")


@pytest.mark.parametrize("reference", [None, "T-1"])
def test_points_whose_reply_was_lost_are_there_after_a_flush(alliance, shop, wallet, reference):
    check_adopted(alliance, shop, shop, wallet, reference)


@pytest.mark.parametrize("reference", [None, "T-1"])
def test_points_whose_reply_was_lost_are_there_after_a_restart(alliance, open_shop, wallet, reference):
    check_adopted(alliance, open_shop(), open_shop(), wallet, reference)


def check_adopted(alliance, before, shop, wallet, reference):
    """The reply to ``before`` is lost; ``shop``, the same one or another on its file, has the allowance."""
    with alliance.losing_replies(), pytest.raises(UnknownOutcome):
        before.reserve(consent(wallet), 300, reference=reference)
    if before is not shop:
        before.close()
    # Nobody knows yet that they are held, so nothing is spent.
    assert shop.allowances() == []
    (resent,) = shop.flush()
    assert resent.error is None
    (allowance,) = shop.allowances()
    assert (allowance.left, allowance.number) == (300, reference or "")
    with alliance.offline():
        allowance.spend(120, order="K-1")
    assert allowance.settle().points == 120
    balance = shop.balance(wallet.member)
    assert (balance.points, balance.held, shop.allowances()) == (880, 0, [])


def test_under_a_number_of_its_own_an_allowance_is_reserved_once(alliance, open_shop, shop, wallet):
    with alliance.losing_replies():
        for _ in range(2):
            with pytest.raises(UnknownOutcome):
                shop.reserve(consent(wallet), 300, reference="T-1")
    shop.close()
    shop = open_shop()
    with alliance.offline(), pytest.raises(UnknownOutcome):
        shop.reserve(consent(wallet), 300, reference="T-1")
    # With a fresh code, hours later: it is still the hold of then.
    alliance.clock.advance(hours=2)
    allowance = shop.reserve(consent(wallet), 300, reference="T-1")
    allowance.spend(10, order="K-1")
    with alliance.offline():
        assert shop.reserve(consent(wallet), 300, reference="T-1").left == 290
        with pytest.raises(AllowanceError, match="ORDER_CONFLICT"):
            shop.reserve(consent(wallet), 301, reference="T-1")
    assert (shop.balance(wallet.member).held, len(shop.allowances()), shop.flush()) == (300, 1, [])
    # Without a number each call is another.
    shop.reserve(consent(wallet), 300)
    assert (shop.balance(wallet.member).held, len(shop.allowances())) == (600, 2)


def test_a_hold_that_surely_was_not_made_leaves_no_allowance(alliance, open_shop, shop, wallet):
    with alliance.offline(), pytest.raises(NotSent):
        shop.reserve(consent(wallet), 300, reference="T-1")
    with pytest.raises(ConsentError):
        shop.reserve(wallet.consent_for_hold("fresh", 299, "fresh"), 300, reference="T-1")
    assert (shop.allowances(), open_shop().allowances()) == ([], [])
    # So the number is free, for other points even.
    assert shop.reserve(consent(wallet), 200, reference="T-1").left == 200
    assert shop.balance(wallet.member).held == 200


def test_a_number_that_is_none_is_refused(shop, wallet):
    with pytest.raises(InvalidRequest):
        shop.reserve(consent(wallet), 300, reference="no such number")
    with pytest.raises(InvalidRequest, match="to redeem, not to hold"):
        shop.reserve(wallet.points_code("fresh", 300, "fresh"), 300)
    with pytest.raises(InvalidRequest) as caught:
        shop.reserve(wallet.member, 300)
    assert "without_code=True" in caught.value.what_to_do
    assert shop.balance(wallet.member).held == 0


KILLED = [
    f"{where}:{when}"
    for where in (
        "merchant_sdk.till_store:TillStore.ask",
        "merchant_sdk.outbox:Outbox.put",
        "merchant_sdk.transport:Transport.send_transaction",
        "merchant_sdk.outbox:Outbox.mark_done",
        "merchant_sdk.till_store:TillStore.open",
    )
    for when in ("before", "after")
]


@pytest.mark.parametrize("place", KILLED)
async def test_a_till_killed_at_any_step_of_reserving_knows_all_that_is_held(shops, place):
    (order,) = name_orders(1)
    async with shops.harbour.shop() as shop:
        member = await shop.enrol()
        await shop.earn(member, "100", order)
    assert shops.run("reserve", member=member, references=[order], place=place) == -signal.SIGKILL, shops.log
    async with shops.harbour.shop(outbox=shops.outbox) as shop:
        assert {resent.error for resent in await shop.flush()} <= {None}
        held = (await shop.balance(member)).held
        assert sum(allowance.points for allowance in shop.allowances()) == held
        if place.startswith("merchant_sdk.transport") or "mark_done" in place or ".open" in place:
            assert held == 50
    # Pressed again in a program of its own: one allowance, one hold.
    assert shops.run("reserve", member=member, references=[order, order]) == DONE, shops.log
    assert len({line[2] for line in shops.diary if line[0] == "done"}) == 1
    async with shops.harbour.shop(outbox=shops.outbox) as shop:
        (allowance,) = shop.allowances()
        assert (allowance.number, (await shop.balance(member)).held) == (order, 50)
        assert (await allowance.settle()).points == 50
        assert (await shop.balance(member)).available == 100


def test_a_file_from_before_allowances_had_numbers_is_read(tmp_path):
    path, clock = tmp_path / "till.db", TillClock(lambda: 5, is_told=True)
    options = {"chain": "c", "sender": "fresh", "clock": clock}
    store = TillStore(path, **options)
    row = Row("T", "c", "fresh", "m", "fresh", 10, 1, 90, 80, b"", "asked", 0, 0, 0, 0, None)
    store.ask(row)
    store.close()
    with sqlite3.connect(path) as before:
        before.execute("ALTER TABLE allowances DROP COLUMN number")
    before.close()
    store = TillStore(path, **options)
    assert store.list_asked() == [row]
    store.ask(row._replace(reference="U", number="T-1"))
    assert store.find("T-1").reference == "U"
    store.close()
