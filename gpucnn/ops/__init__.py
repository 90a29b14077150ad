"""Stateless maths on NumPy and CuPy arrays: every operation with its backward passes beside it.

Images are (N, H, W, C), kernels (K, R, S, C/groups), float32 or float64. What layers compute takes float16 and bfloat16
as well: halves are stored, float32 is computed, and gradients of parameters stay float32. No operation changes its
inputs, and none needs the trainer:

    y = ops.conv2d(x, w, b, stride=2, padding="same")
    dx = ops.conv2d_backward_data(dy, w, x.shape, stride=2, padding="same")
"""

from gpucnn.ops.accuracy import count_correct
from gpucnn.ops.activation import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    scaled_tanh,
    scaled_tanh_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from gpucnn.ops.add import add, add_activation, add_activation_backward
from gpucnn.ops.batch_norm import (
    batch_norm_backward,
    batch_norm_eval,
    batch_norm_train,
)
from gpucnn.ops.batch_norm_activation import (
    batch_norm_activation_backward,
    batch_norm_activation_eval,
    batch_norm_activation_train,
)
from gpucnn.ops.batch_norm_max_pool2d import (
    batch_norm_max_pool2d_backward,
    batch_norm_max_pool2d_train,
    conv2d_batch_norm_max_pool2d_train,
)
from gpucnn.ops.bias_activation import bias_activation_backward
from gpucnn.ops.binary_cross_entropy import binary_cross_entropy, binary_cross_entropy_backward
from gpucnn.ops.conv2d import (
    conv2d,
    conv2d_backward_bias,
    conv2d_backward_data,
    conv2d_backward_weight,
    conv2d_output_shape,
)
from gpucnn.ops.conv2d_activation import conv2d_activation
from gpucnn.ops.conv2d_batch_norm import conv2d_batch_norm_eval, conv2d_batch_norm_train
from gpucnn.ops.conv2d_gradients import conv2d_gradients
from gpucnn.ops.cross_entropy import cross_entropy, cross_entropy_backward, cross_entropy_gradient
from gpucnn.ops.dense import dense, dense_backward_bias, dense_backward_data, dense_backward_weight
from gpucnn.ops.dense_activation import dense_activation
from gpucnn.ops.dense_gradients import dense_gradients
from gpucnn.ops.dropout import dropout, dropout_backward
from gpucnn.ops.finite import count_nonfinite
from gpucnn.ops.frames import draw_frames
from gpucnn.ops.gather import gather
from gpucnn.ops.mse import mse, mse_backward
from gpucnn.ops.pool2d import (
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
    pool2d_output_shape,
    sum_pool2d,
    sum_pool2d_backward,
)
from gpucnn.ops.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward
from gpucnn.ops.update import adagrad_update, adam_update, sgd_update

__all__ = [
    "adagrad_update",
    "adam_update",
    "add",
    "add_activation",
    "add_activation_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm_activation_backward",
    "batch_norm_activation_eval",
    "batch_norm_activation_train",
    "batch_norm_backward",
    "batch_norm_eval",
    "batch_norm_max_pool2d_backward",
    "batch_norm_max_pool2d_train",
    "batch_norm_train",
    "bias_activation_backward",
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "conv2d",
    "conv2d_activation",
    "conv2d_backward_bias",
    "conv2d_backward_data",
    "conv2d_backward_weight",
    "conv2d_batch_norm_eval",
    "conv2d_batch_norm_max_pool2d_train",
    "conv2d_batch_norm_train",
    "conv2d_gradients",
    "conv2d_output_shape",
    "count_correct",
    "count_nonfinite",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_gradient",
    "dense",
    "dense_activation",
    "dense_backward_bias",
    "dense_backward_data",
    "dense_backward_weight",
    "dense_gradients",
    "draw_frames",
    "dropout",
    "dropout_backward",
    "elu",
    "elu_backward",
    "gather",
    "gelu",
    "gelu_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mse",
    "mse_backward",
    "pool2d_output_shape",
    "relu",
    "relu_backward",
    "scaled_tanh",
    "scaled_tanh_backward",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "sum_pool2d",
    "sum_pool2d_backward",
    "tanh",
    "tanh_backward",
]
