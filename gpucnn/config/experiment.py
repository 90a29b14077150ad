"""The settings of one experiment: every key of a config file, its type, range, default and meaning."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from annotated_types import Interval, MinLen
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from gpucnn.arguments import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from gpucnn.augment.base import Augmentation
from gpucnn.data.base import Dataset
from gpucnn.dispatch import Impl
from gpucnn.halves import named
from gpucnn.layers.base import Layer
from gpucnn.losses.base import Loss
from gpucnn.optimizers.base import Optimizer
from gpucnn.registry import STRICT, Spec
from gpucnn.schedules.base import Schedule


def _matching(pattern: str, rule: str) -> tuple[AfterValidator, Any]:
    """Return what makes text match a pattern, for pydantic and for the JSON Schema."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {rule}")
        return text

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^({pattern})$"})


def _check_portion(value: Any) -> int | float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and (0 <= value < 1 or (isinstance(value, int) and value > 0)):
        return value  # type: ignore[no-any-return]
    raise ValueError("must be a number of images (0, 1, 2, ...) or a fraction of them (below 1)")


_PORTION_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    ]
}

Name = Annotated[
    str,
    *_matching(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
        "letters, digits, '.', '-' and '_', the first a letter or digit, at most 100 (it names the run folder)",
    ),
]
DeviceName = Annotated[str, *_matching(r"auto|cpu|cuda|cuda:[0-9]+", "auto, cpu, cuda or cuda:N")]
Portion = Annotated[int | float, PlainValidator(_check_portion), WithJsonSchema(_PORTION_SCHEMA)]
"""A number of images, or a fraction of them."""


class Section(BaseModel):
    """Base of the config's parts: strict, immutable, its attributes' docstrings the descriptions in the schema."""

    model_config = ConfigDict(**STRICT, frozen=True, use_attribute_docstrings=True)


class Statistics(Section):
    """What images are normalised by: (x - mean) / std, each one number a channel, for images scaled to 0..1."""

    mean: Annotated[list[float], MinLen(1)]
    """The mean of each channel."""
    std: Annotated[list[PositiveFloat], MinLen(1)]
    """The standard deviation of each channel, above 0."""


class Data(Section):
    """The images: where they come from and how they are prepared."""

    dataset: Spec[Dataset]
    """The data set, by name, with its arguments where it has any."""
    batch_size: PositiveInt = 128
    """Images in one training step. The last batch of an epoch may hold fewer."""
    validation: Portion = 0
    """Training images that are set aside to validate with: how many, or which fraction. Chosen by the seed."""
    augment: list[Spec[Augmentation]] = []
    """Random changes to the training images, in this order."""
    normalize: Literal["per_channel", "none"] | Statistics = "per_channel"
    """per_channel: by mean and standard deviation of each channel over the training images. none: scaled to 0..1 only.
    {mean: [...], std: [...]}: by these numbers."""
    workers: NonNegativeInt = 1
    """Threads that prepare batches; 0: the trainer's own. The batches do not depend on it."""
    on_device: bool | Literal["auto"] = "auto"
    """Whether a GPU holds all training images and makes the batches itself, which come out the same, to the bit. auto:
    where the images take at most a quarter of its free memory and it knows every augmentation. true: that or an error.
    false: batches are prepared on the host. Without a GPU it means nothing."""


class EarlyStopping(Section):
    """Stop when the validation images have not got better for a while."""

    patience: PositiveInt
    """Epochs without improvement after which training stops."""
    monitor: Literal["loss", "accuracy"] = "loss"
    """What is watched: the loss (lower is better) or the accuracy (higher is better) on the validation images."""
    min_delta: NonNegativeFloat = 0.0
    """By how much a change must exceed the best value so far to be an improvement."""


class Every(Section):
    """A number of training steps between checkpoints."""

    steps: PositiveInt
    """Steps from one checkpoint to the next."""


class Views(Section):
    """Forms of an image that its scores are averaged over."""

    mirror: bool = False
    """Whether over the image and its mirror image."""
    shift: NonNegativeInt = 0
    """Whether over the image where it is, which counts a half, and moved up left and down right by so many pixels."""


class Training(Section):
    """How long to train, and what to keep on the way."""

    epochs: PositiveInt = 10
    """Passes over the training images."""
    checkpoint_every: PositiveInt | Every = 1
    """Epochs from one checkpoint to the next, or {steps: n}. There is one at the end in any case; the last two stay."""
    keep_every: PositiveInt | None = None
    """Epochs from one checkpoint that stays for good to the next: checkpoints/epoch-0005.safetensors. null: none."""
    micro_batch: PositiveInt | Literal["auto"] | None = None
    """Images computed at a time where a batch does not fit into memory; the gradients of a batch's parts are added up.
    auto: as many as fit, found when memory runs out. null: the whole batch, or an error that says what would fit."""
    early_stopping: EarlyStopping | None = None
    """When to stop before the last epoch; needs `data.validation`."""
    evaluate: Views = Field(default={}, validate_default=True)
    """What scores are averages over where the trained network evaluates and predicts; validation after an epoch looks
    at each image once."""


class Experiment(Section):
    """One experiment: all it takes to train a network, and to train it again."""

    name: Name
    """What the run folder is called."""
    seed: Annotated[int, Interval(ge=0, lt=2**63)] = 0
    """What all random numbers are drawn from."""
    device: DeviceName = "auto"
    """auto: the first CUDA device, else the CPU. cpu. cuda or cuda:N: that GPU or an error."""
    precision: Literal["float32", "float64", "tf32", "bf16", "fp16"] = "float32"
    """The type of all numbers in the network. tf32: float32, but a GPU's tensor cores may multiply numbers of 10 bits
    of mantissa. bf16, fp16: what layers hand on is stored in 16 bits, computed in float32; weights, statistics and
    losses are float32, and the loss of fp16 is scaled."""
    impl: Impl = "auto"
    """auto: the faster implementation of each operation where it applies, else the reference. reference: always the
    reference, which is what a reader reads. fast: as auto, but what only the reference can do is an error."""
    numerics: Literal["fast", "exact"] = "fast"
    """exact: convolutions as sums of products only. fast: also by Winograd's algorithm, where that is faster."""
    plans: Literal["tuned", "default"] = "tuned"
    """By which kernels a GPU computes convolutions and dense layers. tuned: those that `gpucnn tune` found fastest on
    this device, else the default ones. default: those alone: results are then the same on all devices of an
    architecture, whatever was measured. Either way a run keeps to what it began with, also when it is resumed."""
    threads: PositiveInt | Literal["auto"] = "auto"
    """Threads that compute on the CPU; float32 results do not depend on how many there are. auto: OMP_NUM_THREADS
    where it is set, else one for each core that the process may use."""
    graph: Literal["auto", "off"] = "auto"
    """auto: on a GPU, a training step is one CUDA graph, recorded once and replayed, where nothing in it needs the
    host. off: each of its operations is launched by itself, which gives the same bits. On the CPU it means nothing."""
    data: Data
    """The images."""
    model: Annotated[list[Spec[Layer]], MinLen(1)]
    """The network: its layers, first to last. Input and output sizes follow from the data."""
    loss: Spec[Loss] = Field(default="cross_entropy", validate_default=True)
    """What training makes small."""
    optimizer: Spec[Optimizer] = Field(default={"sgd": {"lr": 0.1, "momentum": 0.9}}, validate_default=True)
    """How weights follow from gradients."""
    schedule: Spec[Schedule] = Field(default="constant", validate_default=True)
    """How the learning rate changes from step to step."""
    training: Training = Field(default={}, validate_default=True)
    """Epochs, checkpoints, early stopping."""

    @property
    def dtype(self) -> Any:
        """What images, and what layers make of them, are stored in; ArgumentError for bf16 without ml_dtypes."""
        return named({"tf32": "float32", "bf16": "bfloat16", "fp16": "float16"}.get(self.precision, self.precision))

    def dump(self) -> dict[str, Any]:
        """Return the experiment as plain data, every default written out; loading it gives the same experiment."""
        return self.model_dump(mode="json")
