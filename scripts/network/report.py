"""The table of the nodes, as it stands or as it moves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import httpx2
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ledger.codec import to_base64url
from ledger.errors import Unverified
from scripts.network.nodes import Node, Seen, check, read_cosigner
from scripts.year.alliance import get_names

_ROOT_CHARACTERS: Final = 12
_LOOK_SECONDS: Final = 1.0


def make_table(nodes: Sequence[Node], seen: Mapping[str, Seen | None]) -> Table:
    """One row a node; a node that does not answer has no figures."""
    table = Table(title="Five organisations, one ledger", title_justify="left")
    for header in ("organisation", "node", "address"):
        table.add_column(header, no_wrap=True)
    for header in ("height", "leaves", "engine\nheight"):
        table.add_column(header, justify="right")
    table.add_column("root", no_wrap=True)
    table.add_column("cosigned by", no_wrap=True)
    names = get_names()
    for node in nodes:
        each = seen.get(node.name)
        table.add_row(names[node.name], node.kind, node.process.address, *_tell(each))
    return table


def _tell(seen: Seen | None) -> list[str]:
    if seen is None:
        return ["does not answer", "", "", "", ""]
    return [
        f"{seen.height:,}",
        f"{seen.checkpoint.size:,}",
        "–" if seen.engine_height is None else f"{seen.engine_height:,}",
        to_base64url(seen.checkpoint.root)[:_ROOT_CHARACTERS] + "…",
        ", ".join(seen.cosigners) or "–",
    ]


def watch(console: Console, nodes: Sequence[Node]) -> None:
    """The table moves with the nodes where there is a terminal, until somebody interrupts it.

    Raises `NodeFailed` where a node has ended for good.
    """
    cosigner = read_cosigner(nodes[-1])
    with Live(console=console, auto_refresh=False) as live:
        while True:
            check(nodes)
            seen: dict[str, Seen | None] = {}
            for node in nodes:
                try:
                    seen[node.name] = node.look(cosigner=cosigner)
                except (httpx2.HTTPError, Unverified):
                    seen[node.name] = None
            if console.is_terminal:
                live.update(make_table(nodes, seen), refresh=True)
            time.sleep(_LOOK_SECONDS)
