// How an image is taken from the one before it, as gather.cu says; drawn by frames.cu.
#pragma once

struct Frame {
  int top, left, mirrored, border, fill, from_row, to_row, from_column, to_column;
};

enum Border { CONSTANT, EDGE, REFLECT };
