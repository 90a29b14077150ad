"""What gpucnn costs and how well it learns, measured: `python -m benchmarks COMMAND`, from the root of the project."""
