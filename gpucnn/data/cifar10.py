"""CIFAR-10: small photographs of ten kinds of things."""

from __future__ import annotations

from types import MappingProxyType

from gpucnn.data.cifar import CifarDataset, in_folder
from gpucnn.data.origin import Download, Origin

_FOLDER = "cifar-10-batches-bin"
_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))


class Cifar10(CifarDataset, name="cifar10"):
    """Photographs of ten kinds of things, 32x32, colour: 50,000 to train on, 10,000 to test with.

    path: the folder of data_batch_1.bin .. data_batch_5.bin and test_batch.bin (the binary version); without it,
    $GPUCNN_DATA and the user's cache are searched.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """

    label_bytes = 1
    records = MappingProxyType({"train": 10_000, "test": 10_000})
    files = in_folder(_FOLDER, train=_TRAIN, test=("test_batch.bin",))
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    origin = Origin(
        "https://www.cs.toronto.edu/~kriz/",
        (
            Download(
                "cifar-10-binary.tar.gz",
                "c32a1d4ab5d03f1284b67883e8d87530",
                tuple(f"{_FOLDER}/{name}" for name in (*_TRAIN, "test_batch.bin")),
            ),
        ),
        megabytes=170,
    )
