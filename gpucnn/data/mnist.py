"""MNIST: handwritten digits."""

from __future__ import annotations

from gpucnn.data.files import IdxDataset
from gpucnn.data.origin import Download, Origin


class Mnist(IdxDataset, name="mnist"):
    """Handwritten digits, 28x28, gray: 60,000 images to train on, 10,000 to test with.

    path: the folder of its four files; without it, $GPUCNN_DATA and the user's cache are searched.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", 1998.
    """

    classes = tuple("0123456789")
    licence = "CC BY-SA 3.0; Y. LeCun, C. Cortes"
    origin = Origin(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            Download("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            Download("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
            Download("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
            Download("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
        megabytes=12,
    )
