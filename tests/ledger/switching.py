"""Two rulebooks between which the operator switches by a message: what an alliance takes a vote for.

They are today's rules, but that `set_parameter` activates the version that its value names. The first has
none for gifts; under the second everybody is a member already.
"""

from __future__ import annotations

from contracts.messages import Enrol, Gift, SetParameter
from contracts.messages.consent_text import Consent
from contracts.rulebook import CURRENT
from ledger.errors import Rejected
from ledger.outcome import Outcome
from ledger.rule import Decision
from ledger.versions import RULEBOOK_KEY, RULEBOOK_TABLE
from tests.contracts.cast import ANNA, BORIS

UNKNOWN = 7


def activate(_state, _asked, message):
    """What this message says is the version in force from the next block on; there is no version 0."""
    if message.value == 0:
        raise Rejected("PARAMETER_OUT_OF_BOUNDS")
    return Decision(Outcome(code="OK"), changes=[(RULEBOOK_TABLE, RULEBOOK_KEY, message.value)])


def enrol_nobody(_state, _asked, _message):
    raise Rejected("MEMBER_EXISTS")


ACTIVATING = {**CURRENT.rules, SetParameter: CURRENT.rules[SetParameter]._replace(decide=activate)}
LATER = {**ACTIVATING, Enrol: ACTIVATING[Enrol]._replace(decide=enrol_nobody)}
FIRST = CURRENT._replace(
    version=1, rules={kind: rule for kind, rule in ACTIVATING.items() if kind is not Gift}
)
SECOND = CURRENT._replace(version=2, rules=LATER)
BOTH = {1: FIRST, 2: SECOND}


def switch(version: int) -> SetParameter:
    """The operator's message that these rulebooks take for an activation."""
    return SetParameter(effective_height=99, parameter="hold_seconds_max", value=version)


def give_away() -> Gift:
    """A gift that any rule would turn down: all that counts is whether there is one."""
    consent = Consent(BORIS, 1, "0" * 16, "A" * 22, 1, "A" * 86)
    return Gift(consent, ANNA, 1_700_000_000_000, 1, "leaf", BORIS, "g-1")
