"""Vetting: all of a transaction that can be checked without the state, so that the core need not.

Size, shape, canonical form, counts, chain and digest are held to here, and a worker refuses what fails. The
signature is checked under a key that this node has taken transactions of before; for any other key, and where
the signature fails, the core looks for itself, since other reasons to refuse go before that one. What was
found counts only for the public key it was found under: the core compares that with the key in force.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from ledger.errors import Refused
from ledger.transaction import Transaction, TransactionDecoder, check_contents

KEYS_MAX: Final = 16_384


class Vetter:
    """Checks transactions of one chain."""

    def __init__(self, *, chain: str, message_type: Any) -> None:
        self._chain = chain
        self._decoder = TransactionDecoder(message_type)
        self._publics: OrderedDict[str, str] = OrderedDict()

    def vet(self, data: bytes) -> Transaction:
        """The transaction, with all that was found. Raises `Refused`, in the documented order, up to
        ``DIGEST_MISMATCH``.
        """
        transaction = self._decoder.decode(data)
        check_contents(transaction, chain=self._chain)
        public = self._publics.get(transaction.header.key)
        if public is not None:
            try:
                transaction.verify_signature(public)
            except Refused:
                # The core says so in its turn: the key may be revoked, or the time be over.
                transaction.verified_by = None
        return transaction

    def knows(self, key: str) -> bool:
        """Whether this key's signatures are checked here."""
        return key in self._publics

    def learn(self, key: str, public: str) -> None:
        """From here on they are. A key's id is the hash of its public part, so this never changes."""
        self._publics[key] = public
        if len(self._publics) > KEYS_MAX:
            self._publics.popitem(last=False)
