"""`scripts/demo`: the whole demo, from the data set to the verified ledger.

1. The purchases are read, a ledger is begun with seeded keys, a node is started on it. 2. The year is told.
3. The node is asked for the totals, and stopped. 4. With no node running, one receipt and then the whole
history are verified; what the alliance settled and decided is read from the log, each window's statement
worked out again, and the year-end statement exported. 5. The summary is written, and without `--once` the
node runs again for whoever wants to look.

Exit status: 0 all is good, 1 something was found that is not, 2 it could not be run, 130 it was interrupted.
"""

from __future__ import annotations

import argparse
import gc
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2
from rich.console import Console

from ledger.codec import to_base64url
from ledger.errors import CommonpointError
from ledger.log.note import Checkpoint
from merchant_sdk import CommonpointError as MerchantError
from merchant_sdk import Receipt
from node.config import POLICY_FILE, Config
from scripts.year import minutes, report
from scripts.year.alliance import CURRENCY, SUPERMARKET, get_departments
from scripts.year.chronicle import read_chronicle
from scripts.year.drive import Driver, Told, run
from scripts.year.exports import export_statements
from scripts.year.ledgerbook import StatementDisagrees
from scripts.year.node_process import NodeFailed, NodeProcess, choose_port, issue_token, make_data_dir
from scripts.year.proof import NotGood, Verified, read_checkpoint, read_results, verify_offline
from scripts.year.purchases import Purchase, load_purchases
from scripts.year.recounted import Year
from scripts.year.results import Results
from scripts.year.summary import encode_summary

PORT: Final = 8710
RECEIPT_FILE: Final = "receipt.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; its exit status."""
    options = _read_options(arguments)
    # Told to end is told to end, whether by Ctrl-C or by whoever started us.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    console = report.make_console()
    try:
        with _open_directory(options.data) as directory:
            return _demonstrate(console, directory, options)
    except KeyboardInterrupt:
        console.print("\nstopped")
        return 130
    except (NotGood, StatementDisagrees) as error:
        console.print(f"\n[bold red]NOT GOOD[/bold red] {error}")
        return 1
    except (CommonpointError, MerchantError, NodeFailed, httpx2.HTTPError, OSError) as error:
        console.print(f"\ndemo: {error}", markup=False)
        advice = getattr(error, "advice", None) or getattr(error, "what_to_do", None)
        if advice:
            console.print(f"  {advice}", markup=False)
        return 2


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="A year of real purchases through a real alliance."
    )
    parser.add_argument("--once", action="store_true", help="end when everything is verified")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="keep the ledger in DIR, which must be new or empty"
    )
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="write the figures as canonical JSON to FILE"
    )
    parser.add_argument(
        "--households", type=_read_count, metavar="N", help="only the first N households by id"
    )
    return parser.parse_args(arguments)


def _read_count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least one household has to buy something")
    return count


@contextmanager
def _open_directory(data: Path | None) -> Iterator[Path]:
    """The directory that was asked for, or one that is removed in the end."""
    if data is not None:
        yield data.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="commonpoint-demo-") as directory:
        yield Path(directory) / "ledger"


def _demonstrate(console: Console, directory: Path, options: argparse.Namespace) -> int:
    """All five steps."""
    began = time.monotonic()
    purchases = load_purchases(get_departments(), otherwise=SUPERMARKET, households=options.households)
    config = make_data_dir(directory)
    _tell_beginning(console, purchases, config)
    with NodeProcess(directory) as node:
        told = _tell_year(console, node.address, config, purchases)
        checkpoint = read_checkpoint(node.address, policy=config.policy)
        results = read_results(node.address, auditor_token=issue_token(config, "auditor"), prices=told.prices)
    report.show_merchants(console, results, currency=CURRENCY)
    console.print()
    report.show_bilateral(console, results, currency=CURRENCY)
    if told.receipt is not None:
        _show_receipt(console, directory, told.receipt.data)
    verified = _verify(console, directory, told, checkpoint)
    year = _close_year(console, directory, results)
    if options.summary is not None:
        _write_summary(options.summary, checkpoint, verified, results, year)
    console.print(f"\nEverything above took {time.monotonic() - began:,.0f} s.")
    if not options.once:
        _keep_running(console, directory, config, told)
    return 0


def _tell_beginning(console: Console, purchases: Sequence[Purchase], config: Config) -> None:
    households = len({purchase.household for purchase in purchases})
    facts = {
        "chain": config.origin.chain,
        "households": f"{households:,}",
        "purchases": f"{len(purchases):,}",
        "with coupons": f"{sum(purchase.is_coupon for purchase in purchases):,}",
        "worth": f"{report.format_money(sum(purchase.cents for purchase in purchases) * 10_000)} {CURRENCY}",
        "kept in": str(config.directory),
    }
    report.show_facts(console, "A year of real purchases begins", facts)


def _tell_year(console: Console, address: str, config: Config, purchases: Sequence[Purchase]) -> Told:
    """Step 2."""
    driver = Driver(url=address, chain=config.origin.chain, operator_token=issue_token(config, "operator"))
    # What is loaded stays to the end: the collector need not walk through it again and again.
    gc.collect()
    gc.freeze()
    console.print()
    with report.Meter(console, purchases=len(purchases)) as meter:
        told: Told = run(driver.tell_year(purchases, progress=meter.show))
        seconds = meter.seconds
    facts = {
        "operations": f"{told.operations:,} in {seconds:,.1f} s ({told.operations / seconds:,.0f} a second)",
        "transactions": f"{told.transactions:,}, each signed by its merchant and proven to it",
        "blocks": f"{told.blocks:,}",
    }
    for (kind, code), count in told.codes.items():
        facts[f"  {kind}" if code == "OK" else f"  {kind}: {code}"] = f"{count:,}"
    report.show_facts(console, "The year is told", facts)
    console.print()
    return told


def _show_receipt(console: Console, directory: Path, data: bytes) -> None:
    """Step 4, the receipt: read from its file, with the policy file and nothing else."""
    path = directory / RECEIPT_FILE
    path.write_bytes(data)
    receipt = Receipt.read(path.read_bytes(), policy=(directory / POLICY_FILE).read_bytes())
    message = receipt.message
    legs = [
        f"{leg.source} owes {leg.destination} {report.format_money(leg.micros)}"
        for leg in receipt.outcome.legs
    ]
    facts = {
        "file": str(path),
        "says": f"{receipt.sender} took {message.points} points of {message.program} in payment",
        "of member": message.member,
        "order": message.reference,
        "therefore": "; ".join(legs),
        "stands at": f"leaf {receipt.index}, height {receipt.height}",
        "in the tree of": f"{receipt.checkpoint.size:,} leaves, root {to_base64url(receipt.checkpoint.root)}",
        "verified": "offline: the node is stopped, the policy file was enough",
    }
    report.show_facts(console, "One receipt", facts)


def _verify(console: Console, directory: Path, told: Told, checkpoint: Checkpoint) -> Verified:
    """Step 4, the history. Raises `NotGood`."""
    verified = verify_offline(directory)
    if verified.size != checkpoint.size:
        raise NotGood(f"{verified.size} leaves were verified, but {checkpoint.size} were signed for")
    facts = {
        "operations": f"{verified.operations:,} executed again, byte for byte the same "
        f"({verified.operations - told.operations:,} of them by blocks: what lapsed, was cut or enacted)",
        "leaves": f"{verified.size:,}",
        "took": f"{verified.seconds:,.1f} s ({verified.operations_per_second:,} operations a second)",
    }
    report.show_facts(console, "The whole ledger, verified offline", facts)
    return verified


def _close_year(console: Console, directory: Path, results: Results) -> Year:
    """Step 4, the alliance: its windows, votes and payments, from the log alone. Raises `NotGood`."""
    year = read_chronicle(directory)
    try:
        balances = year.compute_balances()
    except ValueError as error:
        raise NotGood(str(error)) from None
    for name, row in results.rows.items():
        stated = balances[name].net if name in balances else 0
        if row.net_position_micros != stated:
            raise NotGood(f"{name}: the windows come to {stated}, the ledger to {row.net_position_micros}")
    minutes.show_minutes(console, year, currency=CURRENCY)
    last = year.weeks[-1]
    console.print()
    minutes.show_last_statement(console, last, currency=CURRENCY)
    exported = export_statements(directory, window=last.statement.window, digest=last.digest)
    facts = {name: f"{size:,} bytes" for name, size in exported.sizes.items()}
    if exported.missing:
        facts["not written"] = f"{', '.join(exported.missing)}: needs pip install 'commonpoint[statements]'"
    facts["in"] = str(exported.folder)
    report.show_facts(console, "Exported with commonpoint settlement statement", facts)
    return year


def _write_summary(
    path: Path, checkpoint: Checkpoint, verified: Verified, results: Results, year: Year
) -> None:
    """Step 5."""
    summary = encode_summary(
        chain=checkpoint.origin,
        root=to_base64url(checkpoint.root),
        size=checkpoint.size,
        operations=verified.operations,
        results=results,
        year=year,
    )
    path.write_bytes(summary)


def _keep_running(console: Console, directory: Path, config: Config, told: Told) -> None:
    """The node runs until Ctrl-C, with what to try first."""
    with NodeProcess(directory, port=choose_port(PORT)) as node:
        requests = _make_requests(node.address, config, told.receipt)
        report.show_requests(console, address=node.address, requests=requests)
        node.wait()


def _make_requests(address: str, config: Config, receipt: Receipt | None) -> list[tuple[str, str]]:
    command = shlex.quote(str(Path(sys.prefix) / "bin" / "commonpoint"))
    data = shlex.quote(str(config.directory))
    bearer = '-H "Authorization: Bearer $TOKEN"'
    requests = [
        ("What this ledger is: anyone may ask", f"curl -s {address}/v1/chain"),
        ("The signed checkpoint", f"curl -s {address}/checkpoint"),
        (
            "An auditor's token, for an hour",
            f"TOKEN=$({command} key token --data {data} --role auditor --minutes 60)",
        ),
        ("Who is owed what", f"curl -s {bearer} {address}/v1/positions"),
        ("The year's windows, newest first", f"curl -s {bearer} {address}/v1/windows"),
    ]
    if receipt is not None:
        member = receipt.message.member
        requests += [
            ("One household's points", f"curl -s {bearer} {address}/v1/members/{member}/balances"),
            ("The receipt shown above", f"curl -s {bearer} {address}/v1/receipts/{receipt.index}"),
        ]
    chain = shlex.quote(config.origin.chain)
    requests += [
        (
            "The whole verification once more, from the outside",
            f'{command} verify --url {address} --token "$TOKEN" --chain {chain}',
        ),
        ("Everything else that can be asked", f"{address}/docs"),
    ]
    return requests


if __name__ == "__main__":
    sys.exit(main())
