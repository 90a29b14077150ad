from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from gpucnn.augment.base import Augmentation
from gpucnn.backend import Device
from gpucnn.data.base import ArraySource
from gpucnn.data.loader import Loader
from gpucnn.data.normalize import Normalize
from gpucnn.errors import ArgumentError, DataError
from gpucnn.random import Stream

COUNT = 23


@dataclass
class Source:
    """Image i is filled with i; remembers what was read, and fails at `broken`."""

    broken: int = -1
    delay: float = 0
    labels: np.ndarray = field(default_factory=lambda: np.arange(COUNT) + 1000)
    seen: list = field(default_factory=list)

    def __len__(self):
        return COUNT

    def read(self, indices):
        self.seen.append(list(indices))
        time.sleep(self.delay * (3 - len(self.seen) % 3))  # batches are finished out of order
        if self.broken in indices:
            raise DataError(f"image {self.broken} is broken")
        return np.broadcast_to(indices.astype(np.uint8)[:, None, None, None], (len(indices), 3, 2, 1)).copy()


class Jitter(Augmentation):
    name = "jitter"

    def apply(self, images, indices, stream):
        return images + (stream.at(indices, 1) % np.uint32(50)).astype(np.uint8)[:, :, None, None]


def make(source=None, **changes):
    arguments = {"seed": 7, "shuffle": True, "augment": [Jitter(), Jitter()], "workers": 1, **changes}
    return Loader(source or Source(), np.arange(COUNT), 5, **arguments)


def all_of(batches):
    return [(x.tobytes(), labels.tolist()) for x, labels in batches]


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("gpucnn-loader")]


@pytest.fixture(autouse=True)
def _no_threads_are_left():
    yield
    assert not loader_threads()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_any_number_of_workers_gives_the_same_batches(workers):
    for epoch in (0, 3):
        found = all_of(make(Source(delay=0.001), workers=workers).batches(epoch))
        assert found == all_of(make(workers=0).batches(epoch))


def test_an_epoch_is_a_permutation_and_keeps_the_last_part():
    loader = make(augment=[])
    batches = list(loader.batches(0))
    assert [len(x) for x, _ in batches] == [5, 5, 5, 5, 3]
    assert (len(loader), loader.images) == (5, COUNT)
    labels = np.concatenate([labels for _, labels in batches])
    assert sorted(labels) == list(range(1000, 1000 + COUNT))
    assert (labels - 1000).tolist() == Stream(7, "shuffle", 0).permutation(COUNT).tolist()
    pixels = np.concatenate([x[:, 0, 0, 0] for x, _ in batches]) * 255
    np.testing.assert_allclose(pixels, labels - 1000, rtol=1e-6)


def test_seed_and_epoch_choose_the_order_and_nothing_else_does():
    first = all_of(make().batches(0))
    assert all_of(make().batches(0)) == first
    assert all_of(make().batches(1)) != first
    assert all_of(make(seed=8).batches(0)) != first
    assert make().order(0).tolist() != make().order(1).tolist()


def test_without_shuffling_the_order_is_that_of_the_indices():
    loader = Loader(Source(), np.array([9, 2, 5]), 2, seed=0, shuffle=False)
    assert [labels.tolist() for _, labels in loader.batches(4)] == [[1009, 1002], [1005]]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [0, 1, 4, 5, 9])
def test_starting_late_computes_nothing_before(start, workers):
    source = Source()
    found = all_of(make(source, workers=workers).batches(2, start))
    assert found == all_of(make().batches(2))[start:]
    assert len(source.seen) == max(5 - start, 0)


def test_each_augmentation_draws_from_its_own_stream_by_the_images_indices():
    ((x, labels),) = Loader(
        Source(), np.array([4, 20, 6]), 3, seed=3, augment=[Jitter(), Jitter()], shuffle=True
    ).batches(9)
    indices = labels - 1000
    draws = [Stream(3, f"augment.{i}.jitter", 9).at(indices, 1)[:, 0] % 50 for i in (0, 1)]
    np.testing.assert_allclose(x[:, 1, 1, 0] * 255, indices + draws[0] + draws[1], rtol=1e-6)


def test_normalised_on_the_device_in_the_runs_dtype():
    rule = Normalize([0.25], [0.5])
    loader = make(augment=[], normalize=rule, dtype=np.float64, device=Device("cpu"), shuffle=False)
    x, labels = next(iter(loader.batches(0)))
    assert (x.dtype, labels.dtype, x.shape) == (np.float64, np.int64, (5, 3, 2, 1))
    np.testing.assert_allclose(x[:, 0, 0, 0], (np.arange(5) / 255 - 0.25) / 0.5)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_what_fails_in_a_worker_is_raised_here_after_the_batches_before_it(workers):
    order = make().order(0).tolist()
    batches = make(Source(broken=order[12]), workers=workers).batches(0)
    assert [len(next(batches)[0]) for _ in range(2)] == [5, 5]
    with pytest.raises(DataError, match=rf"^image {order[12]} is broken$"):
        next(batches)


@pytest.mark.parametrize("workers", [1, 4])
def test_leaving_early_ends_the_threads(workers):
    batches = make(Source(delay=0.002), workers=workers).batches(0)
    next(batches)
    assert loader_threads()
    batches.close()
    assert not loader_threads()
    for _ in make(workers=workers).batches(0):
        break
    assert not loader_threads()


def test_an_interrupt_ends_the_threads():
    def interrupted():
        for _ in make(workers=2).batches(0):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not loader_threads()


def test_no_more_batches_are_prepared_than_the_queue_holds():
    source = Source()
    loader = Loader(source, np.arange(COUNT), 1, seed=0, shuffle=False, workers=2)
    batches = loader.batches(0)
    next(batches)
    time.sleep(0.05)
    assert 2 <= len(source.seen) <= 5
    batches.close()


def test_workers_work_at_the_same_time():
    meeting = threading.Barrier(3, timeout=5)  # breaks, and fails the test, unless three are inside at once

    class Meeting(Source):
        def read(self, indices):
            meeting.wait()
            return super().read(indices)

    loader = Loader(Meeting(), np.arange(15), 5, seed=0, shuffle=False, workers=3)
    assert len(list(loader.batches(0))) == 3


def test_an_epoch_that_nobody_finishes_does_not_disturb_the_next():
    loader = make(workers=2)
    unfinished = loader.batches(0)
    next(unfinished)
    assert all_of(loader.batches(1)) == all_of(make().batches(1))
    unfinished.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"batch_size": 0}, "batch_size"), ({"workers": -1}, "workers"), ({"indices": np.array([0, COUNT])}, "0 to 22")],
)
def test_impossible_arguments(changes, message):
    arguments = {"indices": np.arange(3), "batch_size": 2, "workers": 1, **changes}
    with pytest.raises(ArgumentError, match=message):
        Loader(Source(), **arguments, seed=0, shuffle=False)


def test_no_images():
    with pytest.raises(DataError, match=r"no images to load"):
        Loader(ArraySource(np.zeros((0, 2, 2, 1)), np.zeros(0)), np.arange(0), 2, seed=0, shuffle=False)
