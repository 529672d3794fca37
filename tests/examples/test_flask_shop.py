"""A day at the cinema's web shop, against the node that the sandbox brings."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.serving import make_server

from examples.flask_shop.app import create_app
from merchant_sdk import UnknownOutcome
from merchant_sdk.webhooks import sign_delivery

FORGED = "whsec_" + "A" * 32


def sign_in(browser, page="/sign-in", name="anna"):
    return browser.post(page, data={"name": name, "password": "a long one"})


class Cinema:
    """The shop, the merchants beside it, and what a browser does."""

    def __init__(self, alliance, folder):
        keys = alliance.keys("cinema")
        till = {"till": keys["till"], "custody": keys["custody"]}  # what a shop's machine needs, and no more
        self.office = alliance.merchant("cinema")
        self.office.set_till_limits(keys["till"].key_id, points_order=1_000, points_day=2_000, step_up=50)
        self.fresh = alliance.merchant("fresh")
        self.alliance = alliance
        self.settings = {
            "SECRET_KEY": "of this test",
            "PROGRAM": "cinema",
            "POINT_CENTS": {"cinema": 1, "fresh": 1},
            "WEBHOOK_SECRET": FORGED,
            "DATABASE": str(folder / "shop.db"),
            "WEBHOOKS_SEEN": str(folder / "webhooks.db"),
            "SESSION_COOKIE_SECURE": False,
        }
        sdk = {"keys": till, "outbox": folder / "outbox.db", "program": "cinema"}
        self.make_shop = lambda: alliance.merchant("cinema", **sdk)
        self.start()

    def start(self):
        self.app = create_app(self.settings, self.make_shop, self.alliance.clock)
        self.browser = self.app.test_client()

    def serve(self, *call):
        return self.app(*call)  # the app as it is now, for a server that was there before it

    @property
    def shop(self):
        return self.app.extensions["line"].shop

    def order(self, tickets, film="Metropolis"):
        answer = self.browser.post("/orders", data={"film": film, "tickets": tickets})
        return answer.location.rsplit("/", 1)[1]

    def do(self, number, action, **form):
        return self.browser.post(f"/orders/{number}/{action}", data=form)

    def buy(self, tickets, **form):
        number = self.order(tickets)
        assert self.do(number, "pay", **form).status_code == 302
        return number

    def read(self, number):
        return self.browser.get(f"/orders/{number}").text

    def slip(self, number):
        return re.search(r'name="slip" type="hidden" value="(\w+)"', self.read(number))[1]

    def points(self):
        shown = re.search(r"(\d+) points, (\d+) to spend, (\d+) set aside", self.browser.get("/").text)
        return tuple(map(int, shown.groups()))

    def kinds(self, number):
        return [entry.kind for entry in self.office.order(number) if entry.code == "OK"]

    def guest(self, amount):
        """Somebody with points of the supermarket."""
        wallet = self.alliance.wallet()
        self.fresh.enrol(wallet)
        self.fresh.earn(wallet.member, amount, reference=f"F-{amount}")
        return wallet


@pytest.fixture
def cinema(commonpoint_sandbox, tmp_path):
    cinema = Cinema(commonpoint_sandbox, tmp_path)
    assert sign_in(cinema.browser, "/join").status_code == 302
    return cinema


def test_a_purchase_earns_and_shows_on_the_account(cinema):
    number = cinema.buy(2)
    assert "24 points earned" in cinema.read(number)
    assert cinema.points() == (24, 24, 0)
    assert f"earn 24 {number}" in cinema.browser.get("/").text


def test_points_of_another_merchant_pay_part_of_an_order_and_only_the_rest_earns(cinema):
    code = cinema.guest("500").points_code("fresh", 400, acceptor="cinema")
    number = cinema.buy(1, points=400, code=str(code))
    assert "400 points of fresh" in cinema.read(number)
    assert cinema.points() == (8, 8, 0)
    assert cinema.office.positions()[0].net == "3.96"


def test_a_double_click_pays_once_even_with_other_points_in_the_form(cinema):
    cinema.buy(10)
    number = cinema.order(1)
    with ThreadPoolExecutor(4) as clicks:
        browsers = [cinema.app.test_client() for _ in range(4)]
        for browser in browsers:
            sign_in(browser)
        page, form = f"/orders/{number}/pay", {"points": 20}
        answers = {
            answer.status_code for answer in clicks.map(lambda one: one.post(page, data=form), browsers)
        }
    assert answers == {302}
    assert cinema.do(number, "pay", points=7).status_code == 302
    assert sorted(cinema.kinds(number)) == ["earn", "redeem"]
    assert cinema.points() == (120 - 20 + 11, 111, 0)


def test_a_booking_is_picked_up_in_part_and_another_one_cancelled(cinema):
    cinema.buy(10)
    booked, cancelled = cinema.order(4), cinema.order(1)
    cinema.do(booked, "book", points=40)
    cinema.do(cancelled, "book", points=10)
    assert cinema.points() == (120, 70, 50)
    assert cinema.do(booked, "pick-up", tickets=9).status_code == 400
    cinema.do(booked, "pick-up", tickets=3)
    cinema.do(booked, "pick-up", tickets=3)
    cinema.do(cancelled, "cancel")
    cinema.do(cancelled, "cancel")
    assert cinema.points() == (120 - 30 + 35, 125, 0)
    assert cinema.kinds(booked) == ["hold", "capture", "earn"]
    assert cinema.kinds(cancelled) == ["hold", "release"]


def test_a_booking_with_a_code_of_another_merchant(cinema):
    code, number = cinema.guest("300").consent_for_hold("fresh", 300, "cinema"), cinema.order(1)
    cinema.do(number, "book", points=300, code=str(code))
    cinema.do(number, "pick-up", tickets=1)
    assert cinema.points() == (9, 9, 0)


def test_tickets_come_back_in_parts_and_each_return_counts_once(cinema):
    cinema.buy(10)
    number = cinema.buy(3, points=50)  # 36.00, of which 0.50 in points
    slip = cinema.slip(number)
    for _click in range(2):
        assert cinema.do(number, "return", tickets=1, slip=slip).status_code == 302
    assert "1 returned: 11.83 and 16 points" in cinema.read(number)
    assert cinema.points()[0] == 105 + 16 - 11
    assert cinema.do(number, "return", tickets=3, slip=cinema.slip(number)).status_code == 400
    cinema.do(number, "return", tickets=2, slip=cinema.slip(number))
    assert cinema.points()[0] == 120
    assert cinema.do(number, "return", tickets=1, slip=cinema.slip(number)).status_code == 400


def test_a_return_that_is_refused_leaves_nothing_behind(cinema):
    cinema.office.set_policy(shortfall="block")
    number = cinema.buy(4)
    cinema.buy(4, points=48)  # all that the first one earned
    cinema.buy(2, points=47)
    answer = cinema.do(number, "return", tickets=4, slip=cinema.slip(number))
    assert answer.status_code == 409
    assert "cannot be returned" in answer.text
    assert "returned:" not in cinema.read(number)
    assert cinema.do(number, "return", tickets=1, slip=cinema.slip(number)).status_code == 302


def test_a_rejection_is_a_friendly_page_and_the_order_stays_open(cinema):
    cinema.buy(10)
    number = cinema.order(8)
    answer = cinema.do(number, "pay", points=60)  # above the till's own word
    assert answer.status_code == 409
    assert "we need your own word: show a points code" in answer.text
    code = cinema.guest("70").points_code("fresh", 10, acceptor="petrol")
    assert "not good for this" in cinema.do(number, "pay", points=10, code=str(code)).text
    assert "not a points code" in cinema.do(number, "pay", points=10, code="rubbish").text
    assert cinema.do(number, "pay", points=30).status_code == 302
    sign_in(poor := cinema.app.test_client(), "/join", "bert")
    assert poor.post(f"/orders/{number}/pay").status_code == 404
    theirs = poor.post("/orders", data={"film": "Playtime", "tickets": 1}).location
    assert "Take fewer" in poor.post(f"{theirs}/pay", data={"points": 5}).text


def lose_reply_of(verb):
    def call(*arguments, **options):
        raise UnknownOutcome(verb(*arguments, **options).transaction_id)

    return call


def test_after_a_lost_reply_the_same_click_finds_out(cinema, monkeypatch):
    cinema.buy(10)
    number = cinema.order(1)
    with monkeypatch.context() as patch:
        patch.setattr(cinema.shop, "redeem", lose_reply_of(cinema.shop.redeem))
        answer = cinema.do(number, "pay", points=20)
    assert answer.status_code == 503
    assert "Press the same button again" in answer.text
    assert "<b>paying</b>" in cinema.read(number)
    with cinema.alliance.offline():
        assert cinema.do(number, "pay", points=5).status_code == 503
    assert "<b>paying</b>" in cinema.read(number)
    cinema.alliance.clock.advance(days=3)
    cinema.start()  # and all that only memory knew is gone
    sign_in(cinema.browser)
    assert cinema.do(number, "pay", points=5).status_code == 302
    assert "20 points of cinema" in cinema.read(number)
    assert cinema.points() == (120 - 20 + 11, 111, 0)


def test_without_a_line_tickets_are_sold_and_earn_later(cinema):
    with cinema.alliance.offline():
        cinema.start()
        sign_in(cinema.browser)
        assert "out of sight" in cinema.browser.get("/").text
        number = cinema.buy(1)
        assert "on their way" in cinema.read(number)
        other = cinema.order(1)
        assert cinema.do(other, "pay", points=5).status_code == 503
        assert "<b>open</b>" in cinema.read(other)
    assert cinema.app.test_cli_runner().invoke(args=["settle"]).exit_code == 0
    assert "12 points earned" in cinema.read(number)
    assert cinema.points() == (12, 12, 0)


def wait_for(condition):
    until = time.monotonic() + 150  # a first delivery that comes too slowly is tried again after a while
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def delivered(cinema):
    """The shop at an address of this machine, which the node delivers to."""
    server = make_server("127.0.0.1", 0, cinema.serve, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = cinema.office.register_webhook(f"http://127.0.0.1:{server.server_port}/hooks/points")
    cinema.settings["WEBHOOK_SECRET"], cinema.webhook = endpoint.secret, endpoint.id
    cinema.start()
    sign_in(cinema.browser)
    yield cinema
    server.shutdown()
    server.server_close()


def test_the_webhook_completes_an_order_whose_reply_was_lost(delivered, monkeypatch):
    cinema = delivered
    cinema.buy(10)
    number = cinema.order(1)
    with monkeypatch.context() as patch:
        patch.setattr(cinema.shop, "hold", lose_reply_of(cinema.shop.hold))
        assert cinema.do(number, "book", points=20).status_code == 503
    wait_for(lambda: "<b>held</b>" in cinema.read(number))
    cinema.alliance.clock.advance(hours=2)  # nobody comes
    cinema.buy(1)
    wait_for(lambda: "<b>lapsed</b>" in cinema.read(number))
    before = cinema.points(), cinema.read(number).split("slip")[0]
    end = cinema.office.webhooks()[0].cursor
    cinema.office.restart_webhook(cinema.webhook, after=0)  # everything once more
    wait_for(lambda: cinema.office.webhooks()[0].cursor >= end)
    assert (cinema.points(), cinema.read(number).split("slip")[0]) == before


def test_what_another_merchant_does_under_our_number_is_not_our_order(delivered):
    cinema = delivered
    number, last = cinema.order(1), cinema.order(1)
    wallet = cinema.alliance.wallet()
    cinema.office.enrol(wallet)
    cinema.office.earn(wallet.member, "100", reference="W-1")
    cinema.fresh.redeem(wallet.points_code("cinema", 5, "fresh"), 5, reference=number)
    cinema.office.redeem(wallet.points_code("cinema", 5, "cinema"), 5, reference=last)
    wait_for(lambda: "<b>paid</b>" in cinema.read(last))
    assert "<b>open</b>" in cinema.read(number)


def test_a_forged_delivery_changes_nothing(delivered):
    cinema = delivered
    number = cinema.order(1)
    body = b'{"entry":{"@type":"entry"}}'
    assert cinema.browser.post("/hooks/points", data=body).status_code == 401
    for secret, status in ((FORGED, 401), (cinema.settings["WEBHOOK_SECRET"], 400)):
        headers = sign_delivery(secret, body, delivery_id="wh_0_1")
        assert cinema.browser.post("/hooks/points", data=body, headers=headers).status_code == status
    assert "<b>open</b>" in cinema.read(number)


def test_a_shop_without_its_settings_does_not_start(monkeypatch):
    monkeypatch.delenv("SHOP_SECRET_KEY", raising=False)
    with pytest.raises(RuntimeError, match="SHOP_SECRET_KEY"):
        create_app()
