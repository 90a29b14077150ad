// Convolution as a matrix product whose matrices are never written down (implicit GEMM), by tiles in shared memory.
//
// Within a group, out[m,n] = sum over k of A[m,k] B[n,k], with
//
//                      out   m             n                 k                     A     B
//   forward            y     image, p, q   output            r, s, channel         x     w
//   backward data      dx    image, h, w   channel           taps met, output      dy    w
//   backward weight    dw    output        r, s, channel     image, p, q           dy    x
//
// where A and B stand for the elements that meet; the equations are those of conv2d.cu. A block computes a tile of
// 64 x 64 or 128 x 128 outputs, a thread 4 x 4 or 8 x 8 of them; tile.cuh tells how. blockIdx.x and .y count tiles
// along m and n, blockIdx.z groups, and:
//
//   backward data with stride s has s*s phases (blockIdx.z): the inputs whose padded row and column leave the same
//   remainders meet the same taps, and no others, so that each phase is a product without a zero in it;
//   backward weight cuts its long sums into parts (blockIdx.z), added in a fixed order by add_parts (sums.cu).
//
// Memory: a tile of side L reads 2*L elements for L*L multiplications, where conv2d.cu reads two for each. It reads 16
// bytes at a time, four float32 or eight halves, where the channels (or outputs) of a group are a multiple of so many
// and the array starts on 16 bytes, and writes four elements at a time where the output's row allows. 2*m*n*k FLOPs.
//
// Forward ends with what stands in epilogue.cuh. What is brief of it is done to sums in registers; for the rest a
// thread goes over the elements that it has written once more, while they are in the cache, for code for each of 64
// sums would be too much of it. Where a batch norm follows in training, it takes the moments of what it writes as it is
// stored (moments.cuh): a tile's rows are a part of all. Backward data adds z, if it is there, to sums in registers.
//
// Versions: conv2d.cu, plain; this file, tiled.
#include "epilogue.cuh"
#include "tile.cuh"
#include "window.cuh"

// ---- forward ----------------------------------------------------------------------------------------------------

struct SeenInputs {  // A[m,k]: the input that output m meets at tap and channel k
  static constexpr bool ALONG_K = true;
  const T* x;
  const Window& g;
  int n, row, column, first, depth;
  bool exists;
  Counter tap;

  __device__ SeenInputs(const T* x, const Window& g, int m, int k, int group)
      : x(x), g(g), depth(g.C / g.groups), exists(m < g.N * g.P * g.Q), tap(k, g.S, depth) {
    const Place out(m, g.P, g.Q, 1);
    n = out.n, row = out.row * g.stride_h - g.top, column = out.column * g.stride_w - g.left, first = group * depth;
  }
  __device__ const T* at(int i) const {
    const Counter t = tap.after(i);
    const int h = row + t.high * g.dilation_h, w = column + t.middle * g.dilation_w;
    if (!exists || t.high >= g.R || h < 0 || h >= g.H || w < 0 || w >= g.W) return nullptr;
    return x + ((n * g.H + h) * g.W + w) * g.C + first + t.low;
  }
  __device__ bool whole() const { return depth % WIDTH == 0 && aligned<Loaded>(x); }
  __device__ void advance(int by) { tap.advance(by); }
};

struct KernelRows {  // B[n,k]: output n's weight at tap and channel k
  static constexpr bool ALONG_K = true;
  const T* row;
  int k, length;
  bool exists;

  __device__ KernelRows(const T* w, int n, int k, int outputs, int length, int group)
      : row(w + (group * outputs + n) * length), k(k), length(length), exists(n < outputs) {}
  __device__ const T* at(int i) const { return exists && k + i < length ? row + k + i : nullptr; }
  __device__ bool whole() const { return length % WIDTH == 0 && aligned<Loaded>(row); }
  __device__ void advance(int by) { k += by; }
};

template <int SIDE>
static __device__ void forward_tile(const T* x, const T* w, const T* b, T* y, const Window& g, const Ending& end,
                                    const Parts& parts) {
  using Square = Tile<SIDE>;
  const int group = blockIdx.z, outputs = g.K / g.groups, length = g.R * g.S * (g.C / g.groups);
  const int m0 = blockIdx.x * Square::SIZE, n0 = blockIdx.y * Square::SIZE;
  const int row = Square::row(true), k = Square::k(true);
  const SeenInputs inputs(x, g, m0 + row, k, group);
  const KernelRows kernels(w, n0 + row, k, outputs, length, group);
  const int rows = g.N * g.P * g.Q, first = group * outputs + n0;  // first: the tile's first output
  const auto row_of = [&](int m) { return m0 + m < rows ? (m0 + m) * g.K + first : -1; };
  const auto brief = [&](Acc sum) { return end.brief(sum); };
  const TileMoments<SIDE> moments = {parts, m0 / Square::SIZE * g.K + first, outputs - n0};
  tile_product<SIDE>(inputs, kernels, length, y, b ? b + first : b, outputs - n0, row_of, brief, moments);
  if (end.whole()) return;
  const auto rest = [&](int n, int place) { y[place] = T(end(Acc(y[place]), first + n, place)); };
  each_stored<SIDE>(outputs - n0, row_of, rest);
}

// ---- backward data ----------------------------------------------------------------------------------------------

struct SeeingOutputs {  // A[m,k]: dy where input m is met by a tap, of output k
  static constexpr bool ALONG_K = true;
  const T* dy;
  const Window& g;
  Phase down, across;
  int n, row, column, first, outputs;
  bool exists;
  Counter tap;

  __device__ SeeingOutputs(const T* dy, const Window& g, Phase down, Phase across, int m, int k, int group)
      : dy(dy), g(g), down(down), across(across), outputs(g.K / g.groups), tap(k, across.taps, outputs) {
    const Place in(m, down.count, across.count, 1);
    n = in.n, row = in.row + down.ahead, column = in.column + across.ahead;
    first = group * outputs, exists = m < g.N * down.count * across.count;
  }
  __device__ const T* at(int i) const {
    const Counter t = tap.after(i);
    const int p = row - t.high * down.back, q = column - t.middle * across.back;
    if (!exists || t.high >= down.taps || p < 0 || p >= g.P || q < 0 || q >= g.Q) return nullptr;
    return dy + ((n * g.P + p) * g.Q + q) * g.K + first + t.low;
  }
  __device__ bool whole() const { return outputs % WIDTH == 0 && aligned<Loaded>(dy); }
  __device__ void advance(int by) { tap.advance(by); }
};

struct KernelColumns {  // B[n,k]: channel n's weight at a tap, of output k
  static constexpr bool ALONG_K = false;
  const T* w;
  const Window& g;
  Phase down, across;
  int channel, first, depth;
  Counter tap;

  __device__ KernelColumns(const T* w, const Window& g, Phase down, Phase across, int n, int k, int group)
      : w(w), g(g), down(down), across(across), channel(n), depth(g.C / g.groups),
        tap(k, across.taps, g.K / g.groups) {
    first = group * (g.K / g.groups);
  }
  __device__ const T* at(int i) const {
    if (channel + i >= depth || tap.high >= down.taps) return nullptr;
    const int r = down.tap + tap.high * g.step_h, s = across.tap + tap.middle * g.step_w;
    return w + (((first + tap.low) * g.R + r) * g.S + s) * depth + channel + i;
  }
  __device__ bool whole() const { return depth % WIDTH == 0 && aligned<Loaded>(w); }
  __device__ void advance(int by) { tap.advance(by); }
};

template <int SIDE>
static __device__ void backward_data_tile(const T* dy, const T* w, const T* z, T* dx, const Window& g) {
  using Square = Tile<SIDE>;
  const int group = blockIdx.z % g.groups, phase = blockIdx.z / g.groups, depth = g.C / g.groups;
  const Phase down(phase / g.stride_w, g.H, g.R, g.stride_h, g.dilation_h, g.top, g.step_h);
  const Phase across(phase % g.stride_w, g.W, g.S, g.stride_w, g.dilation_w, g.left, g.step_w);
  const int m0 = blockIdx.x * Square::SIZE, n0 = blockIdx.y * Square::SIZE, rows = g.N * down.count * across.count;
  if (m0 >= rows) return;  // the whole block: the grid is that of the largest phase
  const int taps = down.taps * across.taps, columns = depth - n0;
  const auto row_of = [&](int m) {
    if (m0 + m >= rows) return -1;
    const Place in(m0 + m, down.count, across.count, 1);
    const int h = down.first + in.row * g.stride_h, column = across.first + in.column * g.stride_w;
    return ((in.n * g.H + h) * g.W + column) * g.C + group * depth + n0;
  };
  if (taps == 0) {  // inputs that no output sees
    for (int i = threadIdx.x; i < Square::SIZE * Square::SIZE; i += THREADS) {
      const int row = row_of(i / Square::SIZE), n = i % Square::SIZE;
      if (row >= 0 && n < columns) dx[row + n] = z ? z[row + n] : T(0);
    }
    return;
  }
  const SeeingOutputs outputs(dy, g, down, across, m0 + Square::row(true), Square::k(true), group);
  const KernelColumns kernels(w, g, down, across, n0 + Square::row(false), Square::k(false), group);
  tile_product<SIDE>(outputs, kernels, taps * (g.K / g.groups), dx, nullptr, columns, row_of, AsItIs{}, NoMoments{}, z);
}

// ---- backward weight --------------------------------------------------------------------------------------------

struct OutputRows {  // A[m,k]: dy at position k, of output m
  static constexpr bool ALONG_K = false;
  const T* dy;
  int output, outputs, first, stride, k, end;

  __device__ OutputRows(const T* dy, const Window& g, int m, int k, int end, int group)
      : dy(dy), output(m), outputs(g.K / g.groups), first(group * outputs), stride(g.K), k(k), end(end) {}
  __device__ const T* at(int i) const {
    return k < end && output + i < outputs ? dy + k * stride + first + output + i : nullptr;
  }
  __device__ bool whole() const { return outputs % WIDTH == 0 && aligned<Loaded>(dy); }
  __device__ void advance(int by) { k += by; }
};

struct MetInputs {  // B[n,k]: the input that the output at position k meets at tap and channel n
  static constexpr bool ALONG_K = false;
  const T* x;
  const Window& g;
  int k, end, first, depth;
  Counter tap, out;

  __device__ MetInputs(const T* x, const Window& g, int n, int k, int end, int group)
      : x(x), g(g), k(k), end(end), depth(g.C / g.groups), tap(n, g.S, depth), out(k, g.P, g.Q) {
    first = group * depth;
  }
  __device__ const T* at(int i) const {
    const Counter t = tap.after(i);
    const int h = out.middle * g.stride_h + t.high * g.dilation_h - g.top;
    const int w = out.low * g.stride_w + t.middle * g.dilation_w - g.left;
    if (k >= end || t.high >= g.R || h < 0 || h >= g.H || w < 0 || w >= g.W) return nullptr;
    return x + ((out.high * g.H + h) * g.W + w) * g.C + first + t.low;
  }
  __device__ bool whole() const { return depth % WIDTH == 0 && aligned<Loaded>(x); }
  __device__ void advance(int by) { k += by, out.advance(by); }
};

template <int SIDE>
static __device__ void backward_weight_tile(const T* x, const T* dy, Acc* parts, const Window& g, int pieces) {
  using Square = Tile<SIDE>;
  const int group = blockIdx.z % g.groups, piece = blockIdx.z / g.groups, outputs = g.K / g.groups;
  const int columns = g.R * g.S * (g.C / g.groups);
  const Part part(g.N * g.P * g.Q, piece, pieces);
  const int m0 = blockIdx.x * Square::SIZE, n0 = blockIdx.y * Square::SIZE, row = Square::row(false);
  const int k = part.begin + Square::k(false);
  const OutputRows answers(dy, g, m0 + row, k, part.end, group);
  const MetInputs inputs(x, g, n0 + row, k, part.end, group);
  const auto row_of = [&](int m) {
    return m0 + m < outputs ? (piece * g.K + group * outputs + m0 + m) * columns + n0 : -1;
  };
  tile_product<SIDE>(answers, inputs, part.end - part.begin, parts, nullptr, columns - n0, row_of);
}

// ---- kernels ----------------------------------------------------------------------------------------------------

constexpr int BLOCKS = sizeof(Acc) == 4 ? 2 : 1;  // of large tiles that a multiprocessor shall have registers for

extern "C" __global__ void __launch_bounds__(THREADS)
conv2d_forward_64(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                  T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                  const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                  int function, Acc a, Acc* __restrict__ means /* or null */,
                  Acc* __restrict__ squares /* or null */) {
  forward_tile<4>(x, w, b, y, g, {z, scale, shift, function, a}, {means, squares});
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
conv2d_forward_128(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                   T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                   const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                   int function, Acc a, Acc* __restrict__ means /* or null */,
                   Acc* __restrict__ squares /* or null */) {
  forward_tile<8>(x, w, b, y, g, {z, scale, shift, function, a}, {means, squares});
}

extern "C" __global__ void __launch_bounds__(THREADS)
conv2d_backward_data_64(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                        T* __restrict__ dx, Window g) {
  backward_data_tile<4>(dy, w, z, dx, g);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
conv2d_backward_data_128(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                         T* __restrict__ dx, Window g) {
  backward_data_tile<8>(dy, w, z, dx, g);
}

extern "C" __global__ void __launch_bounds__(THREADS)
conv2d_backward_weight_64(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g,
                          int pieces) {
  backward_weight_tile<4>(x, dy, parts, g, pieces);
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
conv2d_backward_weight_128(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g,
                           int pieces) {
  backward_weight_tile<8>(x, dy, parts, g, pieces);
}
