"""Where trust begins: the pinned chain string, the genesis that hashes to it, and the policy that follows;
and the policies after that one, as a node shows them.

Here they are only read. What is believed of them `merchant_sdk.trust` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ledger import errors as core_errors
from ledger.codec import sha256
from ledger.genesis import Origin, read_genesis
from ledger.log.policy import Policy, format_policy
from ledger.policy_chain import PolicyChain, drop_quorum
from ledger.policy_steps import PolicyStep, read_shown_steps
from merchant_sdk.errors import Unverified
from merchant_sdk.receipt import Receipt, read_receipt_by


def read_origin(leaves: Sequence[str], *, chain: str) -> Origin:
    """The genesis these leaves are, which hashes to the pinned chain string. Raises `Unverified`."""
    try:
        origin = read_genesis([leaf.encode() for leaf in leaves])
    except (core_errors.InvalidBlock, UnicodeError) as error:
        raise Unverified("GENESIS_MALFORMED", facts={"reason": str(error)[:200]}) from None
    if origin.chain != chain:
        raise Unverified(
            "WRONG_CHAIN", "the node's ledger is not the one pinned", {"found": origin.chain, "pinned": chain}
        )
    return origin


def read_policies(data: bytes) -> list[PolicyStep]:
    """The steps that a node shows, in their order. Raises `Unverified`."""
    try:
        return read_shown_steps(data)
    except core_errors.Unverified as error:
        raise Unverified("ANSWER_MALFORMED", facts=error.facts) from None


def compute_anchor(policy: Policy) -> str:
    """Under what the policies that follow from this one are kept."""
    return sha256(format_policy(policy)).hex()


def read_receipt_of(
    policies: PolicyChain,
    data: bytes,
    *,
    is_strict: bool,
    wait_with: Callable[[int, float], Any],
) -> Receipt:
    """The receipt, verified under the policy for its tree; with its quorum where ``is_strict``.

    Raises `Unverified`.
    """
    receipt = read_receipt_by(
        policies, data, demand=lambda found: found.policy if is_strict else drop_quorum(found.policy)
    )
    return msgspec.structs.replace(receipt, wait_with=wait_with)
