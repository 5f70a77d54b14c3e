"""Benchmarks: one module per claim. Each prints a table, and writes JSON with `--json FILE`."""
