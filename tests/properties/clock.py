"""What time the next block of a random history has: mostly moments later, at times the edge of something."""

from __future__ import annotations

from tests.properties.draws import DAY, Draws

SECOND, HOUR = 1_000, 3_600_000


def draw_time(draws: Draws) -> int:
    """Mostly moments later; at times the edge of a day, a key's last moment, or years."""
    rng, model, time = draws.rng, draws.model, draws.model.time
    chance = rng.random()
    if chance < 0.55:
        return time + rng.choice((0, 1, rng.randrange(5 * SECOND)))
    if chance < 0.78:
        return time + rng.randrange(1800 * SECOND)
    if chance < 0.86:
        return time + rng.randrange(24 * HOUR)
    if chance < 0.91:
        offset = model.offset * 60_000
        midnight = (time + offset) // DAY * DAY + DAY - offset
        return max(time, midnight + rng.choice((-1, 0, 1)))
    if chance < 0.94:
        return time + rng.randrange(5 * DAY)
    if chance < 0.95:
        return time + rng.randrange(20, 70) * DAY
    if chance < 0.953:
        return time + rng.randrange(300, 500) * DAY
    edges = find_edges(draws, chance)
    return min((edge for edge in edges if time <= edge <= time + 99 * DAY), default=time)


def find_edges(draws: Draws, chance: float) -> list[int]:
    """Moments at which something ends or begins: a lot, its grace, a hold, a wait."""
    state, offset = draws.model.state, draws.model.offset * 60_000
    if chance < 0.963:  # right after, or on, the day on which most lots lapse next
        days = {like[0] for lots in state.accounts.values() for like, _ in lots}
        shifts = (-1, 0, 0)
    elif chance < 0.974:  # the first and the last day of grace of something spent, and the day after
        grace = draws.parameter("refund_grace_days")
        late = list(state.spent.values())[-200:]
        days = {like[0] + wait for spent in late for like, _ in spent.lots for wait in (0, grace)}
        shifts = (-1, 0)
    elif chance < 0.986:  # while lots are held whose day ends
        days = {like[0] for hold in state.open_holds.values() for like, _ in hold.lots}
        shifts = (0, 1, 3_600_000)
    elif chance < 0.990:  # a window's clock, a proposal's last moment, the end of a cover
        edges = [
            window.clock for window in state.windows.values() if window.stands in ("closed", "confirmed")
        ]
        edges += [proposal.expires for proposal in state.proposals.values() if proposal.stands == "open"]
        edges += [-(-edge // 60_000) * 60_000 for edge in edges]
        edges += [cover.expires for cover in state.covers.values()]
        return [edge + shift for edge in edges for shift in (-1, 0, 1)]
    elif chance < 0.994:
        edges = [hold.expires for hold in state.open_holds.values()]
        edges += [-(-edge // 60_000) * 60_000 for edge in edges]
        return [edge + shift for edge in edges for shift in (-1, 0, 1)]
    else:
        members = state.members.values()
        edges = [member.pending[1] for member in members if member.pending]
        edges += [member.waits_until for member in members]
        return [edge + shift for edge in edges for shift in (-1, 0)]
    days = {day for day in days if day >= draws.today}
    after = (min(days, default=0) + 1) * DAY - offset
    return [after + draws.rng.choice(shifts)]
