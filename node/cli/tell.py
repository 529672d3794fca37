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
    "ACTIONS_MALFORMED": "docs/spec/governance.md lists the actions and their fields.",
    "BAD_REQUEST": "Check the values given on the command line.",
    "BLOCK_DIFFERS": (
        "More than two thirds of the validators have come to another root after this height. Compare program "
        "versions with them; docs/how-to/recovery.md says how a validator comes back."
    ),
    "CHECKPOINT_DIFFERS": "commonpoint verify says where; restore ledger.db from a backup that verifies.",
    "DATABASE_MISSING": "Start the node once: commonpoint node --data DIR",
    "DATABASE_UNREADABLE": "Check who owns the file, and that the disk is well.",
    "ENGINE_FAILED": "CometBFT has given up: cometbft/cometbft.log in the data directory says over what.",
    "ENTRIES_WITHHELD": "Give --token: commonpoint key token --data DIR --role auditor prints one.",
    "FOLD_MARK_DIFFERS": "Make state and look-ups anew from the log: commonpoint rebuild --data DIR",
    "GENESIS_DIFFERS": "genesis.jsonl and ledger.db are of two ledgers: restore both from one backup.",
    "GENESIS_KEY": "Each key is used once, is a fit Ed25519 key, and each participant has one to govern.",
    "GENESIS_MALFORMED": "Check names, ids and values: docs/spec/messages.md lists their forms.",
    "GENESIS_PARAMETER": "docs/spec/messages.md lists the parameters and their bounds.",
    "GENESIS_PARTICIPANTS": "Each participant is named once, and the operator is one of them.",
    "KEY_REFUSED": "Use the key file as commonpoint key new wrote it.",
    "LOG_BEHIND_FOLD": "Make state and look-ups anew from the log: commonpoint rebuild --data DIR",
    "LOG_KEY_DIFFERS": "keys/log.pem is not a key that may sign this ledger now: restore it from a backup.",
    "LOG_KEY_RETIRED": (
        "The alliance's trust policy lists another log key from here on. Nothing is lost: put that key in "
        "the place of keys/log.pem, and start the node again."
    ),
    "MALFORMED": "docs/spec/messages.md lists the forms of ids, names and values.",
    "NO_LONGER_A_VALIDATOR": (
        "The alliance has voted for validators without this one, and no policy lists its log key. Nothing is "
        "lost, and nobody waits for it; commonpoint node --follow goes on reading, in a folder of its own."
    ),
    "POLICY_MALFORMED": "A policy file is taken as it was written, line feed at the end included.",
    "POLICY_UNREADABLE": "Name the policy file; commonpoint show policy prints a ledger's own.",
    "PROPOSAL_DIFFERS": "The node shows another proposal than the log holds: do not vote, ask its operator.",
    "PROPOSAL_UNPROVEN": "The node does not prove what it shows: do not vote, ask its operator.",
    "RULEBOOK_UNKNOWN": (
        "From this height on the ledger goes by rules that this program does not have. Nothing is lost: "
        "install a version of the program that knows them, and start it again."
    ),
    "SCHEMA_VERSION": (
        "The data is of another version of this program: use that one; or, where only the views are older, "
        "delete them (views.db), and the next start makes them again from the log."
    ),
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
