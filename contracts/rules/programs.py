"""Programs: what an issuer's points are worth, and who else may make or accept them.

Two prices a series, never a table of pairs. par_accrue is never below par_redeem, nor below any par_redeem
announced, so neither a cycle of exchanges nor waiting for an announced rise can gain. A par may rise; it may
fall only inside a band measured from the series' opening, and a bigger fall opens a new series, while points
already earned keep their value. Everything takes effect at a height announced before. Grants are the issuer's
own to give and to end at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from contracts.mechanics.grants import get_grant_key
from contracts.mechanics.parameters import check_announced, get_parameter
from contracts.mechanics.records import (
    GRANT,
    PARTICIPANT,
    PROGRAM,
    SERIES,
    GrantRecord,
    OpenedSeries,
    Pars,
    Program,
    Series,
)
from contracts.mechanics.terms import get_pars
from contracts.messages.registry import AnnouncePar, Grant, OpenProgram, OpenSeries, RevokeGrant
from contracts.messages.reject_codes import OK
from ledger.errors import Rejected
from ledger.outcome import Outcome
from ledger.rule import NO_READS, Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView

_GOVERN: Final = frozenset({"govern"})


def open_program(state: StateView, asked: Asked, message: OpenProgram) -> Decision:
    """The sender becomes the issuer of a program without a series yet."""
    if state.get(PROGRAM, message.program) is not None:
        raise Rejected("PROGRAM_EXISTS", program=message.program)
    record = Program(asked.sender, message.name, message.spend_per_point, asked.block.day, ())
    return Decision(Outcome(code=OK), (), [(PROGRAM, message.program, record)])


def open_series(state: StateView, asked: Asked, message: OpenSeries) -> Decision:
    """From a height ahead, what is issued is of this series."""
    program = _get_own_program(state, asked, message.program)
    key = f"{message.program}|{message.series}"
    if state.get(SERIES, key) is not None:
        raise Rejected("SERIES_EXISTS", series=message.series)
    height = message.effective_height
    if height <= asked.block.height:
        raise Rejected("HEIGHT_NOT_AHEAD", height=height)
    ahead = [opened for opened in program.series if opened.height > asked.block.height]
    if ahead and height <= ahead[-1].height:
        raise Rejected("HEIGHT_NOT_AHEAD", height=height, last=ahead[-1].height)
    check_announced(len(ahead))
    if program.series:
        _check_notice(state, asked, height)
    _check_pars(state, asked, message.par_redeem, message.par_accrue)
    # Whoever came before the one in force has its record, and is not looked at again.
    in_force = [opened for opened in program.series if opened.height <= asked.block.height][-1:]
    openings = (*in_force, *ahead, OpenedSeries(height, message.series))
    series = Series(height, message.expiry_months, (Pars(height, message.par_accrue, message.par_redeem),))
    changes = [
        (PROGRAM, message.program, replace(program, series=openings)),
        (SERIES, key, series),
    ]
    return Decision(Outcome(code=OK), (), changes)


def announce_par(state: StateView, asked: Asked, message: AnnouncePar) -> Decision:
    """A series' prices change at a height, announced long enough before."""
    _get_own_program(state, asked, message.program)
    key = f"{message.program}|{message.series}"
    series: Series | None = state.get(SERIES, key)
    if series is None:
        raise Rejected("SERIES_UNKNOWN", program=message.program, series=message.series)
    _check_notice(state, asked, message.effective_height)
    if message.effective_height <= series.pars[-1].height:
        raise Rejected("PAR_NOT_IN_ORDER", height=message.effective_height, last=series.pars[-1].height)
    _check_floor(state, asked, message.par_redeem)
    opening = series.pars[0].redeem
    band = get_parameter(state, asked.block, "par_band_basis_points")
    # The bound is rounded up, in favour of who holds the points.
    if message.par_redeem < -(-opening * (10_000 - band) // 10_000):
        raise Rejected("PAR_OUTSIDE_BAND", par_redeem=message.par_redeem, opening=opening)
    in_force = get_pars(series, height=asked.block.height)
    announced = [pars for pars in series.pars[1:] if pars.height > asked.block.height]
    new = Pars(message.effective_height, message.par_accrue, message.par_redeem)
    _check_no_wait_gains([in_force, *announced, new])
    check_announced(len(announced))
    # The opening pars stay, since the band is measured from them; what is no longer in force may go.
    kept = (series.pars[0],) if in_force is series.pars[0] else (series.pars[0], in_force)
    return Decision(Outcome(code=OK), (), [(SERIES, key, replace(series, pars=(*kept, *announced, new)))])


def grant(state: StateView, asked: Asked, message: Grant) -> Decision:
    """Another participant may make or accept the issuer's points, within a budget that starts anew."""
    _get_own_program(state, asked, message.program)
    if state.get(PARTICIPANT, message.to) is None:
        raise Rejected("PARTICIPANT_UNKNOWN", participant=message.to)
    if message.to == asked.sender:
        raise Rejected("GRANT_TO_SELF", participant=message.to)
    if message.expires < asked.block.time:
        raise Rejected("GRANT_EXPIRED", expires=message.expires, time=asked.block.time)
    key = get_grant_key(message.program, message.to, message.kind)
    record = GrantRecord(message.budget_day, message.budget_total, message.expires, asked.block.day, 0, 0)
    return Decision(Outcome(code=OK), (), [(GRANT, key, record)])


def revoke_grant(state: StateView, asked: Asked, message: RevokeGrant) -> Decision:
    """The grant ends at once."""
    _get_own_program(state, asked, message.program)
    key = get_grant_key(message.program, message.to, message.kind)
    if state.get(GRANT, key) is None:
        raise Rejected("GRANT_UNKNOWN", grant=key)
    return Decision(Outcome(code=OK), (), [(GRANT, key, None)])


def _get_own_program(state: StateView, asked: Asked, program: str) -> Program:
    """A program whose issuer is the sender. Raises `Rejected` ``PROGRAM_UNKNOWN`` or ``NOT_ISSUER``."""
    record: Program | None = state.get(PROGRAM, program)
    if record is None:
        raise Rejected("PROGRAM_UNKNOWN", program=program)
    if record.issuer != asked.sender:
        raise Rejected("NOT_ISSUER", program=program, issuer=record.issuer)
    return record


def _check_notice(state: StateView, asked: Asked, height: int) -> None:
    """A height lies at least the notice period ahead."""
    earliest = asked.block.height + get_parameter(state, asked.block, "rate_notice_heights")
    if height < earliest:
        raise Rejected("NOTICE_TOO_SHORT", height=height, earliest=earliest)


def _check_floor(state: StateView, asked: Asked, par_redeem: int) -> None:
    """A point is worth at least the alliance's floor."""
    floor = get_parameter(state, asked.block, "par_floor_micros")
    if par_redeem < floor:
        raise Rejected("PAR_BELOW_FLOOR", par_redeem=par_redeem, floor=floor)


def _check_pars(state: StateView, asked: Asked, par_redeem: int, par_accrue: int) -> None:
    """Opening pars keep the floor and the order."""
    _check_floor(state, asked, par_redeem)
    if par_accrue < par_redeem:
        raise Rejected("PAR_ACCRUE_BELOW_REDEEM", par_accrue=par_accrue, par_redeem=par_redeem)


def _check_no_wait_gains(ahead: list[Pars]) -> None:
    """From now on, par_accrue is never below a par_redeem in force then or announced for later."""
    highest_later = 0
    for pars in reversed(ahead):
        highest_later = max(highest_later, pars.redeem)
        if pars.accrue < highest_later:
            raise Rejected(
                "PAR_ACCRUE_BELOW_REDEEM", height=pars.height, accrue=pars.accrue, redeem=highest_later
            )


def reads(block: BlockContext, sender: str, message: Any) -> Sequence[Key]:
    """Program messages are rare: what they read is read as it is needed."""
    return NO_READS


RULES: Final = (
    Rule(OpenProgram, _GOVERN, open_program, reads),
    Rule(OpenSeries, _GOVERN, open_series, reads),
    Rule(AnnouncePar, _GOVERN, announce_par, reads),
    Rule(Grant, _GOVERN, grant, reads),
    Rule(RevokeGrant, _GOVERN, revoke_grant, reads),
)
