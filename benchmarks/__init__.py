"""Side-by-side measurements against peers, one command each: `python -m benchmarks cpu`."""
