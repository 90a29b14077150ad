"""Runs CUDA kernels on the CPU: the sources in `kernels/`, compiled by g++, over NumPy arrays. README.md tells how."""
