"""The fast CPU room: float32 operations on NumPy arrays, in threads, with pooled memory and Winograd's convolutions.

The modules named after those of `gpucnn.ops` (`conv2d`, `pool2d`, ...) hold functions named after its operations, which
the dispatcher finds; they return what the reference returns. Whatever they do not take, float64 above all, they leave
to the reference, and say why.

    threads     blocks of work on all cores, with results that do not depend on how many there are
    memory      arrays that are used again, so that a step in the middle of training asks the system for none
    compiled    loops that numba compiles, where it is installed
"""
