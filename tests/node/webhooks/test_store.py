"""The webhooks' own database: what is written stays, and an older revision changes nothing."""

from __future__ import annotations

import msgspec
import pytest

from ledger.errors import InvariantBroken
from node.storage.webhooks import FAILURES_KEPT, Endpoint, Failure, WebhookStore

MANY = {"of_participant_max": 100, "in_all_max": 100}


def make_endpoint(name="wh_1", **fields):
    told = Endpoint(
        id=name, participant="fresh", url="https://shop.example/", secret="whsec_x", created_at=1, cursor=10
    )
    return msgspec.structs.replace(told, **fields)


@pytest.fixture
def store(tmp_path):
    store = WebhookStore(tmp_path / "webhooks.db")
    yield store
    store.close()


def test_what_is_registered_is_there_for_every_process(store, tmp_path):
    endpoint = make_endpoint(types=("earn", "redeem"))
    assert store.add(endpoint, **MANY)
    assert store.add(make_endpoint("wh_2", participant="petrol"), **MANY)
    other = WebhookStore(tmp_path / "webhooks.db")
    try:
        assert other.find("wh_1") == endpoint
        assert [each.id for each in other.list_all()] == ["wh_1", "wh_2"]
        assert [each.id for each in other.list_of("petrol")] == ["wh_2"]
        assert other.restart("wh_1", after=3)
        assert other.remove("wh_2")
    finally:
        other.close()
    assert (store.find("wh_1").cursor, store.find("wh_1").revision, store.find("wh_2")) == (3, 1, None)


def test_what_an_older_revision_brings_home_changes_nothing(store):
    old = make_endpoint()
    store.add(old, **MANY)
    assert store.advance(old, cursor=20, delivered_at=5)
    store.restart(old.id, after=3)
    failure = Failure(at=9, attempt=1, index=21, reason="HTTP_500")
    assert not store.advance(old, cursor=30, delivered_at=6)
    assert not store.note_failure(old, failure, cursor=30, next_at=99, disabled="GONE")
    found = store.find(old.id)
    assert (found.cursor, found.state, found.attempts, found.next_at) == (3, "enabled", 0, 0)
    assert store.list_failures(old.id) == []
    assert store.advance(found, cursor=4, delivered_at=7)


def test_no_more_failures_are_kept_than_somebody_reads_and_none_of_what_is_removed(store):
    endpoint = make_endpoint()
    store.add(endpoint, **MANY)
    for number in range(1, 26):
        failure = Failure(at=number, attempt=number, index=11, reason=f"HTTP_{500 + number}")
        assert store.note_failure(endpoint, failure, cursor=10, next_at=number + 1)
    kept = store.list_failures(endpoint.id)
    assert [failure.attempt for failure in kept] == list(range(25, 25 - FAILURES_KEPT, -1))
    found = store.find(endpoint.id)
    assert (found.attempts, found.next_at, found.cursor, found.state) == (25, 26, 10, "enabled")
    store.remove(endpoint.id)
    store.add(endpoint, **MANY)
    assert store.list_failures(endpoint.id) == []


def test_one_too_many_leaves_no_trace(store):
    assert store.add(make_endpoint("wh_1"), of_participant_max=1, in_all_max=2)
    assert not store.add(make_endpoint("wh_2"), of_participant_max=1, in_all_max=2)
    assert store.add(make_endpoint("wh_3", participant="petrol"), of_participant_max=1, in_all_max=2)
    assert not store.add(make_endpoint("wh_4", participant="pharmacy"), of_participant_max=1, in_all_max=2)
    assert [each.id for each in store.list_all()] == ["wh_1", "wh_3"]


def test_a_database_of_another_version_is_not_touched(store, tmp_path):
    store._write("UPDATE mark SET value = value + ?", (1,))
    with pytest.raises(InvariantBroken) as broken:
        WebhookStore(tmp_path / "webhooks.db")
    assert broken.value.code == "SCHEMA_VERSION"
