"""docs/how-to/merchant.md is true: its examples run against a real node and socket, its tables are whole."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from pathlib import Path

import pytest
import uvicorn

from merchant_sdk import CommonpointError, Merchant, RejectedByLedger, errors
from merchant_sdk.settings import read_settings
from node.keystore import make_folder, write_keys
from tests.merchant_sdk.genesis import seed_of
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
    write_keys(keys, {purpose: seed_of("fresh", purpose) for purpose in ("transact", "custody")})
    monkeypatch.chdir(tmp_path)
    for name, value in {"URL": url, "CHAIN": chain, "PARTICIPANT": "fresh", "KEY": str(keys)}.items():
        monkeypatch.setenv(f"COMMONPOINT_{name}", value)


def test_the_examples_run_as_they_stand_there(environment, examples, capsys, tmp_path):  # noqa: ARG001
    known: dict = {}
    for example in examples:
        exec(compile(example, "docs/how-to/merchant.md", "exec"), known)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "45 points, balance 45"
    assert [line.split()[1:] for line in printed[1:]] == [["redeem", "OK"], ["earn", "OK"], ["enrol", "OK"]]
    with Merchant(outbox="outbox.db") as shop:
        assert known["settle_what_is_open"](shop) == []
        assert known["exchange_all"](shop, known["wallet"], 11) == 5
        receipt = shop.receipt(known["done"].index)
        Path("receipt.json").write_bytes(receipt.data)
        Path("policy.txt").write_text(shop.policy())
    told = known["check"](tmp_path / "receipt.json", tmp_path / "policy.txt")
    assert told.startswith(f"entry {known['done'].index}: Earn(amount=45600000")
    assert told.endswith("was OK")


def test_every_error_has_its_place_in_the_guide(guide):
    told = guide.partition("## When something goes wrong")[2].partition("\n## ")[0]
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    names = {kind.__name__ for kind in classes if issubclass(kind, CommonpointError)} - {"CommonpointError"}
    assert {name for name in names if f"`{name}`" not in told} == set()
    assert RejectedByLedger.__name__ in names


def test_every_variable_of_the_environment_is_told(guide):
    source = Path(read_settings.__code__.co_filename).read_text(encoding="utf-8")
    for name in set(re.findall(r'"(COMMONPOINT_[A-Z_]+)"', source)):
        assert name in guide or name.replace("COMMONPOINT_KEY", "…") in guide, name
