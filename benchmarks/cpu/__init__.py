"""The parts of `python -m benchmarks cpu`, each a module with `measure` and a table; contenders run in processes."""
