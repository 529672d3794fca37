"""A shop gives the node an address, and is told there over a real socket."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from merchant_sdk import NotFound, RefusedByNode, Webhooks
from node.sandbox import sandbox


class Shop(BaseHTTPRequestHandler):
    """A shop's server."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        event = self.server.hooks.receive(body, self.headers)
        self.server.seen.append(event)
        self.send_response(204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        server.seen = []
        yield server
        server.shutdown()
        thread.join()


def wait_for(condition):
    for _ in range(1_000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not come")


def test_a_shop_registers_an_address_and_is_told(server):
    """From the real node over a real socket, with the secret that it gave."""
    with sandbox(merchants=("fresh", "petrol")) as alliance:
        fresh = alliance.merchant("fresh")
        endpoint = fresh.register_webhook(f"http://127.0.0.1:{server.server_port}/points", types=["earn"])
        server.hooks = Webhooks(endpoint.secret, policy=fresh.policy())
        member = fresh.enrol()
        done = [fresh.earn(member, "5", f"A-{number}") for number in range(3)]
        wait_for(lambda: len(server.seen) == 3)
        assert [event.index for event in server.seen] == [each.index for each in done]
        assert [event.receipt.message.reference for event in server.seen] == ["A-0", "A-1", "A-2"]
        (shown,) = fresh.webhooks()
        assert (shown.id, shown.secret, shown.types, shown.state) == (endpoint.id, "", ["earn"], "enabled")
        fresh.restart_webhook(endpoint.id, after=done[1].index)
        wait_for(lambda: len(server.seen) == 4)
        # Told again, it is the same delivery by its id.
        assert server.seen[3].id == server.seen[2].id
        fresh.restart_webhook(endpoint.id)
        fresh.remove_webhook(endpoint.id)
        assert fresh.webhooks() == []
        for wrong in (lambda: fresh.remove_webhook(endpoint.id), lambda: fresh.restart_webhook("wh_no")):
            with pytest.raises(NotFound):
                wrong()
        with pytest.raises(RefusedByNode, match="BAD_REQUEST"):
            fresh.register_webhook("ftp://127.0.0.1/")
        till = alliance.merchant("fresh", keys={"till": alliance.keys("fresh")["till"]})
        with pytest.raises(RefusedByNode, match="WRONG_PURPOSE"):
            till.register_webhook(f"http://127.0.0.1:{server.server_port}/points")


def test_what_a_block_did_by_itself_is_the_holders_or_nobodys(server):
    with sandbox(merchants=("fresh", "petrol")) as alliance:
        fresh, petrol = alliance.merchant("fresh"), alliance.merchant("petrol")
        wallet = alliance.wallet()
        fresh.enrol(wallet)
        fresh.earn(wallet.member, "50", "A-1")
        url = f"http://127.0.0.1:{server.server_port}/points"
        endpoint = fresh.register_webhook(url, types=["lapse", "expire"])
        server.hooks = Webhooks(endpoint.secret, policy=fresh.policy())
        petrol.hold(wallet.consent_for_hold("fresh", 20, "petrol"), 20, "H-1", seconds=60)
        alliance.clock.advance(minutes=5)
        fresh.enrol()
        alliance.clock.advance(days=500)
        fresh.enrol()
        wait_for(lambda: len(server.seen) == 2)
        lapsed, expired = server.seen
        assert (lapsed.kind, lapsed.sender, lapsed.message["hold"]) == ("lapse", "petrol", "H-1")
        assert (expired.kind, expired.sender, expired.points) == ("expire", None, 50)
