"""First epochs on generated images: how long they take from the start of the process, and what share data has."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

from benchmarks.cpu.networks import NETWORKS, experiment
from benchmarks.cpu.turns import COMPARED, OURS, Part, Settings, Times, compared, environments
from benchmarks.machine import THREAD_VARIABLES
from benchmarks.processes import PYTHON, Failed
from benchmarks.report import percent
from gpucnn.config import load
from gpucnn.resources import find_config

GOAL, DATA_GOAL = 0.6, 0.03
NETWORK, IMAGES = "lenet-64", 10_000
LOADED = {"lenet-64": ("mnist", 10_000), "resnet20-128": ("cifar10", 2_560)}
"""Networks, the shipped config whose augmentation their images get, and how many images an epoch has."""


def first_epoch(settings: Settings, images: int = IMAGES) -> Part:
    """Measure seconds from the start of a process to the end of its first epoch; processes take turns."""
    with tempfile.TemporaryDirectory() as folder:
        config, file = write(Path(folder), NETWORK, images)
        contenders = environments([name for name in settings.peers if "compiled" not in name])
        times: Times = {name: [] for name in contenders}
        for number in range(settings.rounds + 1):
            typer.echo(f"first epoch: round {number}", err=True)
            for name, (told, environment) in contenders.items():
                command = ["benchmarks.peers.gpucnn_epoch", str(config)]
                if told != OURS:
                    command = ["benchmarks.peers.torch_epoch", str(file), told, str(settings.threads)]
                started = time.perf_counter()
                run(command, settings.threads, environment)
                if number:  # the first round brings files into the system's cache
                    times[name].append(time.perf_counter() - started)
    label = f"start to the end of an epoch of {images:,}"
    return Part(
        {"images": images, "seconds": times}, ["network", "what", *COMPARED], [[NETWORK, label, *compared(times, GOAL)]]
    )


def data_share(settings: Settings) -> Part:
    """Measure the share of an epoch's time in which the trainer waits for batches."""
    measured: dict[str, Any] = {}
    rows = []
    for network, (augmented_as, images) in LOADED.items():
        typer.echo(f"{network}: data", err=True)
        augment = load(find_config(augmented_as)).dump()["data"]["augment"]
        with tempfile.TemporaryDirectory() as folder:
            config, _ = write(Path(folder), network, images, augment)
            row = json.loads(run(["benchmarks.peers.gpucnn_epoch", str(config)], settings.threads, {}))
        share = row["data_seconds"] / row["seconds"]
        measured[network] = {"augmented_as": augmented_as, "images": images, "share": share, **row}
        rows.append([network, f"as {augmented_as}", percent(share), percent(DATA_GOAL)])
    return Part(measured, ["network", "augmentation", "waiting for data", "goal"], rows)


def write(folder: Path, network: str, images: int, augment: Sequence[Any] = ()) -> tuple[Path, Path]:
    """Write images made by chance, and the config of one epoch over them; return both files, the config first."""
    chosen = experiment(network)
    shape = chosen.data.dataset.build().info().shape
    rng, file, config = np.random.default_rng(0), folder / "images.npz", folder / "config.json"
    arrays = {
        f"{split}_{kind}": rng.integers(high, size=size, dtype=np.uint8)
        for split, count in (("train", images), ("test", 10))
        for kind, high, size in (("images", 256, (count, *shape)), ("labels", 10, count))
    }
    np.savez(file, **arrays)
    plain = chosen.dump()
    plain["data"] |= {"dataset": {"npz": {"path": str(file), "classes": 10}}, "batch_size": NETWORKS[network]}
    plain["data"]["augment"], plain["training"] = list(augment), {"epochs": 1}
    config.write_text(json.dumps(plain))
    return config, file


def run(module: Sequence[str], threads: int, environment: dict[str, str]) -> str:
    """Run a module in a process of its own, with so many threads; return what it prints."""
    variables = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)) | environment
    done = subprocess.run([PYTHON, "-m", *module], stdout=subprocess.PIPE, text=True, env=variables, check=False)
    if done.returncode:
        raise Failed(f"{module[0]} ended with exit code {done.returncode}")
    return done.stdout
