"""A log that contradicts itself ends up in one file, which proves it to anybody, offline."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.evidence import judge_evidence, read_evidence
from merchant_sdk import LogContradiction
from tests.merchant_sdk.genesis import LOG
from tests.merchant_sdk.notary import Notary
from tests.merchant_sdk.small_node import SmallNode
from tests.merchant_sdk.village import Village


async def make_fork(size: int) -> SmallNode:
    """Another history of the same ledger, signed with the same key, of at least this size."""
    village = Village(SmallNode())
    await village.begin()
    async with village.shop(program="fresh") as shop:
        while village.node.tree.size < size:
            await shop.enrol()
    return village.node


def judge(error: LogContradiction, chain: str):
    data = Path(error.evidence_file).read_bytes()
    assert data == error.evidence_data
    return judge_evidence(read_evidence(data), chain=chain)


async def test_a_rewritten_history_is_in_one_file_that_proves_it(village, shop, tmp_path):
    await shop.enrol()
    honest = village.node
    village.road.node = await make_fork(honest.tree.size + 20)
    with pytest.raises(LogContradiction, match="HISTORY_REWRITTEN") as caught:
        await shop.enrol()
    found = judge(caught.value, village.chain)
    assert (found.code, found.is_proven, found.is_one_of) == ("PREFIX_DIFFERS", True, False)
    assert [key.public for key in found.against] == [LOG.public]
    assert caught.value.fate == "unknown"
    files = [path.name for path in tmp_path.iterdir() if "evidence" in path.name]
    assert files == [Path(caught.value.evidence_file).name]


async def test_where_the_proof_leaves_out_a_root_the_one_that_does_not_is_asked_for(village, shop):
    """A consistency proof from a size that is a power of two does not show that tree's root."""
    trust = shop._connection._get_submitter().trust
    while (trust.trusted_size & (trust.trusted_size - 1)) != 0:
        await shop.enrol()
        if trust.trusted_size > 200:
            pytest.fail("the log grows past every power of two")
    village.road.node = await make_fork(trust.trusted_size + 40)
    with pytest.raises(LogContradiction) as caught:
        await shop.enrol()
    assert caught.value.finding.proof_from == trust.trusted_size - 1
    assert judge(caught.value, village.chain).code == "PREFIX_DIFFERS"


async def test_two_roots_of_one_size_are_in_one_file(village, shop):
    await shop.enrol()
    size = village.node.tree.size
    village.road.node = await make_fork(size)
    assert village.road.node.tree.size == size
    shop._connection._transport._met.clear()
    with pytest.raises(LogContradiction, match="SPLIT_VIEW") as caught:
        await shop.enrol()
    assert judge(caught.value, village.chain).code == "TWO_ROOTS"
    assert shop.list_evidence()[0].code == "SPLIT_VIEW"


async def test_without_a_file_for_an_outbox_the_error_holds_the_evidence(village):
    async with village.shop(program="fresh", retries=0) as shop:
        await shop.enrol()
        village.road.node = await make_fork(village.node.tree.size + 20)
        with pytest.raises(LogContradiction) as caught:
            await shop.enrol()
    assert caught.value.evidence_file is None
    assert judge_evidence(read_evidence(caught.value.evidence_data), chain=village.chain).is_proven


async def test_a_smaller_tree_alone_proves_nothing():
    notary = Notary()
    trust = notary.trust()
    await notary.grow()
    small = notary.node.checkpoint()
    await notary.grow()
    assert trust.accept(notary.node.checkpoint()) is not None
    size = trust.trusted_size
    proof = notary.node.prove_consistency(size, notary.node.tree.size)
    trust.accept(notary.node.checkpoint(), trusted_size=size, proof=proof)
    error = trust.find_shrinkage(small)
    found = judge_evidence(error.finding, chain=notary.node.chain)
    assert (found.code, found.is_proven) == ("PROOF_INCONCLUSIVE", False)
