"""Measurements: raw limits of a machine and what the ledger makes of them."""
