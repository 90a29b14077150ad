"""Families of kernels that compute convolutions, one a file: `gpucnn.cuda.plans` finds them and says what they are.

Plans that add the terms of a sum in one order give equal bits. `plain`, `tiled` (tiles of any size) and `depthwise` do:
taps row by row, and at each tap channel by channel, in a weight gradient image by image; cut into as many pieces, which
are added in order.
"""
