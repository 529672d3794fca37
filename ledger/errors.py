"""Every way in which the core says no, and who is to blame.

    CommonpointError
    ├── Refused          what was asked cannot be taken up at all: nothing is recorded, the API answers 4xx
    ├── Rejected         what was asked was executed and turned down: recorded as the entry's outcome
    ├── InvalidBlock     a peer's block or a stored history does not follow the rules: drop it, name where
    ├── Unverified       evidence (a proof, a signature, a note, a receipt) does not show what it claims
    └── InvariantBroken  our own fault: nobody catches it, the node stops rather than go on wrong

Codes are part of the protocol: appended, never renamed. Texts may change at any time.
"""

from __future__ import annotations


class CommonpointError(Exception):
    """What all errors of the core share: a stable code and the values that led to it."""

    def __init__(self, code: str, **facts: object) -> None:
        self.code = code
        self.facts = facts
        told = ", ".join(f"{name}={value!r}" for name, value in sorted(facts.items()))
        super().__init__(f"{code} ({told})" if told else code)


class Refused(CommonpointError):
    """The bytes, keys, chain or clock alone decide that this is not taken up. Nothing is recorded."""


class Rejected(CommonpointError):
    """The asker's fault as the ledger's state shows it. Recorded; one `except` in the executor."""


class InvalidBlock(CommonpointError):
    """A block or a stored history that an honest, working node cannot have made."""

    def __init__(self, check: str, *, expected: object, found: object, index: int | None = None) -> None:
        self.check = check
        self.index = index
        facts: dict[str, object] = {"expected": expected, "found": found}
        if index is not None:
            facts["index"] = index
        super().__init__(check, **facts)


class Unverified(CommonpointError):
    """Evidence that does not show what it claims. ``code`` names the check that failed."""


class InvariantBroken(CommonpointError):
    """A promise of ours does not hold. The node stops and says which."""
