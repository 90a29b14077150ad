"""The same memory as PyTorch's tensor and as CuPy's array, halves included: bfloat16 goes by as 16-bit integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gpucnn.backend import Device

WHERE = "cuda"
"""The device, as PyTorch calls it."""


def array(tensor: Any, device: Device) -> Any:
    """Return a tensor as an array of the device, of the same dtype."""
    if tensor.dtype != torch.bfloat16:
        return device.xp.asarray(tensor)
    import ml_dtypes

    return device.xp.asarray(tensor.view(torch.int16)).view(np.dtype(ml_dtypes.bfloat16))


def tensor(x: Any) -> Any:
    """Return an array of the device as a tensor, of the same dtype."""
    if x.dtype.name != "bfloat16":
        return _tensor(x)
    return _tensor(x.view(np.int16)).view(torch.bfloat16)


def _tensor(x: Any) -> Any:
    """Return an array of a dtype that both know; it says where it lies by `__cuda_array_interface__`."""
    return torch.as_tensor(x, device=WHERE)
