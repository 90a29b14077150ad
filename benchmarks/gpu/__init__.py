"""What gpucnn does on a GPU, measured: `python -m benchmarks gpu`. The parts that measure have a process each."""
