"""Pricing: a par falls further than its issuer alone may let it fall.

The opening par stays, so the band in which the issuer moves is measured from it as before and cannot be
walked down in small steps. A quote from before dies with the height from which the new par holds.
"""

from __future__ import annotations

from msgspec.structs import replace

from contracts.mechanics.enactment import Effects
from contracts.mechanics.parameters import get_parameter
from contracts.mechanics.records import PROGRAM, SERIES, Pars, Series
from contracts.mechanics.terms import get_pars
from contracts.messages.actions import SetPar
from ledger.errors import Rejected
from ledger.rule import BlockContext
from ledger.state import StateView


def do_set_par(state: StateView, block: BlockContext, action: SetPar) -> Effects:
    """A series' prices fall; what its issuer announced for later is void."""
    if state.get(PROGRAM, action.program) is None:
        raise Rejected("PROGRAM_UNKNOWN", program=action.program)
    key = f"{action.program}|{action.series}"
    series: Series | None = state.get(SERIES, key)
    if series is None:
        raise Rejected("SERIES_UNKNOWN", program=action.program, series=action.series)
    floor = get_parameter(state, block, "par_floor_micros")
    if action.par_redeem < floor:
        raise Rejected("PAR_BELOW_FLOOR", par_redeem=action.par_redeem, floor=floor)
    in_force = get_pars(series, height=block.height)
    if action.par_redeem >= in_force.redeem:
        raise Rejected("PAR_RISE_NEEDS_NO_VOTE", par_redeem=action.par_redeem, in_force=in_force.redeem)
    if action.par_accrue < action.par_redeem:
        raise Rejected("PAR_ACCRUE_BELOW_REDEEM", par_accrue=action.par_accrue, par_redeem=action.par_redeem)
    fallen = Pars(block.height, action.par_accrue, action.par_redeem)
    return Effects([(SERIES, key, replace(series, pars=(series.pars[0], fallen)))])
