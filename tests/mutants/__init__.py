"""Broken kernels, each with one mistake of the kind that is made, in one module for each group of kernels.

Each module has two lists: RUNS, computations by name, and MUTANTS, each of which names the kernel's file, the text that
is changed in it, and the run that must catch it. `tests/kernels/test_mutants.py` finds every module here.
"""
