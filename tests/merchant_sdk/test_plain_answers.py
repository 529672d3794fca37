"""What a program may rely on at its edges: at a start without a line, when a reply is lost, when an order was
done before; what a point is worth, and how a phone's key comes to the ledger.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from contracts.messages import AnnouncePar, OpenSeries
from merchant_sdk import (
    AlreadyExists,
    InvalidRequest,
    MemberKey,
    NotFound,
    NotSent,
    UnknownOutcome,
    Unverified,
    Wallet,
    make_member_id,
)
from merchant_sdk.programs import read_program
from node.sandbox import sandbox


@pytest.fixture
def alliance():
    with sandbox(merchants=("fresh", "petrol")) as alliance:
        yield alliance


@pytest.fixture
def fresh(alliance):
    return alliance.merchant("fresh", retries=0)


def open_shop(alliance, tmp_path):
    return alliance.merchant("fresh", outbox=tmp_path / "outbox.db", program="fresh", retries=0)


def test_a_start_without_a_line_is_no_error_and_says_what_is_open(alliance, tmp_path):
    shop = open_shop(alliance, tmp_path)
    member = shop.enrol()
    with alliance.losing_replies(), pytest.raises(UnknownOutcome) as caught:
        shop.earn(member, "5", "A-1")
    shop.earn_later(member, "7", "A-2")
    shop.close()
    with alliance.offline():
        again = open_shop(alliance, tmp_path)
        told = again.flush()
        assert [each.transaction_id for each in told] == [caught.value.transaction_id, ""]
        assert [(each.error.fate, each.error.facts["code"]) for each in told] == [("unknown", "NOT_SENT")] * 2
        assert (again.count_waiting(), again.count_queued()) == (1, 1)
    assert [result.points for each in again.flush() for result in each.results] == [5, 7]
    assert again.balance(member).points == 12


def test_with_nothing_open_there_is_nothing_to_say_without_a_line(alliance, tmp_path):
    with alliance.offline():
        assert open_shop(alliance, tmp_path).flush() == []
        # One without a file is as old as its process.
        assert alliance.merchant("fresh", retries=0).flush() == []


def test_a_node_of_another_ledger_is_an_alarm_at_every_start(alliance, tmp_path):
    other = "points/" + "0" * 32
    shop = alliance.merchant("fresh", outbox=tmp_path / "outbox.db", retries=0)
    with alliance.offline():
        stray = alliance.merchant("fresh", chain=other, retries=0)
    with pytest.raises(Unverified):
        stray.flush()
    assert shop.flush() == []


def test_a_lost_reply_is_unknown_and_the_same_order_is_done_once(alliance, fresh):
    member, when = fresh.enrol(), alliance.clock()
    with alliance.losing_replies():
        with pytest.raises(UnknownOutcome) as caught:
            fresh.earn(member, "5", "A-1", occurred_at=when)
        assert caught.value.fate == "unknown"
        # Questions are answered: the node did what it was asked.
        assert fresh.balance(member).points == 5
        (open_still,) = fresh.flush()
        assert open_still.error.fate == "unknown"
    done = fresh.earn(member, "5", "A-1", occurred_at=when)
    assert (done.code, done.points, fresh.balance(member).points) == ("OK", 5, 5)


def test_an_order_with_its_own_time_is_the_same_order_a_month_later_and_from_another_machine(alliance, fresh):
    member, when = fresh.enrol(), alliance.clock()
    first = fresh.earn(member, "5", "A-1", occurred_at=when)
    alliance.clock.advance(days=30)
    elsewhere = alliance.merchant("fresh", retries=0)
    again = elsewhere.earn(member, "5", "A-1", occurred_at=when)
    assert (again.already_done, again.first, again.points) == (True, first.index, None)
    # Left to the SDK it is now, and that is another order.
    assert elsewhere.earn(member, "5", "A-1").points == 5
    assert fresh.balance(member).points == 10


def test_what_was_done_before_is_read_from_its_receipt_and_from_the_lines_of_the_order(alliance, fresh):
    wallet, when = alliance.wallet(), alliance.clock()
    fresh.enrol(wallet)
    fresh.earn(wallet.member, "50", "A-1", occurred_at=when)
    for act, points in (
        (lambda: fresh.earn(wallet.member, "50", "A-1", occurred_at=when), 50),
        (lambda: fresh.redeem(wallet.points_code("fresh", 40, "fresh"), 30, "R-1", occurred_at=when), 30),
    ):
        act()
        done = act()
        assert (done.already_done, done.points) == (True, None)
        assert (done.receipt().index, done.receipt().points) == (done.first, points)
    assert [(row.kind, row.code, row.points) for row in fresh.order("R-1")] == [
        ("redeem", "OK", 30),
        ("redeem", "ALREADY_DONE", None),
    ]


def test_a_program_says_what_its_points_are_worth_and_how_they_are_spent(alliance, fresh):
    petrol = alliance.merchant("petrol")
    shown = fresh.program("petrol")
    assert (shown.program, shown.issuer, shown.name, shown.spend_per_point) == (
        "petrol",
        "petrol",
        "Petrol",
        1_000_000,
    )
    assert (shown.par_redeem, shown.policy.order_share_basis_points) == (10_000, 10_000)
    petrol.set_policy(order_share_basis_points=2_500, points_order=700)
    member, height, told = petrol.enrol(), petrol.program().height, {}
    # The accrual side goes up first, as it must; the new vintage is worth more than the old one.
    petrol.submit([AnnouncePar(height + 11, 12_000, 10_000, "petrol", "s1")])
    petrol.submit([OpenSeries(height + 16, 12, 12_000, 12_000, "petrol", "s2")])
    while (shown := fresh.program("petrol")).height < height + 25:
        told[shown.height - height] = (shown.par_redeem, [each.par_accrue for each in shown.series])
        if shown.height == height + 12:
            petrol.submit([AnnouncePar(height + 23, 12_000, 11_000, "petrol", "s1")])
        else:
            petrol.earn(member, "1", f"A-{shown.height}")
    # It is said for the next block: from the one before the height that was announced.
    assert [told[number] for number in (9, 10)] == [(10_000, [10_000, 12_000]), (10_000, [12_000, 12_000])]
    assert [told[number][0] for number in (16, 21, 22)] == [10_000, 10_000, 11_000]
    assert (shown.policy.order_share_basis_points, shown.policy.points_order) == (2_500, 700)
    with pytest.raises(NotFound):
        fresh.program("nobodys")


@pytest.mark.parametrize("answer", [b"{}", b"[", b'{"height":1,"issuer":"a","name":"A","series":[{}]}'])
def test_a_program_that_does_not_read_is_not_believed(answer):
    with pytest.raises(Unverified):
        read_program(answer)


def test_points_taken_elsewhere_bring_their_par_less_the_commission(alliance, fresh):
    wallet, petrol = alliance.wallet(), alliance.merchant("petrol")
    fresh.enrol(wallet)
    fresh.earn(wallet.member, "500", "A-1")
    code = wallet.points_code("fresh", 400, "petrol")
    done = petrol.redeem(code, 400, "P-1", amount="30.00")
    gross = sum(leg.micros for leg in done.legs)
    assert gross == 400 * petrol.program("fresh").par_redeem
    assert petrol.positions()[0].net_micros == gross - gross // 100


def test_a_phone_sends_its_key_and_the_custodian_brings_it_to_the_ledger(alliance, fresh):
    member = make_member_id()
    phone = Wallet(alliance.chain, member=member, clock=alliance.clock)
    key = phone.possession()
    sent = {"possession": key.possession, "public": key.public}  # as JSON over the shop's own API
    assert fresh.enrol(member, MemberKey(**sent)) == member
    fresh.earn(member, "50", "A-1")
    assert fresh.redeem(phone.points_code("fresh", 20, "fresh"), 20, "R-1").points == 20
    with pytest.raises(AlreadyExists):
        fresh.enrol(member)


def test_a_member_without_a_key_is_given_one_later_by_wallet_or_by_what_a_phone_sent(alliance, fresh):
    first, second = (Wallet(alliance.chain, member=fresh.enrol(), clock=alliance.clock) for _ in range(2))
    assert fresh.add_member_key(first.member, first).code == "OK"
    assert fresh.add_member_key(second.member, second.possession()).code == "OK"
    for number, wallet in enumerate((first, second)):
        fresh.earn(wallet.member, "50", f"A-{number}")
        code = wallet.points_code("fresh", 20, "fresh")
        assert fresh.redeem(code, 20, f"R-{number}").points == 20
    with pytest.raises(AlreadyExists):
        fresh.add_member_key(first.member, first)
    with pytest.raises(InvalidRequest, match="another member's"):
        fresh.add_member_key(first.member, second)


def test_one_number_twice_says_how_the_order_that_is_meant_is_named(alliance, fresh):
    wallet = alliance.wallet()
    fresh.enrol(wallet)
    fresh.earn(wallet.member, "50", "A-0")
    fresh.earn(wallet.member, "5", "A-1")
    fresh.earn(wallet.member, "6", "A-1", program="petrol")
    with pytest.raises(InvalidRequest, match="several programs"):
        fresh.return_order("A-1", "A-1-back")
    assert fresh.return_order("A-1", "A-1-back", program="petrol").points == 6
    alliance.clock.advance(days=3)
    fresh.earn(wallet.member, "7", "A-1")
    with pytest.raises(InvalidRequest, match=r"a line of shop\.order") as caught:
        fresh.return_order("A-1", "A-1-back", program="fresh")
    assert "pass program=" not in str(caught.value)
    meant = next(row for row in fresh.order("A-1") if row.index == caught.value.facts["entries"][1])
    assert fresh.return_order(meant, "A-1-gone").points == 7


def test_a_lost_line_is_no_matter_of_a_question(alliance, fresh):
    with alliance.offline(), pytest.raises(NotSent):
        fresh.program("petrol")


RETRY = """
import asyncio, logging
import stamina
from stamina.instrumentation import get_on_retry_hooks
from merchant_sdk import AsyncMerchant, NotSent

{begin}

async def main():
    for _ in range(2):
        shop = AsyncMerchant("fresh", "http://127.0.0.1:9", key=bytes(32), chain="points/" + "0" * 32)
        try:
            await shop.connect()
        except NotSent:
            print("not sent", flush=True)
        await shop.close()

asyncio.run(main())

@stamina.retry(on=KeyError, attempts=2, wait_initial=0.01, wait_jitter=0)
def host():
    raise KeyError("the host's own")

try:
    host()
except KeyError:
    print("given up")
"""


def retry(begin):
    done = subprocess.run(
        [sys.executable, "-c", RETRY.format(begin=begin)], capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr


def test_what_the_sdk_tries_again_prints_nothing_and_leaves_the_hosts_hooks_alone():
    hook = "stamina.instrumentation.set_on_retry_hooks([lambda told: print('host', told.caused_by)])"
    assert retry(hook) == ('not sent\nnot sent\nhost "the host\'s own"\ngiven up\n', "")
    # With the hooks that stamina has by itself, which print, only the host's own retry is printed.
    out, err = retry("")
    assert out.startswith("not sent\nnot sent\n")
    assert (out + err).count("stamina.retry_scheduled") == 1


def test_what_the_sdk_tries_again_is_logged_for_whoever_wants_to_see_it():
    out, err = retry("logging.basicConfig(level=logging.DEBUG)")
    assert err.count("DEBUG:merchant_sdk:again in") == 2
    assert "Connect" in err
    assert out.startswith("not sent\nnot sent\n")
