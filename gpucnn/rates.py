"""What an optimizer's update takes from a learning rate and a step: the numbers that change from step to step.

They are computed in double precision, before they are rounded to what the weights are made of.
"""

from __future__ import annotations

import math


def plain_numbers(lr: float) -> tuple[float]:
    """Return those of SGD and Adagrad: lr alone."""
    return (lr,)


def adam_numbers(
    lr: float, step: int, beta1: float, beta2: float, decay: float, decoupled: bool
) -> tuple[float, float, float]:
    """Return those of Adam and AdamW: lr / (1 - beta1^t), sqrt(1 - beta2^t) and 1 - lr decay, where t = step + 1.

    The last is what AdamW (`decoupled`) multiplies weights by; it is 1 for Adam.

    >>> adam_numbers(0.1, 0, 0.5, 0.75, 0.5, decoupled=True)
    (0.2, 0.5, 0.95)
    """
    t = step + 1
    return lr / (1 - beta1**t), math.sqrt(1 - beta2**t), 1 - lr * decay if decoupled else 1.0
