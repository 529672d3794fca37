"""What is turned down is recorded and looked up like everything else, and never in the node's way."""

from __future__ import annotations

from contracts.messages import Exchange
from tests.contracts.cast import FRESH, START, make_signer, member_id
from tests.contracts.letters import sign_consent
from tests.node.engine.town import codes_of, submit


def test_a_message_that_is_turned_down_cannot_stop_the_node(town):
    """Every entry is looked up by whom it concerns, also one that names the same member and program twice."""
    core = town.open()
    town.settle(core)
    member = member_id(1)
    consent = sign_consent(
        town.chain,
        make_signer(FRESH, "custody"),
        counterparty=member,
        expires=START + 1000,
        least=1,
        member=member,
        points=5,
        program="leaf",
        purpose="exchange",
        target="leaf",
    )
    message = Exchange(
        consent=consent,
        least=1,
        member=member,
        occurred_at=START,
        points=5,
        program="leaf",
        rate_height=0,
        recipient=member,
        reference="x",
        series="leaf-1",
        target="leaf",
    )
    taken = submit(core, town.sign(FRESH, "self", message))
    assert codes_of(taken) == {"PROGRAMS_MUST_DIFFER"}
    assert core.find_history(member, "leaf", None, 9) == [taken.index + 1]
    core.stop()
    core = town.open()
    assert core.find_history(member, "leaf", None, 9) == [taken.index + 1]
