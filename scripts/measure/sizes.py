"""Sizes: bytes of a leaf, and of the log and the views an operation."""

from __future__ import annotations

from typing import Final, NamedTuple

from scripts.measure.site import Site

_AT_A_TIME: Final = 4_096


class Sizes(NamedTuple):
    """Bytes."""

    leaves: int
    mean_leaf: float
    largest_leaf: int


def measure_leaves(site: Site, *, first: int) -> Sizes:
    """The leaves from ``first`` on."""
    core = site.open_core()
    try:
        size = core.head.size
        total = largest = 0
        for start in range(first, size, _AT_A_TIME):
            lengths = [len(leaf) for leaf in core.read_leaves(start, min(size, start + _AT_A_TIME))]
            total += sum(lengths)
            largest = max(largest, *lengths)
    finally:
        core.stop()
    return Sizes(size - first, round(total / (size - first), 1), largest)


def count_leaves(site: Site) -> int:
    """How many leaves a closed ledger has."""
    core = site.open_core()
    try:
        return core.head.size
    finally:
        core.stop()


def get_file_sizes(site: Site) -> dict[str, int]:
    """Bytes of each database file of a closed ledger."""
    return {path.name: path.stat().st_size for path in site.directory.glob("*.db*")}
