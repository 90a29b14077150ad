"""What is not to be imported where an extra is missing: looking for tests, pytest imports every module."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("numba") else ["gpucnn/cpu/compiled/*.py"]
