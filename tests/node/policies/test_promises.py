"""Intake promises: kept by a crash, and evidence where they are broken."""

from __future__ import annotations

import msgspec
import pytest

from contracts.messages import Enrol
from ledger.codec import encode
from ledger.errors import Refused
from ledger.evidence import BrokenPromise, judge_evidence
from ledger.promise import PROMISE_MILLIS_MAX, Absence, Promise, verify_absence, verify_promise
from node.promising import PROMISED_FOLDER, Promiser
from tests.contracts.cast import FRESH, PETROL, START, member_id
from tests.node.api.desk import Desk, code_of
from tests.node.engine.town import LOG_SIGNER, Town


def base(town: Town) -> dict[str, object]:
    return {
        "chain": town.chain,
        "genesis": [leaf.decode() for leaf in town.genesis],
        "policies": [],
    }


@pytest.fixture
def promising(tmp_path):
    desk = Desk(tmp_path)
    desk.core.promiser = Promiser(desk.core, LOG_SIGNER, tmp_path)
    try:
        yield desk
    finally:
        desk.close()


async def test_who_asks_is_promised_at_once_and_the_promise_is_kept(promising, tmp_path):
    data = promising.sign(FRESH, Enrol(member=member_id(7)))
    async with promising.client() as client:
        answer = await client.post("/v1/transactions?promise=yes", content=data)
        # Sent again without asking for one, it is answered as ever.
        taken = (await client.post("/v1/transactions", content=data)).json()
    assert answer.status_code == 202
    promise = msgspec.convert(answer.json(), Promise)
    assert encode(promise) == answer.content
    assert verify_promise(promise) == LOG_SIGNER.public
    assert promise.by == START + PROMISE_MILLIS_MAX
    assert taken["time"] <= promise.by
    assert list((tmp_path / PROMISED_FOLDER).iterdir()) == []


async def test_a_promise_is_never_for_later_than_the_transaction_lives(promising):
    data = promising.sign(FRESH, Enrol(member=member_id(7)), not_after=START + 5_000)
    assert promising.core.promise(data).by == START + 5_000


async def test_what_cannot_be_taken_is_not_promised(promising):
    data = promising.sign(FRESH, Enrol(member=member_id(7)), not_after=START - 1)
    async with promising.client() as client:
        late = await client.post("/v1/transactions?promise=yes", content=data)
        odd = await client.post("/v1/transactions?promise=no", content=data)
        both = await client.post("/v1/transactions?promise=yes&trusted_size=1", content=data)
    assert [code_of(each) for each in (late, odd, both)] == ["EXPIRED", "BAD_REQUEST", "BAD_REQUEST"]


async def test_that_there_is_no_transaction_is_signed_for_its_sender_alone(promising):
    taken = promising.must(FRESH, Enrol(member=member_id(7)))
    async with promising.client() as client:
        path = "/v1/transactions/{}/{}/absence"
        own = promising.asks(f"participant:{FRESH}")
        answer = await client.get(path.format(FRESH, "never-sent"), headers=own)
        known = await client.get(path.format(FRESH, "desk-1"), headers=own)
        others = await client.get(path.format(PETROL, "never-sent"), headers=own)
    absence = msgspec.convert(answer.json(), Absence)
    assert verify_absence(absence) == LOG_SIGNER.public
    assert (absence.size, absence.time) == (promising.core.head.size, taken.time)
    assert [code_of(each) for each in (known, others)] == ["NOT_FOUND", "NOT_FOUND"]


async def test_a_promise_that_the_log_forgot_is_proven_broken(promising):
    """The transaction is promised by a node that then loses it; the log goes on past the promised time."""
    data = promising.sign(FRESH, Enrol(member=member_id(7)))
    other = Town(promising.town.database.parent / "other").origin
    assert other.chain == promising.town.chain
    promise = forget(promising, data)
    early = promising.core.state_absence(FRESH, promise.id)
    promising.clock.at = promise.by + 1
    promising.must(FRESH, Enrol(member=member_id(8)))
    late = promising.core.state_absence(FRESH, promise.id)
    found = judge_evidence(
        BrokenPromise(**base(promising.town), promise=promise, absence=late), chain=promising.core.chain
    )
    assert (found.code, found.is_proven) == ("NEVER_TAKEN", True)
    kept = judge_evidence(
        BrokenPromise(**base(promising.town), promise=promise, absence=early), chain=promising.core.chain
    )
    assert not kept.is_proven


def forget(desk: Desk, data: bytes) -> Promise:
    """The promise of an operator who takes a transaction and throws it away."""
    from concurrent.futures import Future

    real = desk.core.submit
    desk.core.submit = lambda _data: Future()  # type: ignore[method-assign]
    try:
        return desk.core.promise(data)
    finally:
        desk.core.submit = real  # type: ignore[method-assign]


def test_what_was_promised_before_a_crash_is_taken_after_it(tmp_path):
    desk = Desk(tmp_path)
    data = desk.sign(FRESH, Enrol(member=member_id(7)))
    desk.core.promiser = Promiser(desk.core, LOG_SIGNER, tmp_path)
    promise = forget(desk, data)
    desk.close()
    assert len(list((tmp_path / PROMISED_FOLDER).iterdir())) == 1
    again = Desk(tmp_path)
    again._count = 10
    try:
        assert again.core.find_transaction(FRESH, promise.id) is None
        Promiser(again.core, LOG_SIGNER, tmp_path).resubmit()
        again.must(FRESH, Enrol(member=member_id(8)))
        assert again.core.find_transaction(FRESH, promise.id) is not None
        assert list((tmp_path / PROMISED_FOLDER).iterdir()) == []
    finally:
        again.close()


def test_a_chain_that_is_told_its_time_promises_nothing(tmp_path):
    desk = Desk(tmp_path, kind="simulated")
    try:
        desk.core.promiser = Promiser(desk.core, LOG_SIGNER, tmp_path)
        with pytest.raises(Refused, match="NOT_FOUND"):
            desk.core.promise(desk.sign(FRESH, Enrol(member=member_id(7))))
    finally:
        desk.close()
