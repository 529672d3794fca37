"""Points that come, and go again with goods that come back, at a real alliance; and what is read of it."""

from __future__ import annotations

import datetime as dt

import pytest

from merchant_sdk import (
    AsyncMerchant,
    ConsentError,
    GrantError,
    Held,
    InsufficientPoints,
    InvalidRequest,
    LimitExceeded,
    NotEntitled,
    NotFound,
    OccurredAtError,
    RejectedByLedger,
    ReturnError,
)
from node.sandbox import sandbox


@pytest.fixture
def alliance():
    with sandbox(merchants=("fresh", "petrol")) as alliance:
        yield alliance


@pytest.fixture
def fresh(alliance):
    return alliance.merchant("fresh")


@pytest.fixture
def petrol(alliance):
    return alliance.merchant("petrol")


@pytest.fixture
def wallet(alliance, fresh):
    wallet = alliance.wallet()
    fresh.enrol(wallet)
    return wallet


def code_of(caught):
    return caught.value.code


def test_goods_that_come_back_take_their_points_along(alliance, fresh, petrol, wallet):
    earned = petrol.earn(wallet.member, "45.60", "A-1", program="fresh")
    part = petrol.return_order("A-1", "Z-1", "10")
    assert (part.points, part.balance, part.original) == (9, 36, earned.index)
    assert {leg.reason for leg in part.legs} == {"earn_return"}
    with pytest.raises(ReturnError) as caught:
        petrol.return_order(earned, "Z-2", "35.61")
    assert code_of(caught) == "REFUND_ABOVE_ORIGINAL"
    rest = petrol.return_order(order="A-1", reference="Z-2")
    assert (rest.points, rest.balance) == (36, 0)
    for shop in (petrol, alliance.merchant("petrol")):
        alliance.clock.advance(seconds=1)
        assert shop.return_order("A-1", "Z-2").first == rest.index
        assert shop.return_order("A-1", "Z-1", "10.00").first == part.index
    with pytest.raises(InvalidRequest, match="came back already"):
        petrol.return_order("A-1", "Z-3")
    with pytest.raises(NotFound):
        fresh.return_order("A-1", "Z-1")
    with pytest.raises(InvalidRequest, match="this is no earn or award"):
        petrol.return_order(part, "Z-4")


@pytest.mark.parametrize(
    ("shortfall", "points", "debt"), [("debt", 100, 60), ("absorb", 100, None), ("block", None, None)]
)
def test_what_was_spent_meanwhile_is_owed_forgiven_or_in_the_way(fresh, wallet, shortfall, points, debt):
    fresh.set_policy(shortfall=shortfall)
    fresh.earn(wallet.member, "100", "A-1")
    fresh.redeem(wallet.member, 60, "R-1", without_code=True)
    if points is None:
        with pytest.raises(ReturnError, match="CLAWBACK_BLOCKED"):
            fresh.return_order("A-1", "Z-1")
        return
    done = fresh.return_order("A-1", "Z-1")
    assert (done.points, done.debt, done.balance) == (points, debt, 0)
    again = fresh.earn(wallet.member, "70", "A-2")
    assert (again.points, again.repaid, again.balance) == ((70, 60, 10) if debt else (70, None, 70))


def test_awards_stay_inside_a_budget(alliance, fresh, petrol, wallet):
    with pytest.raises(LimitExceeded) as caught:
        fresh.award(wallet.member, 5, "B-1", reason="birthday")
    assert code_of(caught) == "BONUS_BUDGET_EXHAUSTED"
    fresh.set_policy(bonus_day=10, bonus_total=15)
    done = fresh.award(wallet.member, 10, "B-1", reason="birthday")
    assert (done.points, done.balance, done.legs) == (10, 10, ())
    assert fresh.award(wallet.member, 10, "B-1", reason="birthday").already_done
    with pytest.raises(LimitExceeded) as caught:
        fresh.award(wallet.member, 1, "B-2", reason="birthday")
    assert caught.value.may_retry
    alliance.clock.advance(days=1)
    assert fresh.award(wallet.member, 5, "B-2", reason="review", amount="20").balance == 15
    elsewhere = petrol.award(wallet.member, 7, "B-3", reason="task", program="fresh")
    assert [leg.micros for leg in elsewhere.legs] == [70_000]
    # Given for an order, it goes back with it; given for none, nothing of it can.
    assert fresh.return_order("B-2", "Z-1", "4").points == 1
    with pytest.raises(InvalidRequest, match="given for no order"):
        petrol.return_order("B-3", "Z-1")
    with pytest.raises(InvalidRequest):
        fresh.award(wallet.member, 5, "B-4", reason="pity")


def test_cooling_points_are_there_and_wait(alliance, fresh, wallet):
    fresh.set_policy(cooling_days=2)
    fresh.earn(wallet.member, "30", "A-1")
    balance = fresh.balance(wallet.member)
    assert (balance.points, balance.available) == (30, 0)
    with pytest.raises(InsufficientPoints):
        fresh.redeem(wallet.member, 30, "R-1", without_code=True)
    alliance.clock.advance(days=2)
    assert fresh.redeem(wallet.member, 30, "R-1", without_code=True).points == 30


def test_an_opening_balance_keeps_its_dates(fresh, petrol, wallet):
    days = {"earned_day": dt.date(2025, 12, 1), "expires_day": dt.date(2026, 6, 30)}
    done = fresh.import_balance(wallet.member, 40, "I-1", series="s1", **days)
    (lot,) = done.lots
    assert (done.points, dt.date(1970, 1, 1) + dt.timedelta(days=lot.expires)) == (40, dt.date(2026, 6, 30))
    assert fresh.import_balance(wallet.member, 40, "I-1", series="s1", **days).already_done
    with pytest.raises(RejectedByLedger) as caught:
        fresh.import_balance(
            wallet.member, 40, "I-2", series="s1", earned_day=20_000, expires_day=dt.date(2030, 1, 1)
        )
    assert code_of(caught) == "IMPORT_DATES"
    with pytest.raises(NotEntitled):
        petrol.import_balance(wallet.member, 40, "I-1", series="s1", program="fresh", **days)


def test_a_correction_gives_freely_and_takes_with_consent(fresh, wallet):
    assert fresh.adjust(wallet.member, 20, "C-1", direction="give", reason="goodwill").balance == 20
    code = wallet.consent_for_adjust("fresh", 5, "fresh")
    assert fresh.adjust(code, 5, "C-2", direction="take").balance == 15
    with pytest.raises(ConsentError, match="CONSENT_USED"):
        fresh.adjust(str(code), 5, "C-3", direction="take")
    with pytest.raises(ConsentError, match="CONSENT_TOO_SMALL"):
        fresh.adjust(wallet.consent_for_adjust("fresh", 5, "fresh"), 6, "C-3", direction="take")
    with pytest.raises(InsufficientPoints):
        fresh.adjust(wallet.consent_for_adjust("fresh", 50, "fresh"), 16, "C-3", direction="take")
    with pytest.raises(InvalidRequest, match="own consent"):
        fresh.adjust(wallet.member, 5, "C-3", direction="take")
    with pytest.raises(InvalidRequest, match="needs no consent"):
        fresh.adjust(code, 5, "C-3", direction="give")


def test_a_partner_without_a_grant_earns_nobody_anything(alliance, fresh, petrol, wallet):
    from contracts.messages import RevokeGrant

    fresh.submit([RevokeGrant("earn", "fresh", "petrol")])
    with pytest.raises(GrantError):
        petrol.award(wallet.member, 5, "B-1", reason="bonus", program="fresh")
    moment = alliance.clock()
    with pytest.raises(OccurredAtError):
        fresh.earn(wallet.member, "5", "A-1", occurred_at=moment + 86_400_000)


def test_what_was_done_is_seen_by_whoever_did_it(fresh, wallet, monkeypatch):
    """Reading waits for the height of our own last success, without being told to."""
    asked = []
    reader = fresh._verbs._connection.reader
    ask = reader.ask

    async def note(path, query=None):
        asked.append((path.rpartition("/")[2], (query or {}).get("min_height")))
        return await ask(path, query)

    monkeypatch.setattr(reader, "ask", note)
    for number in range(3):
        done = fresh.earn(wallet.member, "1", f"A-{number}")
        assert fresh.balance(wallet.member).points == number + 1
        assert asked[-1] == ("balances", done.height)
    assert fresh.order("A-0")
    assert len(list(fresh.history(wallet.member))) == 4
    assert asked[-2:] == [("A-0", done.height), ("history", done.height)]
    fresh.balance(wallet.member, min_height=0)
    assert asked[-1] == ("balances", None)


def test_events_are_walked_once_and_gone_on_with(fresh, wallet, monkeypatch):
    monkeypatch.setattr("merchant_sdk.client.reading.PAGE_ENTRIES", 3)
    end = [event.index for event in fresh.events()][-1]
    for number in range(7):
        fresh.earn(wallet.member, "1", f"A-{number}")
    events = list(fresh.events(after=end))
    assert [event.message["reference"] for event in events] == [f"A-{number}" for number in range(7)]
    assert [event.index for event in fresh.events(after=events[2].index)] == [e.index for e in events[3:]]
    assert list(fresh.events(after=events[-1].index)) == []
    assert {event.code for event in events} == {"OK"}


def test_following_events_hears_what_comes(fresh, wallet, monkeypatch):
    monkeypatch.setattr("merchant_sdk.client.enquiries.FOLLOW_SECONDS", 0.01)
    end = [event.index for event in fresh.events()][-1]
    following = fresh.events(after=end, follow=True)
    for number in range(3):
        done = fresh.earn(wallet.member, "1", f"A-{number}")
        assert next(following).index == done.index


async def test_the_asynchronous_face_completes_its_holds_too(alliance, fresh, wallet, tmp_path):
    fresh.earn(wallet.member, "50", "A-1")
    shop: AsyncMerchant = alliance.async_merchant("fresh", outbox=tmp_path / "outbox.db")
    async with shop:
        held = await shop.hold(wallet.member, 20, "H-1", without_code=True)
        assert isinstance(held, Held)
        captured = await held.capture(5)
        assert (await captured.receipt()).message.points == 5
        assert (await (await shop.hold(wallet.member, 20, "H-2", without_code=True)).release()).points == 20
        allowance = await shop.reserve(wallet.member, 10, without_code=True)
        assert allowance.spend(4, "K-1").points == 4
        settled = await allowance.settle()
        assert (settled.points, [lot.points for lot in settled.released]) == (4, [6])
        assert await anext(event.kind async for event in shop.events(after=held.index)) == "capture"
