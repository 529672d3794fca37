"""A disk that is full, a file that may only be read or is damaged: said clearly, before anything is sent."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest

from merchant_sdk import ConfigurationError, OutboxError
from merchant_sdk.outbox import Outbox
from tests.merchant_sdk.dying_shop import DONE
from tests.merchant_sdk.harbour import BadRoad
from tests.merchant_sdk.shops import Shops, leave_open, name_orders

NOBODY = 65_534


async def test_a_full_disk_is_said_before_anything_is_sent(shops):
    orders = name_orders(200)
    async with BadRoad(shops.harbour.port) as road:
        process = asyncio.to_thread(
            shops.run, "earn", references=orders, urls=[road.url], file_bytes_max=120_000
        )
        assert await process == DONE, shops.log
        failed = [line for line in shops.diary if line[0] == "failed"]
        done = [line[1] for line in shops.diary if line[0] == "done"]
        assert 0 < len(done) < 200
        assert {(fate, code) for _, _, fate, code, _ in failed} == {("not_sent", "OUTBOX")}
        assert all("disk" in text for *_, text in failed)
        # The seen ones are those done: of what failed not a byte left.
        assert road.seen == len(done)
    await shops.settle()
    counted = shops.count_done()
    assert [order for order in orders if counted[order]] == done


async def test_an_outbox_that_may_only_be_read_is_said_before_anything_is_sent(harbour, shops, nursery):
    # The fork gives up the rights with which a test may run, in a folder where it may do everything else.
    user = NOBODY if os.getuid() == 0 else 0
    with tempfile.TemporaryDirectory() as folder:
        shops = Shops(harbour, shops.member, nursery, Path(folder))
        Outbox(shops.outbox).close()
        os.chmod(folder, 0o777)  # noqa: PTH101
        os.chmod(shops.outbox, 0o444)  # noqa: PTH101
        assert shops.run("earn", references=name_orders(1), user=user) == DONE, shops.log
        (line,) = shops.diary
    assert line[:3] == ["error", "ConfigurationError", "not_sent"]
    assert "Permission denied" in line[3]


#   how a file is damaged; each is said when it is opened
DAMAGES = {
    "overwritten": lambda data: data[:4096] + os.urandom(8192) + data[12288:],
    "zeros in a page": lambda data: data[:8192] + bytes(4096) + data[12288:],
    "cut short": lambda data: data[:5000],
    "another file": lambda _: b"Dear Anna, this is no database. " * 300,
}


@pytest.mark.parametrize("how", DAMAGES)
async def test_a_damaged_outbox_is_said_to_be_damaged(shops, how):
    await leave_open(shops, 30)
    connection = sqlite3.connect(shops.outbox)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    shops.outbox.write_bytes(DAMAGES[how](shops.outbox.read_bytes()))
    with pytest.raises(ConfigurationError, match="damaged") as caught:
        Outbox(shops.outbox)
    assert caught.value.fate == "not_sent"


async def test_an_outbox_that_becomes_damaged_meanwhile_says_so_and_sends_nothing(shops, harbour):
    async with BadRoad(harbour.port) as road, harbour.shop(road.url, outbox=shops.outbox) as shop:
        await shop.connect()
        size = shops.outbox.stat().st_size
        for path in shops.outbox.parent.glob("outbox.db*"):
            path.write_bytes(b"\xff" * max(size, 65_536))
        with pytest.raises(OutboxError) as caught:
            await shop.earn(shops.member, "1", name_orders(1)[0])
        assert caught.value.fate == "not_sent"
        assert road.seen == 0
