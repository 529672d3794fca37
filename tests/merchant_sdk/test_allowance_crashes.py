"""An allowance is never spent twice nor beyond what is held, whatever is killed, lost or shared."""

from __future__ import annotations

import subprocess
import sys

import pytest

from merchant_sdk import AllowanceError, UnknownOutcome
from node.sandbox import sandbox
from tests.merchant_sdk.killing import kill_after


@pytest.fixture
def alliance():
    with sandbox(merchants=("fresh", "petrol")) as alliance:
        yield alliance


@pytest.fixture
def shop(alliance, tmp_path):
    return alliance.merchant("fresh", outbox=tmp_path / "outbox.db", program="fresh", retries=0)


@pytest.fixture
def member(shop):
    """A member with 1,000 points."""
    member = shop.enrol()
    shop.earn(member, "1000", "A-0")
    return member


def reopen(alliance, tmp_path):
    return alliance.merchant("fresh", outbox=tmp_path / "outbox.db", program="fresh", retries=0)


SPENDING = """
import os, sys
from merchant_sdk import AllowanceError, Merchant

shop = Merchant("fresh", "http://127.0.0.1:9", key=bytes(32), chain=sys.argv[1], outbox=sys.argv[2],
                program="fresh", retries=0, clock=lambda: int(sys.argv[4]))
(allowance,) = shop.allowances()
number = 0
while True:
    number += 1
    try:
        spend = allowance.spend(1, f"{sys.argv[3]}-{number}")
    except AllowanceError as error:
        os.write(1, f"{error.code}\\n".encode())
        break
    os.write(1, f"{spend.order}\\n".encode())
"""


def test_a_till_killed_while_it_spends_has_spent_what_it_said_and_no_more(
    alliance, shop, member, tmp_path, repository
):
    allowance = shop.reserve(member, 1_000, without_code=True)
    path = str(tmp_path / "outbox.db")
    told = []
    for round_ in range(3):
        told += kill_after(
            [SPENDING, alliance.chain, path, f"K{round_}", str(alliance.clock())], 15, repository
        )
    written = {spend.order for spend in allowance.spends()}
    assert set(told) <= written
    # Each kill leaves at most the one that was under way.
    assert len(written) - len(told) <= 3
    assert allowance.settle().points == len(written)


def test_two_tills_with_one_file_never_spend_more_than_is_held(alliance, shop, member, tmp_path, repository):
    allowance = shop.reserve(member, 60, without_code=True)
    path = str(tmp_path / "outbox.db")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SPENDING, alliance.chain, path, name, str(alliance.clock())],
            stdout=subprocess.PIPE,
            text=True,
            cwd=repository,
        )
        for name in ("left", "right")
    ]
    told = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [lines[-1] for lines in told] == ["ALLOWANCE_USED_UP"] * 2
    orders = [order for lines in told for order in lines[:-1]]
    assert len(orders) == len(set(orders)) == 60 == allowance.spent
    assert allowance.settle().points == 60


class Lost(Exception):
    """Thrown in place of a process that dies."""


def test_settling_whose_reply_was_lost_is_settled_once(alliance, shop, member, monkeypatch):
    import httpx2

    allowance = shop.reserve(member, 100, without_code=True)
    allowance.spend(40, order="K-1")
    forward = alliance._line.handle_async_request

    async def lose(request):
        response = await forward(request)
        if request.method == "POST" and b"/v1/transactions" in request.url.raw_path:
            raise httpx2.ReadError("the reply was lost")
        return response

    monkeypatch.setattr(alliance._line, "handle_async_request", lose)
    with pytest.raises(UnknownOutcome):
        allowance.settle()
    # It may have happened, so nothing more is spent of it.
    with pytest.raises(AllowanceError, match="ALLOWANCE_SETTLED"):
        allowance.spend(1, order="K-2")
    monkeypatch.undo()
    (found,) = shop.allowances()
    done = found.settle()
    assert done.is_ok
    assert done.message.points == 40
    assert shop.balance(member).points == 960
    assert shop.allowances() == []
