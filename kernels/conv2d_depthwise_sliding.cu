// compiled for: float32 float16 bfloat16
// Depthwise convolution (groups = C, w (K, 3, 3, 1) or (K, 5, 5, 1), stride 1 or 2) by windows that slide through
// registers; with m = K/C and zeros around x,
//
//   forward            y[n,p,q,k] = end(b[k] + sum over r,s of  x[n,p*stride+r-top,q*stride+s-left,k/m] w[k,r,s])
//
// and its gradients as in conv2d_depthwise.cu.
//
// A thread has PACK neighbouring channels (4 bytes) of RUN neighbouring columns and walks along the rows of a strip,
// with its kernels in registers. Of each row it reads what its columns see, once, and adds that to the sums of all
// rows that are under way; a row whose last share has come is written. Neighbouring threads have neighbouring
// channels.
//
//   forward            walks down: row p*stride + i of the padded x is tap i + stride*j of output row p - j
//   backward data      walks up: row p of dy is tap r of row p*stride + r of the padded dx; z, if it is there, is added
//   backward weight    walks down with the rows of dy that are met held in registers, and the sums of all taps; a block
//                      has 32 x PACK channels and 8 lanes of positions, added in order, of one part (blockIdx.y)
//
// Sums are taken in the order of taps, with zeros for what lies outside: the bits of forward and backward data are
// those of conv2d_depthwise.cu. Parts of the weight gradient are made of strips, there of positions.
//
// Memory: limited by it. Where conv2d_depthwise.cu reads an element of x R*S times, mostly from the cache, this reads
// it (RUN*stride + S - stride) / (RUN*stride) times, and the first rows of a strip twice.
//
// Versions: conv2d_depthwise.cu, plain and for any window; this file, sliding.
#include "epilogue.cuh"
#include "vector.cuh"
#include "window.cuh"

constexpr int PACK = sizeof(T) == 2 ? 2 : 1;

// PACK neighbouring numbers of a thread: of channels first, first + 1, ..., or, where `share` of them see one channel,
// of (first + i) / share.
struct Packed {
  int count, first, share;
  bool whole;

  __device__ Packed(const T* array, int count, int first, int share) : count(count), first(first), share(share) {
    whole = share == 1 && count % PACK == 0 && aligned<Vector<T, PACK>>(array);
  }
  __device__ Vector<Acc, PACK> read(const T* array, int pixel, bool exists) const {
    Vector<Acc, PACK> found = {};
    if (!exists) return found;
    if (whole) {
      const Vector<T, PACK> stored = *reinterpret_cast<const Vector<T, PACK>*>(array + pixel * count + first);
#pragma unroll
      for (int v = 0; v < PACK; ++v) found.of[v] = Acc(stored.of[v]);
    } else {
#pragma unroll
      for (int v = 0; v < PACK; ++v)
        if (first + v < count * share) found.of[v] = Acc(array[pixel * count + (first + v) / share]);
    }
    return found;
  }
  __device__ void write(T* array, int pixel, const Acc (&values)[PACK]) const {
    Vector<T, PACK> stored;
#pragma unroll
    for (int v = 0; v < PACK; ++v) stored.of[v] = T(values[v]);
    if (whole) {
      *reinterpret_cast<Vector<T, PACK>*>(array + pixel * count + first) = stored;
    } else {
#pragma unroll
      for (int v = 0; v < PACK; ++v)
        if (first + v < count) array[pixel * count + first + v] = stored.of[v];
    }
  }
};

// What a thread has: channels from `channel` on, columns from `column` on of image n, the rows of a strip.
struct Walk {
  int channel, column, n, begin, end;
  __device__ Walk(int i, int channels, int columns, int rows, int height) {
    const int groups = (channels - 1) / PACK + 1;
    channel = i % groups * PACK, i /= groups;
    place(i, columns, rows, height);
  }
  __device__ Walk(int i, int columns, int rows, int height) { place(i, columns, rows, height); }

 private:
  __device__ void place(int i, int columns, int rows, int height) {
    const int strips = (rows - 1) / height + 1;
    column = i % columns, i /= columns;
    begin = i % strips * height, n = i / strips;
    end = min(begin + height, rows);
  }
};

template <int SIZE, int STRIDE>
struct Slide {
  static constexpr int RUN = SIZE == 3 ? 4 : 2;
  static constexpr int HELD = (SIZE - 1) / STRIDE + 1;  // rows of outputs that meet one row of the image, at most
  static constexpr int SEEN = (RUN - 1) * STRIDE + SIZE;

  Acc of[SIZE][SIZE][PACK];  // the kernels, or the sums of their gradient

  __device__ void read(const T* w, int first, int count) {
#pragma unroll
    for (int tap = 0; tap < SIZE * SIZE; ++tap)
#pragma unroll
      for (int v = 0; v < PACK; ++v)
        of[tap / SIZE][tap % SIZE][v] = first + v < count ? Acc(w[(first + v) * SIZE * SIZE + tap]) : Acc(0);
  }
};

// ---- forward ----------------------------------------------------------------------------------------------------

template <int SIZE, int STRIDE>
static __device__ void slide_forward(const T* x, const T* w, const T* b, T* y, const Window& g, const Ending& end,
                                     int height) {
  using Kernel = Slide<SIZE, STRIDE>;
  constexpr int RUN = Kernel::RUN, HELD = Kernel::HELD, SEEN = Kernel::SEEN;
  const Walk own(element(), g.K, (g.Q - 1) / RUN + 1, g.P, height);
  if (own.n >= g.N) return;
  const Packed inputs(x, g.C, own.channel, g.K / g.C), outputs(y, g.K, own.channel, 1);
  const int column = own.column * RUN;
  Kernel kernel;
  kernel.read(w, own.channel, g.K);
  Acc sums[HELD][RUN][PACK] = {}, bias[PACK];
#pragma unroll
  for (int v = 0; v < PACK; ++v) bias[v] = b && own.channel + v < g.K ? Acc(b[own.channel + v]) : Acc(0);
  for (int p = own.begin; p < own.end + HELD - 1; ++p) {
#pragma unroll
    for (int i = 0; i < STRIDE; ++i) {
      const int h = p * STRIDE + i - g.top;
      Vector<Acc, PACK> seen[SEEN];
#pragma unroll
      for (int e = 0; e < SEEN; ++e) {
        const int at = column * STRIDE + e - g.left;
        const bool exists = h >= 0 && h < g.H && at >= 0 && at < g.W;
        seen[e] = inputs.read(x, (own.n * g.H + h) * g.W + at, exists);
      }
#pragma unroll
      for (int j = 0; i + STRIDE * j < SIZE; ++j)
#pragma unroll
        for (int s = 0; s < SIZE; ++s)
#pragma unroll
          for (int q = 0; q < RUN; ++q)
#pragma unroll
            for (int v = 0; v < PACK; ++v)
              sums[j][q][v] += seen[q * STRIDE + s].of[v] * kernel.of[i + STRIDE * j][s][v];
    }
    const int done = p - (HELD - 1);
#pragma unroll
    for (int q = 0; q < RUN; ++q) {
      Acc values[PACK];
#pragma unroll
      for (int v = 0; v < PACK; ++v) values[v] = end.brief(b ? sums[HELD - 1][q][v] + bias[v] : sums[HELD - 1][q][v]);
      if (done >= own.begin && column + q < g.Q) outputs.write(y, (own.n * g.P + done) * g.Q + column + q, values);
#pragma unroll
      for (int v = 0; v < PACK; ++v) {
#pragma unroll
        for (int j = HELD - 1; j > 0; --j) sums[j][q][v] = sums[j - 1][q][v];
        sums[0][q][v] = 0;
      }
    }
  }
  if (end.whole()) return;
#pragma unroll 1
  for (int i = 0; i < (own.end - own.begin) * RUN * PACK; ++i) {
    const int v = i % PACK, q = column + i / PACK % RUN, p = own.begin + i / (PACK * RUN), k = own.channel + v;
    const int place = ((own.n * g.P + p) * g.Q + q) * g.K + k;
    if (q < g.Q && k < g.K) y[place] = T(end(Acc(y[place]), k, place));
  }
}

// ---- backward data ----------------------------------------------------------------------------------------------

// Rows and columns of dx are counted in the padded image. The columns of a thread begin at a multiple of the stride,
// RUN * STRIDE of them; once row p of dy has come, the last STRIDE of the SIZE rows under way are done.
template <int SIZE, int STRIDE>
static __device__ void slide_backward_data(const T* dy, const T* w, const T* z, T* dx, const Window& g, int height) {
  using Kernel = Slide<SIZE, STRIDE>;
  constexpr int RUN = STRIDE == 1 ? Kernel::RUN : Kernel::RUN / 2, HELD = Kernel::HELD, WIDE = RUN * STRIDE;
  const int low = (g.top + STRIDE * HELD - SIZE) / STRIDE + 1 - HELD;  // the row of dy with which dx's first is done
  const int high = (g.top + g.H - 1 + STRIDE * HELD - SIZE) / STRIDE + 1 - HELD;
  const int start = g.left / STRIDE, columns = g.left + g.W - start * STRIDE;
  const Walk own(element(), g.C, (columns - 1) / WIDE + 1, high - low + 1, height);
  if (own.n >= g.N) return;
  const Packed gradients(dy, g.K, own.channel, 1), results(dx, g.C, own.channel, 1), others(z, g.C, own.channel, 1);
  const int q0 = start + own.column * RUN, left = q0 * STRIDE - g.left;
  Kernel kernel;
  kernel.read(w, own.channel, g.K);
  Acc sums[SIZE][WIDE][PACK] = {};
  for (int p = low + own.end - 1 + HELD - 1; p >= low + own.begin; --p) {
    Vector<Acc, PACK> seen[RUN + HELD - 1];
#pragma unroll
    for (int e = 0; e < RUN + HELD - 1; ++e) {
      const int q = q0 + e - (HELD - 1);
      const bool exists = p >= 0 && p < g.P && q >= 0 && q < g.Q;
      seen[e] = gradients.read(dy, (own.n * g.P + p) * g.Q + q, exists);
    }
#pragma unroll
    for (int r = 0; r < SIZE; ++r)
#pragma unroll
      for (int s = 0; s < SIZE; ++s)
#pragma unroll
        for (int i = 0; i < WIDE; ++i)
#pragma unroll
          for (int v = 0; v < PACK; ++v) {
            constexpr int AHEAD = STRIDE * (HELD - 1);
            if ((i - s + AHEAD) % STRIDE == 0)
              sums[r][i][v] += seen[(i - s + AHEAD) / STRIDE].of[v] * kernel.of[r][s][v];
          }
#pragma unroll
    for (int i = 0; i < WIDE; ++i) {
#pragma unroll
      for (int r = SIZE - STRIDE; r < SIZE; ++r) {
        const int h = p * STRIDE + r - g.top;
        const int pixel = (own.n * g.H + h) * g.W + left + i;
        const bool exists = p < low + own.end && h >= 0 && h < g.H && left + i >= 0 && left + i < g.W;
        if (z) {
          const Vector<Acc, PACK> other = others.read(z, pixel, exists);
#pragma unroll
          for (int v = 0; v < PACK; ++v) sums[r][i][v] += other.of[v];
        }
        if (exists) results.write(dx, pixel, sums[r][i]);
      }
#pragma unroll
      for (int v = 0; v < PACK; ++v) {
#pragma unroll
        for (int r = SIZE - 1; r >= STRIDE; --r) sums[r][i][v] = sums[r - STRIDE][i][v];
#pragma unroll
        for (int r = 0; r < STRIDE; ++r) sums[r][i][v] = 0;
      }
    }
  }
}

// ---- backward weight --------------------------------------------------------------------------------------------

template <int SIZE, int STRIDE>
static __device__ void slide_backward_weight(const T* x, const T* dy, Acc* parts, const Window& g, int height) {
  using Kernel = Slide<SIZE, STRIDE>;
  constexpr int RUN = Kernel::RUN, HELD = Kernel::HELD, SEEN = Kernel::SEEN, TEAMS = THREADS / 32;
  __shared__ Acc merged[TEAMS][32];
  const int lane = threadIdx.x / 32, across = threadIdx.x % 32, channel = (blockIdx.x * 32 + across) * PACK;
  const int runs = (g.Q - 1) / RUN + 1, strips = (g.P - 1) / height + 1;
  const Packed inputs(x, g.C, channel, g.K / g.C), gradients(dy, g.K, channel, 1);
  const Part part(g.N * runs * strips);
  Kernel sums = {};
  for (int item = part.begin + lane; channel < g.K && item < part.end; item += TEAMS) {
    const Walk own(item, runs, g.P, height);
    const int column = own.column * RUN;
    Vector<Acc, PACK> met[HELD][RUN] = {};
    for (int p = own.begin; p < own.end + HELD - 1; ++p) {
#pragma unroll
      for (int q = 0; q < RUN; ++q)
        met[0][q] = gradients.read(dy, (own.n * g.P + p) * g.Q + column + q, p < own.end && column + q < g.Q);
#pragma unroll
      for (int i = 0; i < STRIDE; ++i) {
        const int h = p * STRIDE + i - g.top;
        Vector<Acc, PACK> seen[SEEN];
#pragma unroll
        for (int e = 0; e < SEEN; ++e) {
          const int at = column * STRIDE + e - g.left;
          const bool exists = h >= 0 && h < g.H && at >= 0 && at < g.W;
          seen[e] = inputs.read(x, (own.n * g.H + h) * g.W + at, exists);
        }
#pragma unroll
        for (int j = 0; i + STRIDE * j < SIZE; ++j)
#pragma unroll
          for (int s = 0; s < SIZE; ++s)
#pragma unroll
            for (int q = 0; q < RUN; ++q)
#pragma unroll
              for (int v = 0; v < PACK; ++v)
                sums.of[i + STRIDE * j][s][v] += met[j][q].of[v] * seen[q * STRIDE + s].of[v];
      }
#pragma unroll
      for (int j = HELD - 1; j > 0; --j)
#pragma unroll
        for (int q = 0; q < RUN; ++q) met[j][q] = met[j - 1][q];
    }
  }
#pragma unroll
  for (int tap = 0; tap < SIZE * SIZE; ++tap)
#pragma unroll
    for (int v = 0; v < PACK; ++v) {
      merged[lane][across] = sums.of[tap / SIZE][tap % SIZE][v];
      __syncthreads();
      if (lane == 0 && channel + v < g.K) {
        Acc sum = merged[0][across];
        for (int l = 1; l < TEAMS; ++l) sum += merged[l][across];
        parts[(blockIdx.y * g.K + channel + v) * SIZE * SIZE + tap] = sum;
      }
      __syncthreads();
    }
}

// ---- entries: SIZE x SIZE kernels, stride -----------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_forward_3x3_1(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                        T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                        const Acc* __restrict__ scale /* or null */,
                        const Acc* __restrict__ shift /* or null */, int function, Acc a, int height) {
  slide_forward<3, 1>(x, w, b, y, g, {z, scale, shift, function, a}, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_forward_3x3_2(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                        T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                        const Acc* __restrict__ scale /* or null */,
                        const Acc* __restrict__ shift /* or null */, int function, Acc a, int height) {
  slide_forward<3, 2>(x, w, b, y, g, {z, scale, shift, function, a}, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_forward_5x5_1(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                        T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                        const Acc* __restrict__ scale /* or null */,
                        const Acc* __restrict__ shift /* or null */, int function, Acc a, int height) {
  slide_forward<5, 1>(x, w, b, y, g, {z, scale, shift, function, a}, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_forward_5x5_2(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b /* or null */,
                        T* __restrict__ y, Window g, const T* __restrict__ z /* or null */,
                        const Acc* __restrict__ scale /* or null */,
                        const Acc* __restrict__ shift /* or null */, int function, Acc a, int height) {
  slide_forward<5, 2>(x, w, b, y, g, {z, scale, shift, function, a}, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_backward_data_3x3_1(const T* __restrict__ dy, const T* __restrict__ w,
                              const T* __restrict__ z /* or null */, T* __restrict__ dx, Window g, int height) {
  slide_backward_data<3, 1>(dy, w, z, dx, g, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_backward_data_3x3_2(const T* __restrict__ dy, const T* __restrict__ w,
                              const T* __restrict__ z /* or null */, T* __restrict__ dx, Window g, int height) {
  slide_backward_data<3, 2>(dy, w, z, dx, g, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_backward_data_5x5_1(const T* __restrict__ dy, const T* __restrict__ w,
                              const T* __restrict__ z /* or null */, T* __restrict__ dx, Window g, int height) {
  slide_backward_data<5, 1>(dy, w, z, dx, g, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_backward_data_5x5_2(const T* __restrict__ dy, const T* __restrict__ w,
                              const T* __restrict__ z /* or null */, T* __restrict__ dx, Window g, int height) {
  slide_backward_data<5, 2>(dy, w, z, dx, g, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_backward_weight_3x3_1(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g,
                                int height) {
  slide_backward_weight<3, 1>(x, dy, parts, g, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_backward_weight_3x3_2(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g,
                                int height) {
  slide_backward_weight<3, 2>(x, dy, parts, g, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_backward_weight_5x5_1(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g,
                                int height) {
  slide_backward_weight<5, 1>(x, dy, parts, g, height);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2)
depthwise_backward_weight_5x5_2(const T* __restrict__ x, const T* __restrict__ dy, Acc* __restrict__ parts, Window g,
                                int height) {
  slide_backward_weight<5, 2>(x, dy, parts, g, height);
}
