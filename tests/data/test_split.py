from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpucnn.data.split import chosen, split
from gpucnn.errors import ArgumentError, DataError


@given(st.integers(2, 200), st.data(), st.integers(0, 2**64 - 1))
def test_every_index_is_in_one_part(count, data, seed):
    validation = data.draw(st.one_of(st.integers(0, count - 1), st.floats(0, 0.5)))
    train, held = split(count, validation, seed)
    assert sorted([*train, *held]) == list(range(count))
    assert train.dtype == held.dtype == np.int64
    assert (np.diff(train) > 0).all()
    assert (np.diff(held) > 0).all()
    expected = validation if isinstance(validation, int) else round(validation * count)
    assert len(held) == (expected or (1 if validation else 0))


def test_the_seed_alone_decides():
    assert split(50, 10, seed=1)[1].tolist() == split(50, 0.2, seed=1)[1].tolist()
    assert split(50, 10, seed=1)[1].tolist() != split(50, 10, seed=2)[1].tolist()


@pytest.mark.parametrize("validation", [-1, 10, 11, 1.0, -0.1, 0.96, float("nan")])
def test_nothing_left_to_train_on(validation):
    with pytest.raises(ArgumentError, match=r"validation"):
        split(10, validation, seed=0)


def test_a_data_set_in_one_piece_is_split_once_and_for_all():
    train, test = (chosen(10, 0.2, name).tolist() for name in ("train", "test"))
    assert len(test) == 2
    assert sorted(train + test) == list(range(10))
    with pytest.raises(DataError, match=r"1 images in all, of which test \(=0.2\) leaves none to train on"):
        chosen(1, 0.2, "train")
