"""PyTorch's first epoch: `python -m benchmarks.peers.torch_epoch IMAGES.npz NAME THREADS`, NAME as in `turns.EAGER`.

Written as one would by hand, and imports nothing that PyTorch does not need. The data cost it next to nothing: all
images are made float32 and normalised at once, and a batch is a selection of them.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import torch
from torch import nn

BATCH = 64


def network() -> nn.Sequential:
    """Return LENET of `benchmarks.cpu.networks`."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(7 * 7 * 64, 512),
        nn.ReLU(inplace=True),
        nn.Linear(512, 10),
    )


def main(file: str, name: str, threads: int) -> None:
    """Train for an epoch."""
    torch.set_num_threads(threads)
    layout = torch.channels_last if name.endswith("channels_last") else torch.contiguous_format
    with np.load(file) as arrays:
        x = torch.from_numpy(arrays["train_images"]).permute(0, 3, 1, 2).float()
        labels = torch.from_numpy(arrays["train_labels"]).long()
    x = ((x - x.mean()) / x.std()).contiguous(memory_format=layout)
    model = network().to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=True)
    criterion, total = nn.CrossEntropyLoss(), 0.0
    for batch in torch.randperm(len(x)).split(BATCH):
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(model(x[batch].contiguous(memory_format=layout)), labels[batch])
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(total / len(x), flush=True)
    os._exit(0)  # as ours does


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
