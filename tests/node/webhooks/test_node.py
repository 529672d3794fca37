"""A node as a process: what it delivers survives kill -9, and people can look at it from the command line."""

from __future__ import annotations

import shutil
import signal
import stat
import time

import httpx2
import pytest

from contracts.messages import Enrol
from ledger.transaction import sign_transaction
from node import keystore
from node.config import load_config
from tests.conftest import FULL
from tests.contracts.cast import member_id
from tests.node.cli.conftest import NodeProcess, begun, cli, plain_environment, start
from tests.node.webhooks.receiver import Answer

__all__ = ["NodeProcess", "begun", "cli", "plain_environment", "start"]


class Shop:
    """A merchant of the ledger that `begun` left, with its keys and its endpoint."""

    def __init__(self, cli, directory, keys) -> None:
        self.directory = directory
        self._cli = cli
        self._keys = keys
        self._count = 0

    def asks(self):
        token = self._cli("key", "token", "--data", self.directory, "--role", "participant:fresh")[1].strip()
        return {"authorization": f"Bearer {token}"}

    def register(self, node, url, **body):
        answer = httpx2.post(f"{node.url}/v1/webhooks", json={"url": url, **body}, headers=self.asks())
        assert answer.status_code == 200, answer.text
        return answer.json()

    def enrol(self, node, count):
        """So many members, one entry each: the index of the first."""
        messages = []
        for _ in range(count):
            self._count += 1
            messages.append(Enrol(member=member_id(1_000 + self._count)))
        signed = sign_transaction(
            messages,
            chain=load_config(self.directory).origin.chain,
            sender="fresh",
            transaction_id=f"shop-{self._count}",
            not_after=time.time_ns() // 1_000_000 + 600_000,
            signer=keystore.open_signer(self._keys, "custody"),
        )
        answer = httpx2.post(f"{node.url}/v1/transactions", content=signed.encode(), timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["index"] + 1


@pytest.fixture
def shop(begun, cli, tmp_path):
    shutil.copytree(begun, tmp_path / "ledger")
    return Shop(cli, tmp_path / "ledger", begun.parent / "fresh")


def start_node(start, shop):
    return start(shop.directory, "--webhooks-to-private")


@pytest.mark.parametrize("killed_at", [0, 1, 4] if FULL else [4])
def test_a_node_killed_with_a_delivery_in_hand_repeats_it_and_loses_none(start, shop, receive, killed_at):
    node = start_node(start, shop)

    def script(count, _delivery):
        if count == killed_at:
            # What came before was taken, and this one is here, but the node never hears of it.
            node.process.kill()
            node.process.wait()
        return Answer()

    receiver = receive(script)
    webhook = shop.register(node, receiver.url)
    first = shop.enrol(node, 6)
    receiver.wait(killed_at + 1)
    node.process.wait(20)
    node = start_node(start, shop)
    expected = list(range(first, first + 6))
    receiver.wait_until(lambda: receiver.places[-1:] == expected[-1:])
    assert node.stop()[0] == 0
    before, after = receiver.places[: killed_at + 1], receiver.places[killed_at + 1 :]
    assert before == expected[: killed_at + 1]
    # It goes on somewhere at or before the one that was in hand, and leaves nothing out from there.
    assert after == expected[expected.index(after[0]) :]
    assert after[0] <= before[-1]
    ids = {(delivery.place, delivery.headers["webhook-id"]) for delivery in receiver.deliveries}
    assert ids == {(place, f"{webhook['id']}_{place}") for place in expected}


def test_a_node_that_is_stopped_and_started_repeats_nothing(start, shop, receive):
    receiver = receive()
    node = start_node(start, shop)
    shop.register(node, receiver.url)
    first = shop.enrol(node, 3)
    receiver.wait(3)
    assert node.stop()[0] == 0
    node = start_node(start, shop)
    shop.enrol(node, 1)
    receiver.wait(4)
    assert receiver.places == [first, first + 1, first + 2, first + 5]
    assert node.stop()[0] == 0
    assert stat.S_IMODE((shop.directory / "webhooks.db").stat().st_mode) == 0o600


def test_without_the_option_a_node_delivers_to_nothing_private(start, shop, receive):
    receiver = receive()
    node = start_node(start, shop)
    webhook = shop.register(node, receiver.url)
    assert node.stop()[0] == 0
    node = start(shop.directory)
    answer = httpx2.post(f"{node.url}/v1/webhooks", json={"url": receiver.url}, headers=shop.asks())
    assert (answer.status_code, answer.json()["parameter"]) == (400, "url")
    shop.enrol(node, 1)
    for _ in range(100):
        shown = httpx2.get(f"{node.url}/v1/webhooks/{webhook['id']}", headers=shop.asks()).json()
        if shown["failures"]:
            break
        time.sleep(0.05)
    assert [failure["reason"] for failure in shown["failures"]] == ["URL_SCHEME"]
    assert receiver.deliveries == []


def test_a_stream_ends_when_the_node_is_told_to_stop(start, shop):
    node = start(shop.directory)
    headers = {**shop.asks(), "accept": "text/event-stream"}
    size = httpx2.get(f"{node.url}/v1/chain").json()["size"]
    with httpx2.stream(
        "GET", f"{node.url}/v1/events?after={size - 2}", headers=headers, timeout=20
    ) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        began = time.monotonic()
        node.process.send_signal(signal.SIGTERM)
        said = [line for line in lines if line]
    assert said == ["event: end", 'data: {"code":"STOPPING"}']
    assert node.stop()[0] == 0
    assert time.monotonic() - began < 8


def test_endpoints_are_looked_at_and_set_going_from_the_command_line(start, shop, receive, cli):
    at = ("--data", shop.directory)
    for path in shop.directory.glob("webhooks.db*"):
        path.unlink()
    status, _, err = cli("webhook", "list", *at)
    assert (status, "NO_WEBHOOKS" in err) == (2, True)
    receiver = receive(lambda _count, _delivery: Answer(410))
    node = start_node(start, shop)
    webhook = shop.register(node, receiver.url, types=["enrol"])
    first = shop.enrol(node, 2)
    receiver.wait(1)
    for _ in range(100):
        _, out, _ = cli("webhook", "list", *at)
        if "disabled (GONE)" in out:
            break
        time.sleep(0.05)
    assert webhook["id"] in out
    assert receiver.url in out
    _, out, _ = cli("webhook", "show", webhook["id"], *at)
    assert "HTTP_410" in out
    assert webhook["secret"] not in out
    # A node that runs hears of it.
    receiver.script = lambda _count, _delivery: Answer()
    assert cli("webhook", "enable", webhook["id"], *at)[0] == 0
    receiver.wait(3)
    assert cli("webhook", "redeliver", webhook["id"], "--after", first, *at)[0] == 0
    receiver.wait(4)
    assert receiver.places == [first, first, first + 1, first + 1]
    assert cli("webhook", "redeliver", webhook["id"], "--after", 10**6, *at)[0] == 2
    assert node.stop()[0] == 0
    # And so does one that starts later.
    assert cli("webhook", "redeliver", webhook["id"], "--after", first - 1, *at)[0] == 0
    node = start_node(start, shop)
    receiver.wait(6)
    assert node.stop()[0] == 0
    assert cli("webhook", "remove", webhook["id"], *at)[0] == 0
    status, _, err = cli("webhook", "show", webhook["id"], *at)
    assert (status, "WEBHOOK_UNKNOWN" in err) == (2, True)
