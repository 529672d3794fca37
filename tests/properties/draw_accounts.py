"""Which account a random message is about: any with points, or one that fits what the message is to try."""

from __future__ import annotations

from tests.properties.draws import Draws

Account = tuple[str, str]


def fits(draws: Draws, twist: str, account: Account) -> bool:
    """Whether this twist can be tried on this account."""
    member, program = account
    known = draws.state.members[member].at(draws.time)
    is_foreign = draws.state.programs[program].issuer != known.custodian
    likes = [like for like, _ in draws.state.accounts[account]]
    return {
        "waiting": is_foreign and known.waits_until > draws.time,
        "foreign_custody": is_foreign and known.public is None,
        "till": not is_foreign and not known.till_speaks,
        "expired_lot": likes[0][0] < draws.today,
        "last_day": any(like[0] == draws.today for like in likes),
        "several": len({like[2] for like in likes}) < len(likes),
    }[twist]


def find_account(draws: Draws, twist: str | None, programs: list[str]) -> Account | None:
    """An account with points in one of these programs; for some twists one that fits."""
    if twist in ("waiting", "foreign_custody", "till", "expired_lot", "last_day", "several"):
        here = [account for account in draws.accounts if account[1] in programs]
        fitting = [account for account in here if fits(draws, twist, account)]
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
