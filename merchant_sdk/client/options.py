"""The keywords of a merchant: the same for both faces."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypedDict

from ledger.log.policy import Policy
from merchant_sdk.settings import Key

if TYPE_CHECKING:
    import httpx2


class Options(TypedDict, total=False):
    """The keywords of a merchant. All of them may be left out, as far as the environment says them."""

    key: Key | None
    """The key of the order system (purpose `transact`), or a folder with a key file for each purpose."""
    keys: Mapping[str, Key] | None
    """Keys by purpose: transact, till, custody, govern."""
    chain: str | None
    """The chain string of the alliance: the anchor of all trust."""
    policy: Policy | str | bytes | None
    """A policy file; without one, epoch 0's follows from the chain."""
    outbox: str | os.PathLike[str] | None
    """Where signed transactions are kept; without a path, in memory, and gone with the process."""
    program: str | None
    """Our own program, where we issue several."""
    clock: Callable[[], int] | None
    """The ledger's time in milliseconds UTC, for simulations."""
    ids: Callable[[], str]
    """Makes transaction ids."""
    member_ids: Callable[[], str]
    """Makes the ids of new members."""
    lifetime_seconds: int | None
    """How long a signed transaction may wait to be taken."""
    timeout_seconds: float
    """How long a node may take to answer."""
    retries: int
    """How often what failed in passing is sent again."""
    group_seconds: float
    """How long a call may wait for company while others are under way."""
    group_messages: int
    """How many calls share a transaction at the most; 1: none does."""
    promise_seconds: float | None
    """After so long without an answer, and whenever an outcome is unknown, the operator's signed promise is
    asked for (`check_promises`); without it only `ask_promises` does.
    """
    http: httpx2.AsyncBaseTransport | None
    """Another way to carry requests, for tests and sandboxes."""
