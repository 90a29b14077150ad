"""Fashion-MNIST: articles of clothing in MNIST's format."""

from __future__ import annotations

from gpucnn.data.files import IdxDataset
from gpucnn.data.origin import Download, Origin


class FashionMnist(IdxDataset, name="fashion_mnist"):
    """Articles of clothing, 28x28, gray: 60,000 images to train on, 10,000 to test with.

    path: the folder of its four files; without it, $GPUCNN_DATA, the user's cache and the folder of Debian's package
    dataset-fashion-mnist are searched.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset", arXiv 1708.07747.
    """

    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    system = ("/usr/share/datasets/fashion-mnist",)
    licence = "MIT; Zalando SE"
    origin = Origin(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            Download("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            Download("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
            Download("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
            Download("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
        megabytes=31,
    )
