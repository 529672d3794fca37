"""Raw limits: what this machine can do at all, so that every figure of ours is also a ratio."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from ledger.keys import SeedSigner, is_valid_signature


def measure_raw(folder: Path, *, seconds: float) -> dict[str, int]:
    """Operations a second.

    Signature checks on one and two threads, SHA-256 of 200 bytes, SQLite rows, syncs.
    """
    return {
        "ed25519_verify_per_second": _rate(_make_verify(), seconds),
        "ed25519_verify_two_threads_per_second": _rate_two_threads(_make_verify(), seconds),
        "sha256_200_bytes_per_second": _rate(_make_sha256(), seconds),
        "sqlite_full_rows_per_second_in_1000_row_transactions": _measure_sqlite(folder, 1_000, seconds),
        "sqlite_full_single_row_transactions_per_second": _measure_sqlite(folder, 1, seconds),
        "fsync_4_kib_per_second": _measure_fsync(folder, seconds),
    }


def _make_verify() -> Callable[[], None]:
    signer = SeedSigner(bytes(32))
    text = bytes(200)
    signature = signer.sign(text)
    return lambda: _must(is_valid_signature(public=signer.public, text=text, signature=signature))


def _must(holds: bool) -> None:
    if not holds:
        raise SystemExit("a valid signature was refused")


def _make_sha256() -> Callable[[], None]:
    data = bytes(200)

    def run() -> None:
        sha256(data).digest()

    return run


def _rate(run: Callable[[], None], seconds: float) -> int:
    count = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(100):
            run()
        count += 100
    return round(count / (time.perf_counter() - started))


def _rate_two_threads(run: Callable[[], None], seconds: float) -> int:
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda _: _rate(run, seconds), range(2)))


def _measure_sqlite(folder: Path, rows: int, seconds: float) -> int:
    path = folder / f"raw-{rows}.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, data BLOB) STRICT")
    data = bytes(300)
    count = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t (data) VALUES (?)", [(data,)] * rows)
        connection.execute("COMMIT")
        count += rows
    elapsed = time.perf_counter() - started
    connection.close()
    path.unlink()
    return round(count / elapsed)


def _measure_fsync(folder: Path, seconds: float) -> int:
    path = folder / "raw.bin"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    count = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        os.pwrite(descriptor, bytes(4096), 0)
        os.fsync(descriptor)
        count += 1
    elapsed = time.perf_counter() - started
    os.close(descriptor)
    path.unlink()
    return round(count / elapsed)
