"""gpucnn's first epoch: `python -m benchmarks.peers.gpucnn_epoch CONFIG` prints the epoch's row and ends."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import gpucnn
from gpucnn.training.observer import EpochRow, Observer


class UntilTheEpochEnds(Observer):
    """Ends the process where the first epoch does: before the final evaluation and the plots."""

    def epoch_finished(self, row: EpochRow) -> None:
        """Print the row and end, without the interpreter's tidying up."""
        print(json.dumps(row), flush=True)
        os._exit(0)


def main(config: Path) -> Any:
    """Train, with the run folder beside the config."""
    folder = config.parent / f"run-{os.getpid()}"
    return gpucnn.train(config, run_dir=folder, device="cpu", observer=UntilTheEpochEnds())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
