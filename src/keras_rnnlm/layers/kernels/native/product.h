// A small matrix product: rows of activations times a packed panel of weights.
//
// A panel holds NB x kWidth columns of the weights, row after row, so that it is read
// from front to back; in bfloat16 two rows stand interleaved, as the dot-product
// instruction wants them. The sums of a tile of rows stay in registers: vectors, or the
// tiles of a matrix unit where the processor has one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

#include "tiles.h"
#include "vector.h"

namespace rnnlm {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <class T>
using Memory = std::unique_ptr<T[], Free>;

// Memory with any content, at the start of a cache line.
template <class T>
Memory<T> allocate_raw(int64_t count) {
  int64_t bytes = (std::max<int64_t>(count, 1) * sizeof(T) + 127) / 64 * 64;
  void* memory = std::aligned_alloc(64, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return Memory<T>(static_cast<T*>(memory));
}

template <class T>
Memory<T> allocate(int64_t count) {
  Memory<T> memory = allocate_raw<T>(count);
  std::memset(memory.get(), 0, count * sizeof(T));
  return memory;
}

// Depths are even, so that bfloat16 comes in pairs, or whole tiles.
template <class T>
constexpr int64_t kDepthUnit = kTiles && sizeof(T) == sizeof(Bf16) ? kTileDepth : 2;

template <class T>
int64_t padded_depth(int64_t depth) {
  return (depth + kDepthUnit<T> - 1) / kDepthUnit<T> * kDepthUnit<T>;
}

// Rows of activations a little apart from powers of two, which share cache lines.
template <class T>
int64_t row_stride(int64_t depth) {
  return (padded_depth<T>(depth) + 15) / 16 * 16 + 64 / sizeof(T);
}

// Elements of a panel from one column to the next: pairs of rows stand interleaved.
template <class T>
constexpr int64_t pair = sizeof(T) == sizeof(float) ? 1 : 2;

// Packs `depth` rows of up to kWidth columns, `n` of which are there, into a panel of
// `columns` columns; `panel` points at the first of these.
inline void pack(const float* from, int64_t stride, int64_t depth, int n, float* panel,
                 int64_t columns) {
  for (int64_t k = 0; k < depth; ++k)
    store(panel + k * columns, load(from + k * stride, n));
}

inline void pack(const float* from, int64_t stride, int64_t depth, int n, Bf16* panel,
                 int64_t columns) {
  for (int64_t k = 0; k < depth; k += 2) {
    const float* row = from + k * stride;
    Vec odd = k + 1 < depth ? load(row + stride, n) : Vec{};
    store(to_bf16_pairs(load(row, n), odd), panel + k * columns);
  }
}

// The same from the transposed matrix, whose rows are the panel's `count` columns: square
// by square.
inline void pack_transposed(const float* from, int64_t stride, int64_t depth,
                            int64_t count, float* panel, int64_t columns) {
  for (int64_t k0 = 0; k0 < depth; k0 += kWidth) {
    int64_t deep = std::min<int64_t>(kWidth, depth - k0);
    for (int64_t j0 = 0; j0 < count; j0 += kWidth) {
      int64_t wide = std::min<int64_t>(kWidth, count - j0);
      const float* square = from + j0 * stride + k0;
      float* to = panel + k0 * columns + j0;
      if (deep == kWidth && wide == kWidth) {
        transpose_square(square, stride, to, columns);
        continue;
      }
      for (int64_t j = 0; j < wide; ++j)
        for (int64_t k = 0; k < deep; ++k) to[k * columns + j] = square[j * stride + k];
    }
  }
}

// Copies `count` neighbours as bfloat16.
inline void copy(const float* from, Bf16* to, int64_t count) {
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) store(to + i, load(from + i), kWidth);
  for (; i < count; ++i) to[i] = to_bf16(from[i]);
}
inline void copy(const Bf16* from, Bf16* to, int64_t count) {
  std::memcpy(to, from, count * sizeof(Bf16));
}

// Squares of pairs.
template <class T>
void pack_transposed(const T* from, int64_t stride, int64_t depth, int64_t count,
                     Bf16* panel, int64_t columns) {
  constexpr int64_t kPairs = 2 * kWidth;
  for (int64_t k0 = 0; k0 < depth; k0 += kPairs) {
    int64_t deep = std::min(kPairs, depth - k0);
    for (int64_t j0 = 0; j0 < count; j0 += kWidth) {
      int64_t wide = std::min<int64_t>(kWidth, count - j0);
      float* to = reinterpret_cast<float*>(panel + k0 * columns) + j0;
      alignas(64) float lines[kWidth][kWidth];  // of pairs, seen as numbers
      bool whole = deep == kPairs && wide == kWidth;
      if (!whole) std::memset(lines, 0, sizeof lines);
      for (int64_t j = 0; j < wide; ++j)
        copy(from + (j0 + j) * stride + k0, reinterpret_cast<Bf16*>(lines[j]), deep);
      if (whole) {
        transpose_square(lines[0], kWidth, to, columns);
        continue;
      }
      for (int64_t k = 0; 2 * k < deep; ++k)
        for (int64_t j = 0; j < wide; ++j)
          std::memcpy(to + k * columns + j, &lines[j][k], sizeof *to);
    }
  }
}

// out (MR, NB * kWidth) = a (MR, depth) times panel (depth, NB * kWidth).
template <int MR, int NB>
inline void tile(const float* a, int64_t stride, const float* panel, int64_t depth,
                 float* out, int64_t out_stride) {
  Vec sums[MR][NB] = {};
  for (int64_t k = 0; k < depth; ++k) {
    Vec weights[NB];
#pragma GCC unroll 8
    for (int j = 0; j < NB; ++j) weights[j] = load(panel + (k * NB + j) * kWidth);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      Vec value = broadcast(a[i * stride + k]);
#pragma GCC unroll 8
      for (int j = 0; j < NB; ++j) sums[i][j] += value * weights[j];
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < NB; ++j) store(out + i * out_stride + j * kWidth, sums[i][j]);
  }
}

template <int MR, int NB>
inline void tile(const Bf16* a, int64_t stride, const Bf16* panel, int64_t depth,
                 float* out, int64_t out_stride) {
  Vec sums[MR][NB] = {};
  for (int64_t k = 0; k < depth; k += 2) {
    VecInt pairs[NB];
#pragma GCC unroll 8
    for (int j = 0; j < NB; ++j)
      std::memcpy(&pairs[j], panel + (k * NB + 2 * j) * kWidth, sizeof pairs[j]);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      int32_t pair;
      std::memcpy(&pair, a + i * stride + k, sizeof pair);
#if defined(__AVX512BF16__)
      __m512bh value = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
#pragma GCC unroll 8
      for (int j = 0; j < NB; ++j) {
        sums[i][j] = reinterpret_cast<Vec>(
            _mm512_dpbf16_ps(reinterpret_cast<__m512>(sums[i][j]), value,
                             reinterpret_cast<__m512bh>(pairs[j])));
      }
#else
      float first = from_bf16(static_cast<Bf16>(pair));
      float second = from_bf16(static_cast<Bf16>(static_cast<uint32_t>(pair) >> 16));
#pragma GCC unroll 8
      for (int j = 0; j < NB; ++j) {
        VecInt low = pairs[j] << 16, high = pairs[j] & static_cast<int32_t>(0xffff0000);
        Vec even, odd;
        std::memcpy(&even, &low, sizeof even);
        std::memcpy(&odd, &high, sizeof odd);
        sums[i][j] += first * even;
        sums[i][j] += second * odd;
      }
#endif
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < NB; ++j) store(out + i * out_stride + j * kWidth, sums[i][j]);
  }
}

// As many rows as registers hold beside the weights.
constexpr int kRegisters = kWidth == 16 ? 24 : 12;
constexpr int most_rows(int blocks) {
  return kRegisters / blocks < 12 ? kRegisters / blocks : 12;
}
// Rows that `for_tiles` takes at a time, at most.
constexpr int kMostTile = kTiles ? kMostTileRows : 12;

template <class T>
using Tile = void (*)(const T*, int64_t, const T*, int64_t, float*, int64_t);

template <class T, int NB, int MR>
Tile<T> tile_of(int rows) {
  if constexpr (MR == 0) {
    return nullptr;
  } else {
    return rows == MR ? static_cast<Tile<T>>(&tile<MR, NB>)
                      : tile_of<T, NB, MR - 1>(rows);
  }
}

// Calls use(first row, rows, function) over `rows` rows in tiles: whole ones of a matrix
// unit and the rest, or nearly equal ones. The function's arguments are those of `tile`.
template <class T, int NB, class Use>
void for_tiles(int64_t rows, const Use& use) {
#if defined(RNNLM_TILES)
  if constexpr (std::is_same_v<T, Bf16>) {
    for (int64_t begin = 0; begin < rows; begin += kMostTileRows) {
      int count = static_cast<int>(std::min<int64_t>(kMostTileRows, rows - begin));
      use(begin, count,
          [count](const Bf16* a, int64_t stride, const Bf16* panel, int64_t depth,
                  float* out, int64_t out_stride) {
            multiply_tiles(count, NB, a, stride, panel, depth, out, out_stride);
          });
    }
    return;
  }
#endif
  constexpr int kMost = most_rows(NB);
  int64_t tiles = (rows + kMost - 1) / kMost;
  for (int64_t i = 0; i < tiles; ++i) {
    int64_t begin = rows * i / tiles, end = rows * (i + 1) / tiles;
    int count = static_cast<int>(end - begin);
    use(begin, count, tile_of<T, NB, kMost>(count));
  }
}

}  // namespace rnnlm
