"""Timings only, not shipped: ``python -m benchmarks.NAME`` prints one table each."""
