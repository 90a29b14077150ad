"""Families of kernels that compute convolutions, one a file: `gpucnn.cuda.plans` finds them and says what they are."""
