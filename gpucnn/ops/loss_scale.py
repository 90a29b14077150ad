"""How the scale of a loss follows the gradients: as large as float16 can bear, without looking at them from the host.

float16 holds nothing between 0 and 6e-8, where many gradients of activations lie; so the gradient of the loss is
multiplied by a power of two before it goes back through the network, and parameters' gradients are divided by it.

    some gradient is not finite    scale = scale / 2, and the step is skipped
    `growth` steps were good       scale = 2 scale

Source: P. Micikevicius et al., "Mixed Precision Training", ICLR 2018, section 3.2.
"""

from __future__ import annotations

from gpucnn.backend import Array
from gpucnn.dispatch import storing_operation


@storing_operation
def adapt_loss_scale(scale: Array, counts: Array, found: Array, growth: int, stopped: Array | None = None) -> None:
    """Change the scale, float32 (1,), and the counts, int32 (2,), after a step.

    counts: good steps since the scale was last changed, and steps that were skipped in all. found: int32 (1,), how many
    elements of the gradients are not finite. growth: after how many good steps in a row the scale is doubled.
    stopped: int32 (1,): nothing is changed where it is not 0.

    >>> import numpy as np
    >>> scale, counts = np.array([8], np.float32), np.array([1, 5], np.int32)
    >>> for found in (0, 3):
    ...     adapt_loss_scale(scale, counts, np.array([found], np.int32), growth=2)
    ...     print(scale.tolist(), counts.tolist())
    [16.0] [0, 5]
    [8.0] [0, 6]
    """
    if stopped is not None and stopped[0]:
        return
    if found[0]:
        scale *= 0.5
        counts[0], counts[1] = 0, counts[1] + 1
    elif counts[0] + 1 < growth:
        counts[0] += 1
    else:
        scale *= 2
        counts[0] = 0
