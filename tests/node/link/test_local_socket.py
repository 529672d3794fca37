"""Whatever comes through the local socket: what is wrong is told as over HTTP, and nothing is recorded."""

from __future__ import annotations

import asyncio
import socket

import pytest

from contracts.messages import Enrol, RevokeKey
from ledger.codec import to_base64url
from ledger.errors import Refused
from ledger.transaction import TransactionDecoder, Vetting
from node.link.client import LocalClient
from node.link.local_socket import ANSWER, REQUEST, UNANSWERED_MAX
from node.link.supervisor import SOCKET_FILE
from tests.contracts.cast import FRESH, make_signer, member_id
from tests.node.api.desk import code_of
from tests.node.api.spoiled import sign_as, spoil
from tests.node.api.test_hostile_requests import REFUSED
from tests.node.api.test_submitting import prove_answer
from tests.node.engine.town import RULEBOOK
from tests.node.link.linked import LinkedDesk

PATH = "/v1/transactions"


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A node that has traded, and one of whose tills was revoked."""
    desk = LinkedDesk(tmp_path_factory.mktemp("local"))
    try:
        desk.trade()
        desk.must(FRESH, RevokeKey(key=make_signer(FRESH, "till").key_id))
        yield desk
    finally:
        desk.close()


async def test_each_refusal_is_the_very_bytes_that_http_says(busy):
    size = busy.core.head.size
    async with await LocalClient.open(busy.folder / SOCKET_FILE) as node, busy.client() as client:
        for what, make, status, code in REFUSED:
            data = make(busy)
            if len(data) > 2_100_000:
                continue  # too large for a connection to go on after it
            told = await asyncio.wait_for(node.submit(data), 30)
            over_http = await client.post(PATH, content=data)
            assert (told.status, code_of(over_http)) == (status, code), what
            assert told.body == over_http.content, what
        unknown = await node.submit(b"{}", trusted_size=size + 1)
        assert unknown.status == 400
        assert b"BAD_SIZES" in unknown.body
    assert busy.core.head.size == size


async def test_an_answer_proves_itself(busy):
    size = busy.core.head.size
    root = busy.core._chain._tree.root()
    data = busy.sign(FRESH, *[Enrol(member=member_id(2_000 + number)) for number in range(3)])
    async with await LocalClient.open(busy.folder / SOCKET_FILE) as node, busy.client() as client:
        told = await node.submit(data, trusted_size=size)
        over_http = await client.post(f"{PATH}?trusted_size={size}", content=data)
    assert told.body == over_http.content
    prove_answer(busy, data, over_http, trusted=(size, root))


@pytest.mark.parametrize(
    "garbage",
    [
        REQUEST.pack(2**32 - 1, 1, 0),
        REQUEST.pack(2_101_249, 7, 0) + b"x" * 100,
        b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(256)) * 64,
    ],
)
def test_what_is_no_request_ends_its_connection_and_no_other(busy, garbage):
    with connect(busy) as other, connect(busy) as line:
        line.sendall(garbage)
        line.shutdown(socket.SHUT_WR)
        while line.recv(65_536):
            pass
        other.sendall(REQUEST.pack(2, 9, 0) + b"{}")
        length, number, status = ANSWER.unpack(other.recv(ANSWER.size))
        assert (number, status) == (9, 400)
        assert b"MALFORMED" in other.recv(length)


def test_requests_in_single_bytes_are_whole_in_the_end(busy):
    data = REQUEST.pack(2, 1, 0) + b"[]" + REQUEST.pack(2, 2, 0) + b"{}"
    with connect(busy) as line:
        for place in range(len(data)):
            line.sendall(data[place : place + 1])
        heard = b""
        while heard.count(b"MALFORMED") < 2:
            heard += line.recv(65_536)


def test_one_who_never_listens_holds_up_nobody(busy):
    with connect(busy) as deaf, connect(busy) as other:
        deaf.setblocking(False)
        piece = (REQUEST.pack(2, 1, 0) + b"[]") * 1_000
        sent = 0
        try:
            while sent < 200_000_000:
                sent += deaf.send(piece)
        except BlockingIOError:
            pass
        # Nothing more is read of it than it takes answers to.
        assert sent < 100_000_000
        other.settimeout(20)
        other.sendall(REQUEST.pack(2, 9, 0) + b"{}")
        assert ANSWER.unpack(other.recv(ANSWER.size))[1:] == (9, 400)


async def test_more_than_may_be_under_way_are_all_answered(busy):
    count = UNANSWERED_MAX + 500
    data = [busy.sign(FRESH, Enrol(member=member_id(10_000 + number))) for number in range(count)]
    async with await LocalClient.open(busy.folder / SOCKET_FILE) as node:
        heard = await asyncio.gather(*[node.submit(each) for each in data])
    assert {each.status for each in heard} == {200}


def test_a_vetting_under_another_key_counts_for_nothing(busy):
    """The core compares the key under which a worker found the signature valid with the one in force."""
    decoder = TransactionDecoder(RULEBOOK.message_type)
    stranger = make_signer("stranger")
    forged = sign_as(busy, stranger)
    transaction = decoder.decode(forged)
    transaction.verify_signature(to_base64url(stranger.public))
    assert transaction.verified_by
    vetted = busy.core.decode_vetted(forged, transaction.vetting)
    with pytest.raises(Refused) as refused:
        busy.core.admit(vetted)
    assert refused.value.code == "SIGNATURE_INVALID"


def test_a_vetting_of_another_transaction_is_refused(busy):
    decoder = TransactionDecoder(RULEBOOK.message_type)
    one, two = decoder.decode(spoil(busy)), busy.sign(FRESH, *[Enrol(member=member_id(1))] * 2)
    with pytest.raises(Refused):
        busy.core.decode_vetted(two, one.vetting)
    with pytest.raises(Refused):
        busy.core.decode_vetted(b"{}", Vetting([], b"", ""))


def connect(desk):
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(30)
    line.connect(str(desk.folder / SOCKET_FILE))
    return line
