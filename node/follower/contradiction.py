"""Two checkpoints that one log's key signed and should not have, as the file that `commonpoint evidence`
checks.

Where one tree is larger, the proof shows which root that tree has at the smaller size: it is another one than
was signed. Such a proof is made from the tiles of the larger tree, so whoever cannot have those gets a file
with two signed notes and no proof, which shows where to look and proves nothing yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.codec import to_base64url
from ledger.errors import Refused
from ledger.evidence import Contradiction, choose_proof_from
from ledger.genesis import Origin
from ledger.log.merkle import compute_consistency_proof
from ledger.policy_steps import PolicyStep
from node.follower.chain import Target

Node = Callable[[int, int], bytes]


def make_contradiction(
    origin: Origin, one: Target, other: Target, *, node: Node | None, policies: Sequence[PolicyStep]
) -> Contradiction:
    """The evidence; ``node`` is that of the larger tree, where that can be read."""
    smaller, larger = sorted((one, other), key=lambda target: target.checkpoint.size)
    old, new = smaller.checkpoint.size, larger.checkpoint.size
    begin = choose_proof_from(old)
    proof: list[bytes] = []
    if node is not None and 2 < old < new:
        try:
            proof = compute_consistency_proof(old=begin, new=new, node=node)
        except Refused:
            proof = []
    return Contradiction(
        chain=origin.chain,
        genesis=[leaf.decode() for leaf in origin.leaves],
        notes=[smaller.note, larger.note],
        policies=list(policies),
        proof=[to_base64url(each) for each in proof],
        proof_from=begin,
    )
