"""Receipts as they are fetched: verified under the policy for their tree, and of the history we trust.

Where a receipt is of an epoch that we have not heard of, the node that gave it has to show that epoch first.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from merchant_sdk.client.reading import Reader
from merchant_sdk.client.submission import Submitter
from merchant_sdk.errors import RefusedByNode, Unverified
from merchant_sdk.origins import read_receipt_of
from merchant_sdk.receipt import OF_ANOTHER_EPOCH, Receipt
from merchant_sdk.settings import Settings

WITNESS_POLL_SECONDS: Final = 0.5


class Receipts(ABC):
    """The part of a connection that fetches receipts."""

    reader: Reader
    _settings: Settings
    _wait_with: Callable[[int, float], Any]

    @abstractmethod
    async def open(self) -> Any:
        """A node is met."""

    @abstractmethod
    def _get_submitter(self) -> Submitter[Any]:
        """Who knows what is trusted."""

    async def fetch_receipt(self, index: int, *, is_witnessed: bool = False) -> Receipt:
        """A verified receipt, of the history we trust; with enough cosignatures where that is asked for.

        Else the log's signature is enough, unless the merchant was given a policy that asks for more.
        """
        await self.open()
        submitter = self._get_submitter()
        answered = await self.reader.get_receipt(index, is_witnessed=is_witnessed)
        try:
            receipt = self._read_receipt(answered.data, is_witnessed=is_witnessed)
        except Unverified as error:
            # The alliance may have decided meanwhile whose word is enough.
            if error.code not in OF_ANOTHER_EPOCH or not await submitter.learn_policies(answered.url):
                raise
            receipt = self._read_receipt(answered.data, is_witnessed=is_witnessed)
        if receipt.index != index:
            raise Unverified("RECEIPT_OF_ANOTHER_ENTRY", facts={"asked": index, "found": receipt.index})
        await submitter.accept(receipt.note)
        return receipt

    def _read_receipt(self, data: bytes, *, is_witnessed: bool) -> Receipt:
        trust = self._get_submitter().trust
        # A policy that this merchant was given is demanded to the letter.
        is_strict = is_witnessed or (self._settings.policy is not None and trust.epoch == trust.first_epoch)
        return read_receipt_of(trust.policies, data, is_strict=is_strict, wait_with=self._wait_with)

    async def wait_witnessed(self, index: int, timeout_seconds: float) -> Receipt:
        """The receipt as soon as enough witnesses have cosigned a tree that holds the entry.

        Raises `RefusedByNode` ``NOT_WITNESSED`` after so long.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + timeout_seconds
        while True:
            try:
                return await self.fetch_receipt(index, is_witnessed=True)
            except RefusedByNode as refusal:
                left = end - clock()
                if refusal.code != "NOT_WITNESSED" or left <= 0:
                    raise
            await asyncio.sleep(min(WITNESS_POLL_SECONDS, left))
