"""CUDA: finds, compiles, checks and launches the kernels in `kernels/`.

`launch` is the only way to a kernel. The modules named after operations (`conv2d`, `pool2d`, ...) are their host side:
they make the outputs, decide how many blocks run, and return what the functions of the same name in `gpucnn.ops` do.
"""
