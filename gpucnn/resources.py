"""The files that come with the package: `configs` and `kernels`, beside it in a checkout, inside it once installed."""

from __future__ import annotations

from pathlib import Path

from gpucnn.errors import ConfigError, GpucnnError
from gpucnn.problems import suggestion

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """Return the folder `configs` or `kernels`; raises GpucnnError where the installation lacks it.

    >>> folder("configs").is_dir()
    True
    """
    checkout = _PACKAGE.parent
    places = [_PACKAGE / name, *([checkout / name] if (checkout / "pyproject.toml").is_file() else [])]
    for place in places:
        if place.is_dir():
            return place
    raise GpucnnError(
        f"gpucnn's own {name} are missing: there is no {' and no '.join(map(str, places))}: install gpucnn again"
    )


def shipped_configs() -> dict[str, Path]:
    """Return the experiments that come with the package, by name: `digits` for configs/digits.yaml."""
    return {path.stem: path for path in sorted(folder("configs").glob("*.yaml"))}


def find_config(name: str) -> Path:
    """Return the config file that `name` means: a file, or else a shipped experiment, `digits` or `digits.yaml`.

    Raises ConfigError, with the shipped names, where it is neither.
    """
    path = Path(name)
    if not name:
        raise ConfigError("'' is no config: give a YAML file, or the name of a shipped experiment")
    if path.exists() and not path.is_dir():  # a pipe will do as well: `gpucnn train <(make-config)`
        return path
    shipped = shipped_configs()
    known = name.removesuffix(".yaml")
    if known in shipped:
        return shipped[known]
    what = "is a folder, not a config file" if path.is_dir() else "no such file"
    raise ConfigError(f"{name}: {what}, and no shipped experiment{suggestion(path.stem, shipped)}")
