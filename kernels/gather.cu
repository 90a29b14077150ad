// A batch gathered from a data set that is on the device, augmented and normalised, with its labels.
//
//   x[n, i, j, c] = scale[c] p + shift[c]       p: the pixel of image indices[n] that its frames lead to from (i, j)
//
// A frame says how an image is taken from the one before it:
//
//   y[i, j] = fill where (i, j) is hidden, else x[i + top, j' + left], where j' = W - 1 - j if mirrored, else j
//
// Beyond the image's borders, x is `fill` (border 0), its outermost pixel (1) or the image mirrored at that (2). Each
// image has `changes` frames, applied in order: from a pixel of the last image, a thread follows them back to the
// first. It has one element of x, and the first thread of an image its label. The product is rounded before the sum, as
// gpucnn.data.normalize does, and halves are rounded last: the batch has the same bits as one made on the host.
//
// batch: where indices and frames are of many batches, one after the other, the number of the one that is gathered.
//
// Memory: an element of images is read, and one of x written.
//
// Versions: this file, plain.
#include "frame.cuh"
#include "types.cuh"

// The place on an axis of `size` pixels whose pixel stands at `at`, which may lie beyond its ends.
static __device__ inline int place_of(int at, int size, int border) {
  if (border == REFLECT) at = at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at;
  return min(max(at, 0), size - 1);
}

// A product that is never fused with the addition that follows.
static __device__ inline float product(float a, float b) { return __fmul_rn(a, b); }
static __device__ inline double product(double a, double b) { return __dmul_rn(a, b); }

template <class Pixel>
static __device__ inline void gather(const Pixel* images, const int64* labels, const int64* indices, const int* frames,
                                     const Acc* scale, const Acc* shift, T* x, int64* own_labels, int count, int H,
                                     int W, int C, int changes, const int* batch) {
  const int e = element();
  if (e >= count) return;
  const int channel = e % C, n = e / C / W / H;
  int row = e / C / W % H, column = e / C % W;
  const int64 place = (batch ? int64(*batch) * (count / (H * W * C)) : 0) + n, index = indices[place];
  if (row == 0 && column == 0 && channel == 0) own_labels[n] = labels[index];
  bool covered = false;
  Acc pixel = 0;
  for (int k = changes - 1; k >= 0 && !covered; --k) {
    const Frame f = reinterpret_cast<const Frame*>(frames)[place * changes + k];
    const bool hidden = row >= f.from_row && row < f.to_row && column >= f.from_column && column < f.to_column;
    const int i = row + f.top, j = (f.mirrored ? W - 1 - column : column) + f.left;
    row = place_of(i, H, f.border), column = place_of(j, W, f.border);
    covered = hidden || (f.border == CONSTANT && (row != i || column != j));
    pixel = Acc(f.fill);
  }
  if (!covered) pixel = Acc(images[((index * H + row) * W + column) * C + channel]);
  const Acc scaled = product(pixel, scale[channel]);
  x[e] = T(shift ? scaled + shift[channel] : scaled);
}

extern "C" __global__ void __launch_bounds__(THREADS)
gather_uint8(const uint8* __restrict__ images, const int64* __restrict__ labels, const int64* __restrict__ indices,
             const int* __restrict__ frames, const Acc* __restrict__ scale,
             const Acc* __restrict__ shift /* or null */,
             T* __restrict__ x, int64* __restrict__ own_labels, int count, int H, int W, int C, int changes,
             const int* __restrict__ batch /* or null */) {
  gather(images, labels, indices, frames, scale, shift, x, own_labels, count, H, W, C, changes, batch);
}

extern "C" __global__ void __launch_bounds__(THREADS)
gather_float(const float* __restrict__ images, const int64* __restrict__ labels, const int64* __restrict__ indices,
             const int* __restrict__ frames, const Acc* __restrict__ scale,
             const Acc* __restrict__ shift /* or null */,
             T* __restrict__ x, int64* __restrict__ own_labels, int count, int H, int W, int C, int changes,
             const int* __restrict__ batch /* or null */) {
  gather(images, labels, indices, frames, scale, shift, x, own_labels, count, H, W, C, changes, batch);
}
