// Frames drawn for images: what augmentations do to them in an epoch.
//
//   row = floor(u rows / 2^32)       column = floor(v columns / 2^32)       mirrored, if it is not, where u < chance
//
// u and v are the first two words of gpucnn.random.Stream(seed, purpose, epoch).at(index), so that frames are the same
// as those that are drawn on the host. row and column are added to those of the patch that is hidden, or to those where
// the image begins; all other numbers of a frame are the same for all images.
//
// draws: of each of an image's `changes`, such a structure (gpucnn.frames.Draw). A thread draws one frame.
//
// Memory: 8 bytes of an image, and 36 of each of its frames.
//
// Versions: this file, plain.
#include "frame.cuh"
#include "philox.cuh"

struct Draw {
  int64 top, left, mirrored, border, fill, from_row, to_row, from_column, to_column;
  int64 rows, columns, chance, hides, seed_low, seed_high, epoch, purpose;
};

extern "C" __global__ void __launch_bounds__(THREADS)
draw_frames(const int64* __restrict__ indices, const int64* __restrict__ draws, int* __restrict__ frames, int count,
            int changes) {
  const int e = element();
  if (e >= count) return;
  const Draw d = reinterpret_cast<const Draw*>(draws)[e % changes];
  const Words counter = {{uint32(indices[e / changes]), 0, uint32(d.epoch), uint32(d.purpose)}};
  const Words drawn = philox(counter, uint32(d.seed_low), uint32(d.seed_high));
  const int row = __umulhi(drawn.word[0], uint32(d.rows)), column = __umulhi(drawn.word[1], uint32(d.columns));
  const bool mirrored = (drawn.word[0] < d.chance) != (d.mirrored != 0);
  Frame frame = {int(d.top), int(d.left), mirrored, int(d.border), int(d.fill),
                 int(d.from_row), int(d.to_row), int(d.from_column), int(d.to_column)};
  if (d.hides) {
    frame.from_row += row, frame.to_row += row, frame.from_column += column, frame.to_column += column;
  } else {
    frame.top += row, frame.left += column;
  }
  reinterpret_cast<Frame*>(frames)[e] = frame;
}
