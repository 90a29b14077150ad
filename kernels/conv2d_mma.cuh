// Where the elements of a convolution stand that are multiplied on tensor cores: the loaders of mma.cuh for the three
// passes of conv2d_tiled.cu's table, and each pass for one tile.
#pragma once
#include "epilogue.cuh"
#include "mma.cuh"
#include "window.cuh"

// A number divided by one that stays the same, by a product: what is divided is below 2^31.
struct Divisor {
  int by;
  uint32 factor, shift;
  explicit __device__ Divisor(int by) : by(by), shift(32 - __clz(by - 1)) {
    factor = uint32(((int64(1) << 32) * ((int64(1) << shift) - by)) / by + 1);
  }
  __device__ int quotient(int x) const { return int((__umulhi(uint32(x), factor) + uint32(x)) >> shift); }
};

// ---- matrices of which a thread has neighbours along k ----------------------------------------------------------

// A of forward and backward data, the pixel that row m meets at tap and channel k: each tap is so many pixels `down`
// and `across` from where the row begins, in the image or outside.
template <class ThePanel>
struct MetPixels {
  typedef ThePanel Panel;
  const T* image;  // the group's first channel
  int height, width, channels, taps, down, across;
  int row[Panel::COUNT], column[Panel::COUNT];
  uint32 start[Panel::COUNT];
  Counter tap;

  __device__ MetPixels(const T* image, int height, int width, int channels, int taps, int down, int across, Counter tap)
      : image(image), height(height), width(width), channels(channels), taps(taps), down(down), across(across),
        tap(tap) {}

  __device__ void begin(int i, bool exists, int n, int at_row, int at_column) {
    row[i] = exists ? at_row : -(1 << 30), column[i] = at_column;
    start[i] = ((uint32(n) * height + at_row) * width + at_column) * channels;
  }
  __device__ const T* at(int i, int e) const {
    const Counter t = e ? tap.after(e) : tap;
    const int h = row[i] + t.high * down, w = column[i] + t.middle * across;
    if (t.high >= taps || uint32(h) >= uint32(height) || uint32(w) >= uint32(width)) return nullptr;
    return image + int(start[i] + uint32(t.high * down * width + t.middle * across) * channels + t.low);
  }
  __device__ const T* anywhere() const { return image; }
  __device__ bool whole() const { return tap.lows % CHUNK == 0 && aligned<Loaded>(image); }
  __device__ void advance() { tap.advance(STEP); }
};

// B of forward, output n's weight at tap and channel k: a row of w.
template <class ThePanel>
struct KernelLines {
  typedef ThePanel Panel;
  const T* w;  // the weights of row 0
  int rows, length, row, k;

  __device__ KernelLines(const T* w, int rows, int length, int first)
      : w(w), rows(rows), length(length), row(first + Panel::line(0)), k(Panel::chunk() * CHUNK) {}
  __device__ const T* at(int i, int e) const {
    const int n = row + Panel::line(i) - Panel::line(0);
    return n < rows && k + e < length ? w + n * length + k + e : nullptr;
  }
  __device__ const T* anywhere() const { return w; }
  __device__ bool whole() const { return length % CHUNK == 0 && aligned<Loaded>(w); }
  __device__ void advance() { k += STEP; }
};

// ---- matrices of which a thread has neighbours along the rows ---------------------------------------------------

// B of backward data, channel n's weight at a tap that is met, of output k.
template <class ThePanel>
struct KernelChannels {
  typedef ThePanel Panel;
  const T* w;  // of this thread's first channel, at the group's first output and the first tap that is met
  int channels, k, length, next, down, across;  // channels: there are from this one on; next, down, across: how far it
  Divisor outputs, taps;                        // is to the next output and tap; taps: that are met in a row
  bool in_chunks;

  __device__ KernelChannels(const T* w, const Window& g, const Phase& rows, const Phase& columns, int n0)
      : k(0), outputs(g.K / g.groups), taps(max(columns.taps, 1)) {
    const int depth = g.C / g.groups, channel = n0 + Panel::chunk() * CHUNK;
    channels = depth - channel, length = rows.taps * columns.taps * outputs.by;
    next = g.R * g.S * depth, down = g.step_h * g.S * depth, across = g.step_w * depth;
    this->w = w + (rows.tap * g.S + columns.tap) * depth + (channels > 0 ? channel : 0);
    in_chunks = depth % CHUNK == 0 && aligned<Loaded>(w);
  }
  __device__ const T* at(int i, int e) const {
    const int at_k = k + Panel::line(i);
    if (at_k >= length || e >= channels) return nullptr;
    const int met = outputs.quotient(at_k), r = taps.quotient(met);
    return w + (at_k - met * outputs.by) * next + r * down + (met - r * taps.by) * across + e;
  }
  __device__ const T* anywhere() const { return w; }
  __device__ bool whole() const { return in_chunks; }
  __device__ void advance() { k += STEP; }
};

// A of backward weight, dy at position k, of output m.
template <class ThePanel>
struct OutputLines {
  typedef ThePanel Panel;
  const T* dy;  // the group's first output
  int rows, stride, row, k, end;

  __device__ OutputLines(const T* dy, int rows, int stride, int m0, int begin, int end)
      : dy(dy), rows(rows), stride(stride), row(m0 + Panel::chunk() * CHUNK), k(begin), end(end) {}
  __device__ const T* at(int i, int e) const {
    const int position = k + Panel::line(i);
    return position < end && row + e < rows ? dy + position * stride + row + e : nullptr;
  }
  __device__ const T* anywhere() const { return dy; }
  __device__ bool whole() const { return rows % CHUNK == 0 && aligned<Loaded>(dy); }
  __device__ void advance() { k += STEP; }
};

// B of backward weight, the pixel that the output at position k meets at tap and channel n.
template <class ThePanel>
struct PixelLines {
  typedef ThePanel Panel;
  const T* x;  // the group's first channel
  const Window& g;
  Counter tap;
  int k, end;
  Divisor rows, columns;  // of y

  __device__ PixelLines(const T* x, const Window& g, int n0, int begin, int end)
      : x(x), g(g), tap(n0 + Panel::chunk() * CHUNK, g.S, g.C / g.groups), k(begin), end(end), rows(g.P),
        columns(g.Q) {}
  __device__ const T* at(int i, int e) const {
    const Counter t = e ? tap.after(e) : tap;
    const int position = k + Panel::line(i), line = columns.quotient(position), n = rows.quotient(line);
    const int h = (line - n * rows.by) * g.stride_h + t.high * g.dilation_h - g.top;
    const int w = (position - line * columns.by) * g.stride_w + t.middle * g.dilation_w - g.left;
    if (position >= end || t.high >= g.R || uint32(h) >= uint32(g.H) || uint32(w) >= uint32(g.W)) return nullptr;
    return x + ((n * g.H + h) * g.W + w) * g.C + t.low;
  }
  __device__ const T* anywhere() const { return x; }
  __device__ bool whole() const { return tap.lows % CHUNK == 0 && aligned<Loaded>(x); }
  __device__ void advance() { k += STEP; }
};

// ---- passes -----------------------------------------------------------------------------------------------------

// The tiles of an out of so many rows and columns, those of one m after the other, and where each begins.
template <class Tile>
struct Tiles {
  int across, count;
  __device__ Tiles(int rows, int columns)
      : across((columns + Tile::N - 1) / Tile::N), count((rows + Tile::M - 1) / Tile::M * across) {}
  __device__ int m(int tile) const { return tile / across * Tile::M; }
  __device__ int n(int tile) const { return tile % across * Tile::N; }
};

template <class Tile>
static __device__ void mma_forward(const T* x, const T* w, const T* b, T* y, const Window& g, const Ending& end,
                                   const Parts& parts) {
  typedef typename Tile::template PanelA<true> Pixels;
  typedef typename Tile::template PanelB<true> Kernels;
  const int group = blockIdx.z, outputs = g.K / g.groups, depth = g.C / g.groups, length = g.R * g.S * depth;
  const int rows = g.N * g.P * g.Q;
  const Tiles<Tile> tiles(rows, outputs);
  const auto panels_of = [&](int tile) {
    MetPixels<Pixels> pixels(x + group * depth, g.H, g.W, g.C, g.R, g.dilation_h, g.dilation_w,
                             Counter(Pixels::chunk() * CHUNK, g.S, depth));
#pragma unroll
    for (int i = 0; i < Pixels::COUNT; ++i) {
      const int m = tiles.m(tile) + Pixels::line(i);
      const Place out(m, g.P, g.Q, 1);
      pixels.begin(i, m < rows, out.n, out.row * g.stride_h - g.top, out.column * g.stride_w - g.left);
    }
    const KernelLines<Kernels> kernels(w + group * outputs * length, outputs, length, tiles.n(tile));
    return Panels<Tile, MetPixels<Pixels>, KernelLines<Kernels>>(pixels, kernels, length);
  };
  mma_tiles<Tile, Tile::ALONE>(tiles.count, panels_of, [&](int tile, const typename Tile::Sums& sums, float* held) {
    const int m0 = tiles.m(tile), n0 = tiles.n(tile), first = group * outputs + n0;  // first: the tile's first output
    const auto row_of = [&](int m) { return m0 + m < rows ? (m0 + m) * g.K + first : -1; };
    const auto brief = [&](Acc sum) { return end.brief(sum); };
    MmaMoments<Tile> moments = {parts, m0 / Tile::M * g.K + first, outputs - n0};
    write_sums<Tile>(sums, held, y, b ? b + first : b, outputs - n0, row_of, brief, moments);
    const int column = Tile::column() + threadIdx.x % (Tile::WARP_N / CHUNK) * CHUNK;
    moments.write(held, column, Tile::row() / Tile::WARP_M);
    if (end.whole()) return;
    const auto rest = [&](int n, int place) { y[place] = T(end(Acc(y[place]), first + n, place)); };
    each_written<Tile, T>(outputs - n0, row_of, rest);
  });
}

template <class Tile>
static __device__ void mma_backward_data(const T* dy, const T* w, const T* z, T* dx, const Window& g) {
  typedef typename Tile::template PanelA<true> Pixels;
  typedef typename Tile::template PanelB<false> Kernels;
  const int group = blockIdx.z % g.groups, phase = blockIdx.z / g.groups;
  const int outputs = g.K / g.groups, depth = g.C / g.groups;
  const Phase down(phase / g.stride_w, g.H, g.R, g.stride_h, g.dilation_h, g.top, g.step_h);
  const Phase across(phase % g.stride_w, g.W, g.S, g.stride_w, g.dilation_w, g.left, g.step_w);
  const int rows = g.N * down.count * across.count, taps = down.taps * across.taps;
  const Tiles<Tile> tiles(rows, depth);  // of this phase; the grid is that of the largest
  const auto panels_of = [&](int tile) {
    MetPixels<Pixels> pixels(dy + group * outputs, g.P, g.Q, g.K, down.taps, -down.back, -across.back,
                             Counter(Pixels::chunk() * CHUNK, max(across.taps, 1), outputs));
#pragma unroll
    for (int i = 0; i < Pixels::COUNT; ++i) {
      const int m = tiles.m(tile) + Pixels::line(i);
      const Place in(m, down.count, across.count, 1);
      pixels.begin(i, m < rows, in.n, in.row + down.ahead, in.column + across.ahead);
    }
    const KernelChannels<Kernels> kernels(w + group * outputs * g.R * g.S * depth, g, down, across, tiles.n(tile));
    return Panels<Tile, MetPixels<Pixels>, KernelChannels<Kernels>>(pixels, kernels, taps * outputs);
  };
  mma_tiles<Tile, Tile::ALONE>(tiles.count, panels_of, [&](int tile, const typename Tile::Sums& sums, float* held) {
    const int m0 = tiles.m(tile), n0 = tiles.n(tile);
    const auto row_of = [&](int m) {
      if (m0 + m >= rows) return -1;
      const Place in(m0 + m, down.count, across.count, 1);
      const int h = down.first + in.row * g.stride_h, column = across.first + in.column * g.stride_w;
      return ((in.n * g.H + h) * g.W + column) * g.C + group * depth + n0;
    };
    NoMoments nobody;
    write_sums<Tile>(sums, held, dx, static_cast<const T*>(nullptr), depth - n0, row_of, AsItIs{}, nobody, z);
  });
}

template <class Tile>
static __device__ void mma_backward_weight(const T* x, const T* dy, Acc* parts, const Window& g, int pieces) {
  typedef typename Tile::template PanelA<false> Outputs;
  typedef typename Tile::template PanelB<false> Pixels;
  const int group = blockIdx.z % g.groups, piece = blockIdx.z / g.groups;
  const int outputs = g.K / g.groups, depth = g.C / g.groups, columns = g.R * g.S * depth;
  const Part part(g.N * g.P * g.Q, piece, pieces);
  const Tiles<Tile> tiles(outputs, columns);
  const auto panels_of = [&](int tile) {
    const OutputLines<Outputs> answers(dy + group * outputs, outputs, g.K, tiles.m(tile), part.begin, part.end);
    const PixelLines<Pixels> pixels(x + group * depth, g, tiles.n(tile), part.begin, part.end);
    return Panels<Tile, OutputLines<Outputs>, PixelLines<Pixels>>(answers, pixels, part.end - part.begin);
  };
  mma_tiles<Tile, false>(tiles.count, panels_of, [&](int tile, const typename Tile::Sums& sums, float* held) {
    const int m0 = tiles.m(tile), n0 = tiles.n(tile);
    const auto row_of = [&](int m) {
      return m0 + m < outputs ? (piece * g.K + group * outputs + m0 + m) * columns + n0 : -1;
    };
    NoMoments nobody;
    write_sums<Tile>(sums, held, parts, static_cast<const T*>(nullptr), columns - n0, row_of, AsItIs{}, nobody);
  });
}
