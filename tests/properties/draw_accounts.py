"""Which account a random message is about: any with points, or one that fits what the message is to try."""

from __future__ import annotations

from tests.properties.draws import Draws

Account = tuple[str, str]


FITTED = {
    *("waiting", "foreign_custody", "till", "own_till", "expired_lot", "last_day", "several"),
    *("second_life", "owing"),
}
"""The twists that not every account is fit for."""


def fits(draws: Draws, sender: str, twist: str, account: Account) -> bool:
    """Whether this twist can be tried on this account."""
    member, program = account
    known = draws.state.members[member].at(draws.time)
    is_foreign = draws.state.programs[program].issuer != known.custodian
    likes = [like for like, _ in draws.state.accounts[account]]
    return {
        "waiting": is_foreign and known.waits_until > draws.time,
        "foreign_custody": is_foreign and known.public is None,
        "till": not is_foreign and not known.till_speaks,
        "own_till": not is_foreign and known.custodian == sender and known.till_speaks,
        "second_life": any(like[3] for like in likes),
        "owing": draws.state.debts.get(account, 0) > 0,
        "expired_lot": min(likes)[0] < draws.today,
        "last_day": any(like[0] == draws.today for like in likes),
        "several": len({like[2] for like in likes}) < len(likes),
    }[twist]


def find_account(draws: Draws, sender: str, twist: str | None, programs: list[str]) -> Account | None:
    """An account with points in one of these programs; for some twists one that fits."""
    if twist in FITTED:
        here = [account for account in draws.accounts if account[1] in programs]
        fitting = [account for account in here if fits(draws, sender, twist, account)]
        tight = [account for account in fitting if twist == "foreign_custody" and draws.is_tight(account)]
        if fitting:
            return draws.rng.choice(tight or fitting)
    held = [program for program in programs if draws.holders.get(program)]
    if not held:
        return None
    program = draws.rng.choice(held)
    return draws.rng.choice(draws.holders[program]), program


def find_tight_grant(draws: Draws, sender: str, kind: str) -> tuple[str, int] | None:
    """A program of which the sender may move only few points more, and how many."""
    tight = []
    for (program, of, to), grant in draws.state.grants.items():
        if (of, to) == (kind, sender) and grant.expires >= draws.time:
            today = grant.used_that_day if grant.day == draws.today else 0
            left = min(grant.budget_day - today, grant.budget_total - grant.used)
            if 0 <= left < 500:
                tight.append((program, left))
    return draws.rng.choice(tight) if tight else None


def find_till_edge(draws: Draws, sender: str, points: int) -> int:
    """As many points as one of the sender's tills may just take by itself, or one more."""
    edges = []
    for name, till in draws.state.tills.items():
        if draws.state.keys[name].participant == sender:
            today = till.used_that_day if till.day == draws.today else 0
            edges += [till.points_order, till.step_up, till.points_day - today]
    near = [edge + more for edge in edges for more in (0, 1) if edge + more < 2 * points + 20]
    return max(1, draws.rng.choice(near)) if near else points
