"""CIFAR-100: small photographs of a hundred kinds of things."""

from __future__ import annotations

from types import MappingProxyType

from gpucnn.data.cifar import CifarDataset, in_folder
from gpucnn.data.origin import Download, Origin
from gpucnn.data.places import PathText

_FOLDER = "cifar-100-binary"

_COARSE = (
    "aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices "
    "household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes "
    "large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees "
    "vehicles_1 vehicles_2"
)
_FINE = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle "
    "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant "
    "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man "
    "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree "
    "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train "
    "trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)


class Cifar100(CifarDataset, name="cifar100"):
    """Photographs of a hundred kinds of things, 32x32, colour: 50,000 to train on, 10,000 to test with.

    path: the folder of train.bin and test.bin (the binary version); without it, $GPUCNN_DATA and the user's cache are
    searched.
    coarse: learn the 20 groups instead of the 100 kinds.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """

    label_bytes = 2
    records = MappingProxyType({"train": 50_000, "test": 10_000})
    files = in_folder(_FOLDER, train=("train.bin",), test=("test.bin",))
    origin = Origin(
        "https://www.cs.toronto.edu/~kriz/",
        (
            Download(
                "cifar-100-binary.tar.gz",
                "03b5dce01913d631647c71ecec9e9cb8",
                (f"{_FOLDER}/train.bin", f"{_FOLDER}/test.bin"),
            ),
        ),
        megabytes=169,
    )

    def __init__(self, path: PathText | None = None, coarse: bool = False) -> None:
        super().__init__(path)
        self.coarse = coarse
        self.classes = tuple((_COARSE if coarse else _FINE).split())
        self.label_byte = 0 if coarse else 1
