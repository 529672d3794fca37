"""Whose signatures count: one trust policy, or the chain of those that an alliance has decided on so far.

    policies = shop.policies()                       what the merchant has accepted, each under the one before
    Path("policies.json").write_text(policies.text)
    Receipt.read(data, policy=Path("policies.json").read_text())

A single policy judges the trees of its own epoch. With the chain a receipt of any epoch is judged by the
policy for its tree. Steps are proven again whenever they are read: of what a file says nothing is believed
but the policy that it begins with, as of a single policy. Later ones are fetched by a merchant, never here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Self

import msgspec
from msgspec import Meta, Struct

from ledger import errors as core_errors
from ledger.codec import decode, encode
from ledger.log.policy import Policy, format_policy, parse_policy
from ledger.policy_chain import PolicyChain, PolicyEpoch, drop_quorum
from ledger.policy_steps import EPOCHS_MAX, PolicyStep, read_steps
from merchant_sdk.errors import ConfigurationError, Unverified

_Epoch = Annotated[int, Meta(ge=0, le=EPOCHS_MAX)]


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    epoch: _Epoch
    """Of the policy that it begins with."""
    policy: str
    steps: list[PolicyStep]


_FILE: Final = msgspec.json.Decoder(_File)


class Policies:
    """A policy that was given, and all that follow from it. Never changes."""

    def __init__(
        self, policy: Policy | str | bytes, steps: Sequence[PolicyStep] = (), *, epoch: int | None = None
    ) -> None:
        """``epoch`` 0 says that it is the genesis's own; else the steps say which it is. Raises `Unverified`
        where they do not lead on from it; `ConfigurationError` for what is no policy of one log.
        """
        self._given = read_policy(policy)
        self.chain = _read_chain(self._given)
        """The chain string of the log."""
        try:
            # An alliance may have come back to what it began with.
            before = () if epoch == 0 else steps
            self.known = PolicyChain.of_policy(self._given, before, chain=self.chain)
            self.known.accept_all(steps)
        except core_errors.Unverified as error:
            detail = "a trust policy is not shown to follow from the one before"
            raise Unverified(error.code, detail, error.facts) from None

    @property
    def first_epoch(self) -> int:
        """The epoch of the policy that was given."""
        return self.known.epochs[0].epoch

    @property
    def epoch(self) -> int:
        """The newest one's."""
        return self.known.newest.epoch

    def extend(self, steps: Sequence[PolicyStep]) -> Policies:
        """With all that these steps lead to from the policy that was given. Raises as `Policies` does."""
        return Policies(self._given, steps, epoch=self.first_epoch if self.known.steps else None)

    def demand_signature(self, found: PolicyEpoch) -> Policy:
        """What an answer has to satisfy the moment it is given: the policy that was given to the letter, of a
        later one the log's signature.
        """
        return found.policy if found.epoch == self.first_epoch else drop_quorum(found.policy)

    @property
    def text(self) -> str:
        """As a file keeps it; `Policies.read` reads it."""
        policy = format_policy(self._given)
        try:
            data: bytes = encode(_File(self.first_epoch, policy.decode(), list(self.known.steps)))
            return data.decode() + "\n"
        except UnicodeError as error:
            raise ConfigurationError("this policy is not UTF-8", reason=str(error)) from None

    @classmethod
    def read(cls, text: str | bytes) -> Self:
        """What such a file says, proven anew. Raises `Unverified` or `ConfigurationError`."""
        try:
            data = text.encode() if isinstance(text, str) else text
            found = decode(data.removesuffix(b"\n"), _FILE)
        except (core_errors.Refused, UnicodeError) as error:
            raise ConfigurationError("this file of policies does not read", reason=str(error)) from None
        return cls(found.policy, found.steps, epoch=found.epoch)


def read_stored_steps(data: Sequence[bytes]) -> list[PolicyStep]:
    """The steps that an outbox kept, in their order. Raises `Unverified`."""
    try:
        return read_steps(data)
    except core_errors.Refused as error:
        detail = "what the outbox kept of trust policies does not read"
        raise Unverified("POLICY_MALFORMED", detail, error.facts) from None


def read_judge(policy: Policy | str | bytes | Policies) -> Policy | Policies:
    """One policy or the chain of them, as it is or out of a file.

    Raises `ConfigurationError` or `Unverified`.
    """
    if isinstance(policy, Policies):
        return policy
    # A policy's lines begin with a word.
    if (isinstance(policy, str) and policy.startswith("{")) or (
        isinstance(policy, bytes) and policy.startswith(b"{")
    ):
        return Policies.read(policy)
    return read_policy(policy)


def read_policy(policy: Policy | str | bytes) -> Policy:
    """The policy, or the one in the file's text. Raises `ConfigurationError`."""
    if isinstance(policy, Policy):
        return policy
    data = policy.encode("utf-8", "surrogateescape") if isinstance(policy, str) else policy
    try:
        return parse_policy(data)
    except core_errors.Refused as error:
        raise ConfigurationError("this policy file does not read", reason=str(error)) from None


def _read_chain(policy: Policy) -> str:
    chains = {log.key.name for log in policy.logs}
    if len(chains) != 1:
        raise ConfigurationError("policies follow from a policy of one log", logs=sorted(chains))
    return chains.pop()
