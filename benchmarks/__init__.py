"""Every figure in docs/results, by room; ``python -m benchmarks.run_all`` measures them all again."""
