// compiled for: float32 float16 bfloat16
// Convolution with 1x1 kernels, and dense layers, as the plain matrix products that they are (groups = 1, no padding).
//
//   forward           y[m,k] = end(b[k] + sum over c of  x[m,c] w[k,c])        m an output; x's pixel is `stride` apart
//   backward data    dx[m,c] = sum over k of  dy[m,k] w[k,c]  + z[m,c]    z a gradient of x's that is added, if there
//   backward weight  dw[k,c] = sum over m of  dy[m,k] x[m,c]              stride 1; in parts (blockIdx.z)
//
// A block computes a tile of 64 x 64 or 128 x 128, a thread 4 x 4 or 8 x 8 of it, as tile.cuh tells. conv2d_tiled.cu
// looks up tap and channel for each strip that a thread brings, about 40 instructions for 256 or 512 multiplications;
// here an operand is an address that moves on. Sums are taken in the same order: the bits are the same. Ends and
// moments are as there.
//
// Of a strided dx, each tile has a second block (blockIdx.z), for the pixels beside its own that no output sees.
//
// Memory: that of conv2d_tiled.cu; of a strided image, forward reads the pixels that are met and no others.
//
// Versions: conv2d_tiled.cu, any window; this file, 1x1.
#include "epilogue.cuh"
#include "tile.cuh"
#include "window.cuh"

struct Along {  // A[m,k] or B[n,k] where k runs along a row that starts at `row`, null where there is none
  static constexpr bool ALONG_K = true;
  const T* row;
  int k, length;

  __device__ const T* at(int i) const { return row && k + i < length ? row + k + i : nullptr; }
  __device__ bool whole() const { return length % WIDTH == 0 && aligned<Loaded>(row); }
  __device__ void advance(int by) { k += by; }
};

struct Down {  // A[m,k] or B[n,k] where k runs down the rows of a matrix; this thread's columns begin at `column`
  static constexpr bool ALONG_K = false;
  const T* matrix;
  int column, columns, k, end;

  __device__ const T* at(int i) const {
    return k < end && column + i < columns ? matrix + k * columns + column + i : nullptr;
  }
  __device__ bool whole() const { return columns % WIDTH == 0 && aligned<Loaded>(matrix); }
  __device__ void advance(int by) { k += by; }
};

template <int SIDE>
static __device__ void pointwise_forward_tile(const T* x, const T* w, const T* b, T* y, const Window& g,
                                              const Ending& end, const Parts& parts) {
  using Square = Tile<SIDE>;
  const int m0 = blockIdx.x * Square::SIZE, n0 = blockIdx.y * Square::SIZE, rows = g.N * g.P * g.Q;
  const int row = Square::row(true), k = Square::k(true), m = m0 + row, n = n0 + row;
  const Place out(m, g.P, g.Q, 1);
  const T* pixel = x + ((out.n * g.H + out.row * g.stride_h) * g.W + out.column * g.stride_w) * g.C;
  const Along inputs = {m < rows ? pixel : nullptr, k, g.C}, kernels = {n < g.K ? w + n * g.C : nullptr, k, g.C};
  const auto row_of = [&](int i) { return m0 + i < rows ? (m0 + i) * g.K + n0 : -1; };
  const auto brief = [&](Acc sum) { return end.brief(sum); };
  const TileMoments<SIDE> moments = {parts, m0 / Square::SIZE * g.K + n0, g.K - n0};
  tile_product<SIDE>(inputs, kernels, g.C, y, b ? b + n0 : b, g.K - n0, row_of, brief, moments);
  if (end.whole()) return;
  const auto rest = [&](int n, int place) { y[place] = T(end(Acc(y[place]), n0 + n, place)); };
  each_stored<SIDE>(g.K - n0, row_of, rest);
}

// Writes z, or zeros, to channels n0 .. of the pixels of a strided image that no output sees: those between each of the
// tile's and the next ones, four numbers at a time.
template <int SIDE>
static __device__ void fill_between(const T* z, T* dx, const Window& g, int m0, int n0) {
  constexpr int FOURS = Tile<SIDE>::SIZE / 4;
  const int cell = g.stride_h * g.stride_w, count = min(Tile<SIDE>::SIZE, g.N * g.P * g.Q - m0);
  for (int i = threadIdx.x; i < count * (cell - 1) * FOURS; i += THREADS) {
    const int n = n0 + i % FOURS * 4, in_cell = i / FOURS % (cell - 1) + 1;
    const Place out(m0 + i / FOURS / (cell - 1), g.P, g.Q, 1);
    const int h = out.row * g.stride_h + in_cell / g.stride_w, w = out.column * g.stride_w + in_cell % g.stride_w;
    if (h >= g.H || w >= g.W || n >= g.C) continue;
    const int place = ((out.n * g.H + h) * g.W + w) * g.C + n;
    const Vector<T, 4> four = load_some<T, 4>(z + place, z ? g.C - n : 0);
    store_some(dx + place, four, g.C - n);
  }
}

template <int SIDE>
static __device__ void pointwise_backward_data_tile(const T* dy, const T* w, const T* z, T* dx, const Window& g) {
  using Square = Tile<SIDE>;
  const int m0 = blockIdx.x * Square::SIZE, n0 = blockIdx.y * Square::SIZE, rows = g.N * g.P * g.Q;
  if (blockIdx.z > 0) return fill_between<SIDE>(z, dx, g, m0, n0);
  const int m = m0 + Square::row(true);
  const Along outputs = {m < rows ? dy + m * g.K : nullptr, Square::k(true), g.K};
  const Down kernels = {w, n0 + Square::row(false), g.C, Square::k(false), g.K};
  const auto row_of = [&](int i) {
    const Place out(m0 + i, g.P, g.Q, 1);
    const int pixel = (out.n * g.H + out.row * g.stride_h) * g.W + out.column * g.stride_w;
    return m0 + i < rows ? pixel * g.C + n0 : -1;
  };
  tile_product<SIDE>(outputs, kernels, g.K, dx, static_cast<const T*>(nullptr), g.C - n0, row_of, AsItIs{},
                     NoMoments{}, z);
}

template <int SIDE>
static __device__ void pointwise_backward_weight_tile(const T* x, const T* dy, Acc* parts, const Window& g) {
  using Square = Tile<SIDE>;
  const int m0 = blockIdx.x * Square::SIZE, n0 = blockIdx.y * Square::SIZE, row = Square::row(false);
  const Part part(g.N * g.P * g.Q, blockIdx.z, gridDim.z);
  const int k = part.begin + Square::k(false);
  const Down outputs = {dy, m0 + row, g.K, k, part.end}, inputs = {x, n0 + row, g.C, k, part.end};
  const auto row_of = [&](int i) { return m0 + i < g.K ? (int(blockIdx.z) * g.K + m0 + i) * g.C + n0 : -1; };
  tile_product<SIDE>(outputs, inputs, part.end - part.begin, parts, static_cast<const T*>(nullptr), g.C - n0, row_of);
}

extern "C" __global__ void __launch_bounds__(THREADS)
pointwise_forward_64(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                     T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                     const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                     int function, Acc a, Acc* __restrict__ means /* or null */,
                     Acc* __restrict__ squares /* or null */) {
  pointwise_forward_tile<4>(x, w, b, y, g, {z, scale, shift, function, a}, {means, squares});
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
pointwise_forward_128(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                     T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                     const Acc* __restrict__ scale /* or null */, const Acc* __restrict__ shift /* or null */,
                     int function, Acc a, Acc* __restrict__ means /* or null */,
                     Acc* __restrict__ squares /* or null */) {
  pointwise_forward_tile<8>(x, w, b, y, g, {z, scale, shift, function, a}, {means, squares});
}

extern "C" __global__ void __launch_bounds__(THREADS)
pointwise_backward_data_64(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                           T* __restrict__ dx, Window g) {
  pointwise_backward_data_tile<4>(dy, w, z, dx, g);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
pointwise_backward_data_128(const T* __restrict__ dy, const T* __restrict__ w, const T* __restrict__ z /* or null */,
                            T* __restrict__ dx, Window g) {
  pointwise_backward_data_tile<8>(dy, w, z, dx, g);
}

extern "C" __global__ void __launch_bounds__(THREADS)
pointwise_backward_weight_64(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g) {
  pointwise_backward_weight_tile<4>(x, dy, parts, g);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
pointwise_backward_weight_128(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g) {
  pointwise_backward_weight_tile<8>(x, dy, parts, g);
}
