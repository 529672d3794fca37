"""One evening's ledger and the bundle of one of its orders, made in this process."""

from __future__ import annotations

import pytest

from node.bundle.directory import DirectoryOrders
from node.bundle.file import encode_bundle
from node.bundle.making import make_bundle
from node.config import load_config
from node.storage.orders import OrderSnapshot
from node.storage.policies import prove_stored_policies
from tests.node.cli.conftest import NodeProcess
from tests.node.cli.street import begin


def make_from(database, origin, *, sender, reference):
    """The bytes of a bundle from a database."""
    with OrderSnapshot(database) as snapshot:
        note = snapshot.read_checkpoint()
        policies = prove_stored_policies(snapshot, origin, database.parent)
        source = DirectoryOrders(snapshot, origin=origin, note=note, policies=policies)
        return encode_bundle(make_bundle(source, origin=origin, sender=sender, reference=reference))


@pytest.fixture(scope="module")
def evening(tmp_path_factory, repository):
    """A ledger with an evening's trade, its node stopped. Not to be changed."""
    street, node = begin(tmp_path_factory.mktemp("street"), repository, NodeProcess)
    status, said = node.stop()
    assert status == 0, said
    return street


@pytest.fixture(scope="module")
def made(evening):
    """The bundle of petrol's order O-1."""
    config = load_config(evening.directory)
    return make_from(config.database, config.origin, sender="petrol", reference="O-1")
