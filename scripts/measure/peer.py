"""The peer: a hand-written double-entry function in PostgreSQL, measured beside the ledger.

Random transfers between as many accounts as the ledger has, so that no row is contended. Single calls come
from eight connections of `pgbench`, batches of 1,000 in order from one connection, their arrays written out
before the clock starts. After each run the balances must add up to what they were, and the transfers to what
was answered.
"""

from __future__ import annotations

import random
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from scripts.measure.postgres import Server, get_processors, run_postgres

BATCHED: Final = "postgresql_function_batched_in_order_per_second"
SINGLE: Final = "postgresql_function_single_8_clients_per_second"
_BATCH: Final = 1_000
_CLIENTS: Final = 8
BALANCE: Final = 1_000_000
CALL: Final = "SELECT transfer_batch(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])"
_SCHEMA: Final = Path(__file__).with_name("peer.sql")


def measure_peer(*, accounts: int, seed: int, seconds: float) -> dict[str, int]:
    """Transfers a second, single and batched in order."""
    import psycopg  # noqa: PLC0415 - few parts need the driver

    with run_postgres() as server, psycopg.connect(server.address, autocommit=True) as connection:
        create_tables(connection, accounts=accounts)
        found = {BATCHED: _measure_batched(connection, accounts=accounts, seed=seed, seconds=seconds)}
        connection.execute("VACUUM ANALYZE account, transfer")
        found[SINGLE] = _measure_single(server, accounts=accounts, seconds=seconds)
        _check_sums(connection, accounts)
    return found


def create_tables(connection: Any, *, accounts: int) -> None:
    """The functions, their tables, and accounts 1 to ``accounts`` with the same balance each."""
    connection.execute(_SCHEMA.read_text())
    connection.execute("ALTER TABLE account SET (fillfactor = 50)")
    connection.execute(
        "INSERT INTO account SELECT number, %s FROM generate_series(1, %s) AS number", (BALANCE, accounts)
    )
    # Pages are filled by half, so that a changed row finds room on its own page; and counted as full only
    # when they are, so that they are not tidied at every reading.
    connection.execute("ALTER TABLE account SET (fillfactor = 100)")
    connection.execute("VACUUM ANALYZE account")
    connection.execute("CHECKPOINT")


def _measure_batched(connection: Any, *, accounts: int, seed: int, seconds: float) -> int:
    dice = random.Random(f"{seed}/peer")
    best = 0.0
    # The load is written in pieces between timed stretches; the first of them warms caches and plans.
    for stretch in range(4):
        applied = 0
        elapsed = 0.0
        while elapsed < seconds / 3:
            load = [_make_batch(dice, accounts) for _ in range(20)]
            started = time.perf_counter()
            for arrays in load:
                (count,) = connection.execute(CALL, arrays, prepare=True).fetchone()
                applied += count
            elapsed += time.perf_counter() - started
        if stretch:
            best = max(best, applied / elapsed)
    return round(best)


def _make_batch(dice: random.Random, accounts: int) -> tuple[str, ...]:
    """The arrays of one call, as PostgreSQL writes them."""
    columns: tuple[list[str], ...] = ([], [], [], [])
    for _ in range(_BATCH):
        debit = dice.randrange(1, accounts + 1)
        credit = (debit - 1 + dice.randrange(1, accounts)) % accounts + 1
        row = (f"o-{dice.getrandbits(60)}", str(debit), str(credit), str(dice.randrange(1, 20)))
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    return tuple("{" + ",".join(column) + "}" for column in columns)


def _measure_single(server: Server, *, accounts: int, seconds: float) -> int:
    script = (
        f"\\set debit random(1, {accounts})\n"
        f"\\set credit 1 + (:debit + random(0, {accounts - 2})) % {accounts}\n"
        "\\set amount random(1, 19)\n"
        "\\set number random(1, 4611686018427387904)\n"
        "SELECT transfer('s-' || :number, :debit, :credit, :amount);\n"
    )
    with tempfile.NamedTemporaryFile("w", prefix="commonpoint-pgbench-", suffix=".sql") as file:
        file.write(script)
        file.flush()
        # It may run as another user, and has to read this.
        Path(file.name).chmod(0o644)
        command = [str(server.programs / "pgbench"), "-n", "-M", "prepared", "-c", str(_CLIENTS)]
        command += ["-j", str(get_processors()), "-T", str(max(2, round(seconds))), "-f", file.name]
        done = subprocess.run(
            [*command, server.address], capture_output=True, text=True, check=False, timeout=seconds + 60
        )
    rate = re.search(r"tps = ([0-9.]+)", done.stdout)
    failed = re.search(r"failed transactions: ([0-9]+)", done.stdout)
    if done.returncode or rate is None or (failed and int(failed[1])):
        raise SystemExit(f"pgbench failed: {done.stdout} {done.stderr}")
    return round(float(rate[1]))


def _check_sums(connection: Any, accounts: int) -> None:
    (total, least) = connection.execute("SELECT sum(balance), min(balance) FROM account").fetchone()
    if total != accounts * BALANCE or least < 0:
        raise SystemExit(f"the peer lost points: {total} of {accounts * BALANCE}, least {least}")
