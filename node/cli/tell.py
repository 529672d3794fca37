"""How the command line speaks: results on standard output, everything for people on standard error.

An error is one line that names its code and the values it is about, and one line that says what to do. There
is advice for every code that a person at a terminal can meet; an error may bring its own.
"""

from __future__ import annotations

from typing import Final

import typer

from ledger.errors import CommonpointError

GOOD: Final = 0
BAD: Final = 1
COULD_NOT_RUN: Final = 2
STOPPED: Final = 3

ADVICE: Final = {
    "BAD_REQUEST": "Check the values given on the command line.",
    "CHECKPOINT_DIFFERS": "commonpoint verify says where; restore ledger.db from a backup that verifies.",
    "DATABASE_MISSING": "Start the node once: commonpoint node --data DIR",
    "DATABASE_UNREADABLE": "Check who owns the file, and that the disk is well.",
    "ENTRIES_WITHHELD": "Give --token: commonpoint key token --data DIR --role auditor prints one.",
    "FOLD_MARK_DIFFERS": "Make state and look-ups anew from the log: commonpoint rebuild --data DIR",
    "GENESIS_DIFFERS": "genesis.jsonl and ledger.db are of two ledgers: restore both from one backup.",
    "GENESIS_KEY": "Each key is used once, is a fit Ed25519 key, and each participant has one to govern.",
    "GENESIS_MALFORMED": "Check names, ids and values: docs/spec/messages.md lists their forms.",
    "GENESIS_PARAMETER": "docs/spec/messages.md lists the parameters and their bounds.",
    "GENESIS_PARTICIPANTS": "Each participant is named once, and the operator is one of them.",
    "KEY_REFUSED": "Use the key file as commonpoint key new wrote it.",
    "LOG_BEHIND_FOLD": "Make state and look-ups anew from the log: commonpoint rebuild --data DIR",
    "LOG_KEY_DIFFERS": "keys/log.pem is not the key this ledger was begun with: restore it from a backup.",
    "MALFORMED": "docs/spec/messages.md lists the forms of ids, names and values.",
    "POLICY_MALFORMED": "A policy file is taken as it was written, line feed at the end included.",
    "POLICY_UNREADABLE": "Name the policy file; commonpoint show policy prints a ledger's own.",
    "SCHEMA_VERSION": "The data is of another version of this program: use that one.",
    "SOURCE_ANSWERED": "The address answers, but not as a log does: give the node's own address.",
    "SOURCE_UNREACHABLE": "Check the address, and that the node runs.",
    "TOKEN_REFUSED": "Make a fresh token: commonpoint key token --data DIR --role auditor",
    "URL_INVALID": "An address reads like http://127.0.0.1:8710",
}


def tell_error(error: CommonpointError) -> None:
    """The failure, and what can be done about it."""
    facts = ", ".join(f"{name}: {value}" for name, value in sorted(error.facts.items()))
    typer.echo(f"commonpoint: {error.code}" + (f" ({facts})" if facts else ""), err=True)
    advice = getattr(error, "advice", None) or ADVICE.get(error.code)
    if advice:
        typer.echo(f"  {advice}", err=True)


def tell(text: str) -> None:
    """A remark for people."""
    typer.echo(text, err=True)
