"""`scripts/devnet`: the whole of it, from four organisations' keys to five equal roots.

1. A PostgreSQL database for one of them; keys, genesis, data directories. 2. Four validators and a follower
are started. 3. The demo's merchants tell their purchases through the SDK, each at a node of its choice.
4. All five come to the same size: the roots are compared, and the follower's cosignature checked. 5. Without
`--once` they stay up until Ctrl-C. With it all stop, and two of the data directories, one on SQLite and the
one on PostgreSQL, are verified by executing everything again.

Exit status: 0 all is good, 1 something was found that is not, 2 it could not be run, 130 it was interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx2
from rich.console import Console

from ledger.codec import encode, to_base64url
from ledger.errors import CommonpointError
from merchant_sdk import CommonpointError as MerchantError
from node.config import Config
from node.engine.cometbft.binary import find_program
from scripts.network.database import run_database
from scripts.network.founding import COSIGNER, FOLLOWER, ON_POSTGRESQL, VALIDATORS, found_alliance
from scripts.network.nodes import Node, Seen, run_nodes, wait_until_equal
from scripts.network.report import make_table, watch
from scripts.network.telling import RealTimeDriver, ToldNow
from scripts.year import report
from scripts.year.alliance import KEY_PURPOSES, SUPERMARKET, get_departments, get_names
from scripts.year.drive import run
from scripts.year.node_process import NodeFailed
from scripts.year.proof import NotGood, verify_offline
from scripts.year.purchases import Purchase, load_purchases

HOUSEHOLDS: Final = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; its exit status."""
    options = _read_options(arguments)
    # Told to end is told to end, whether by Ctrl-C or by whoever started us.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    console = report.make_console()
    try:
        return _demonstrate(console, options)
    except KeyboardInterrupt:
        console.print("\nstopped")
        return 130
    except NotGood as error:
        console.print(f"\n[bold red]NOT GOOD[/bold red] {error}")
        return 1
    except (CommonpointError, MerchantError, NodeFailed, httpx2.HTTPError, OSError) as error:
        console.print(f"\ndevnet: {error}", markup=False)
        advice = getattr(error, "advice", None) or getattr(error, "what_to_do", None)
        if advice:
            console.print(f"  {advice}", markup=False)
        return 2


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/devnet", description="An alliance of several organisations on one machine."
    )
    parser.add_argument("--once", action="store_true", help="end when everything is compared and verified")
    parser.add_argument(
        "--households",
        type=_read_count,
        default=HOUSEHOLDS,
        metavar="N",
        help=f"the purchases of the first N households by id ({HOUSEHOLDS} unless told)",
    )
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="write operations and roots as canonical JSON to FILE"
    )
    return parser.parse_args(arguments)


def _read_count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least one household has to buy something")
    return count


def _demonstrate(console: Console, options: argparse.Namespace) -> int:
    """All five steps."""
    began = time.monotonic()
    find_program()
    purchases = load_purchases(get_departments(), otherwise=SUPERMARKET, households=options.households)
    # A short path: the sockets on which CometBFT and the application meet have to fit the system's limit.
    with tempfile.TemporaryDirectory(prefix="devnet-") as directory, run_database() as database:
        folder = Path(directory)
        configs = found_alliance(folder, database=database)
        _tell_beginning(console, purchases, configs)
        with run_nodes(folder, configs) as nodes:
            console.print(f"\nFive nodes run, {time.monotonic() - began:,.0f} s after the start.\n")
            told = _tell_purchases(console, nodes, purchases)
            seen = _compare(console, nodes)
            if options.summary is not None:
                _write_summary(options.summary, told, seen)
            if not options.once:
                console.print("\nThe five nodes stay up; Ctrl-C stops them all.\n")
                watch(console, nodes)
        _verify(console, folder, told, seen)
    console.print(f"\nEverything above took {time.monotonic() - began:,.0f} s.")
    return 0


def _tell_beginning(console: Console, purchases: Sequence[Purchase], configs: Mapping[str, Config]) -> None:
    names = get_names()
    origin = configs[VALIDATORS[0]].origin
    facts = {
        "chain": origin.chain,
        "validators": ", ".join(names[each.participant] for each in origin.validators),
        "on PostgreSQL": names[ON_POSTGRESQL],
        "follower": f"{names[FOLLOWER]}, cosigns as {COSIGNER}",
        "households": f"{len({each.household for each in purchases}):,}",
        "purchases": f"{len(purchases):,}, real ones of a year; each is told as made now",
    }
    report.show_facts(console, "An alliance begins", facts)


def _tell_purchases(console: Console, nodes: Sequence[Node], purchases: Sequence[Purchase]) -> ToldNow:
    """Step 3."""
    urls = [node.process.address for node in nodes if node.name != FOLLOWER]
    operator = nodes[0].config
    driver = RealTimeDriver(
        urls=urls,
        chain=nodes[0].chain,
        operator_keys={purpose: operator.open_signer(purpose) for purpose in KEY_PURPOSES},
    )
    with report.Meter(console, purchases=len(purchases)) as meter:
        told: ToldNow = run(driver.tell_now(purchases, progress=meter.show))
        seconds = meter.seconds
    facts = {
        "operations": f"{told.operations:,} in {seconds:,.1f} s ({told.operations / seconds:,.0f} a second)",
        "transactions": f"{told.transactions:,}, each signed by its merchant and proven to it",
    }
    for (kind, code), count in told.codes.items():
        facts[f"  {kind}" if code == "OK" else f"  {kind}: {code}"] = f"{count:,}"
    if told.receipt is not None:
        checkpoint = told.receipt.checkpoint
        facts["last receipt"] = f"leaf {told.receipt.index:,} in the tree of {checkpoint.size:,} leaves"
    report.show_facts(console, "The purchases are told", facts)
    settled = told.settled
    affairs = {
        "lower commission": f"{settled.motion}, by vote",
        "window": f"{settled.window}: {settled.signed} countersigned, {settled.transfers} payments attested",
        "statement": f"{settled.statement}, the same at every node",
    }
    report.show_facts(console, "The alliance decided and settled", affairs)
    return told


def _compare(console: Console, nodes: Sequence[Node]) -> dict[str, Seen]:
    """Step 4. Raises `NotGood`."""
    seen = wait_until_equal(nodes)
    console.print()
    console.print(make_table(nodes, seen))
    roots = {each.checkpoint.root for each in seen.values()}
    if len(roots) != 1:
        raise NotGood("the nodes show different roots")
    if COSIGNER not in seen[FOLLOWER].cosigners:
        raise NotGood("the follower has not cosigned what it shows")
    console.print(
        f"\nAll {len(seen)} nodes show one root over {seen[FOLLOWER].checkpoint.size:,} leaves,"
        f" and {COSIGNER} has signed that executing them comes to it."
    )
    return seen


def _verify(console: Console, folder: Path, told: ToldNow, seen: Mapping[str, Seen]) -> None:
    """Step 5. Raises `NotGood`."""
    for name in (VALIDATORS[0], ON_POSTGRESQL):
        verified = verify_offline(folder / name)
        size = seen[name].checkpoint.size
        if verified.size < size:
            raise NotGood(f"{name}: {verified.size} leaves were verified, but {size} were signed for")
        by_blocks = verified.operations - told.operations
        if by_blocks < 0:
            raise NotGood(f"{name}: {-by_blocks} operations that were proven to merchants are not in the log")
        facts = {
            "operations": f"{verified.operations:,} executed again, byte for byte the same"
            f" ({by_blocks:,} of them by blocks: what was cut or enacted)",
            "leaves": f"{verified.size:,}",
            "took": f"{verified.seconds:,.1f} s",
        }
        report.show_facts(console, f"The ledger of {get_names()[name]}, verified offline", facts)


def _write_summary(path: Path, told: ToldNow, seen: Mapping[str, Seen]) -> None:
    checkpoint = seen[FOLLOWER].checkpoint
    summary: bytes = encode(
        {
            "chain": checkpoint.origin,
            "cosigners": sorted({name for each in seen.values() for name in each.cosigners}),
            "operations": told.operations,
            "roots": {name: to_base64url(each.checkpoint.root) for name, each in sorted(seen.items())},
            "size": checkpoint.size,
        }
    )
    path.write_bytes(summary)


if __name__ == "__main__":
    sys.exit(main())
