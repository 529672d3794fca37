"""Engines decide order and time, and nothing else."""
