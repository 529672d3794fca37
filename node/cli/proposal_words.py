"""Proposals in words: what each would do, who is for it, what it still takes, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from node.cli.proposing import decode_actions
from node.preview.words import tell_action, tell_share

_WHOLE = 10_000
_ENDS = {
    "cancelled": "its proposer took it back",
    "enacted": "it was enacted",
    "failed": "it had passed, and could not be enacted when its height came",
    "rejected": "its time was over before enough weight was for it",
}


def tell_government(government: dict[str, Any]) -> str:
    """Who votes with what weight, and what each kind of decision takes."""
    votes = ", ".join(f"{each['participant']} ({each['weight']})" for each in government["voters"])
    lines = [f"votes: {votes}; configuration {government['configuration']}"]
    for rule in government["rules"]:
        notice = f", {rule['notice_heights']:,} heights of notice" if rule["notice_heights"] else ""
        lines.append(f"  {rule['kind']}: {tell_share(rule['approve_basis_points'])} of all weight{notice}")
    return "\n".join(lines)


def tell_proposal(told: dict[str, Any], government: dict[str, Any], *, utc_offset_minutes: int) -> str:
    """One proposal, as a node shows it."""
    lines = [f"{told['proposal']}  {told['state']}"]
    for number, action in enumerate(decode_actions(told["actions"]), start=1):
        lines.append(f"  {number}. {tell_action(action)}")
    lines.append(f"  proposed by {told['proposer']} in entry {told['index']:,}")
    lines.append(f"  for it: {_tell_names(told['yes'])}; against it: {_tell_names(told['no'])}")
    if told["state"] == "open":
        lines += _tell_open(told, government, utc_offset_minutes=utc_offset_minutes)
    elif told["state"] == "passed":
        lines.append(f"  it has passed, and is enacted at height {told['enacts_at']:,}")
    else:
        lines.append(f"  {_ENDS[told['state']]}")
    return "\n".join(lines)


def _tell_open(told: dict[str, Any], government: dict[str, Any], *, utc_offset_minutes: int) -> list[str]:
    """What it still takes."""
    weight_for, weight_all = told["weight_for"], told["weight_all"]
    needed = -(-told["approve_basis_points"] * weight_all // _WHOLE)
    waiting = [
        f"{each['participant']} ({each['weight']})"
        for each in government["voters"]
        if each["participant"] not in {*told["yes"], *told["no"]}
    ]
    share = tell_share(told["approve_basis_points"])
    notice = max(1, told["notice_heights"])
    lines = [
        f"  it takes {share} of all weight: {needed} of {weight_all}",
        f"  {weight_for} are for it, {max(0, needed - weight_for)} are missing",
        f"  not voted yet: {', '.join(waiting) or 'nobody'}",
        f"  it can be voted on until {_tell_time(told['expires'], utc_offset_minutes)}",
        f"  enacted at height {told['effective_height']:,} at the earliest",
        f"  and no sooner than {notice:,} heights after it has passed",
    ]
    if told["configuration"] != government["configuration"]:
        lines.append("  it cannot pass any more: voters or voting rules are others since it was made")
    return lines


def _tell_names(names: list[str]) -> str:
    return ", ".join(names) or "nobody"


def _tell_time(millis: int, utc_offset_minutes: int) -> str:
    """A time in the chain's offset, which is said."""
    shifted = datetime.fromtimestamp(millis // 1000, tz=UTC) + timedelta(minutes=utc_offset_minutes)
    hours, minutes = divmod(abs(utc_offset_minutes), 60)
    sign = "-" if utc_offset_minutes < 0 else "+"
    return f"{shifted:%Y-%m-%d %H:%M} ({sign}{hours:02d}:{minutes:02d})"
