// Products of a few rows with weights that stand in memory in the order of reading.
//
// A packed matrix (depth, columns) is the same for every processor. Its columns come in
// blocks of 16; 3 or 4 blocks side by side make a panel, and a panel stands row after
// row, from front to back. Rows are interleaved in groups, as the processor's dot
// products want them: one row of float32, two of bfloat16, four of int8. Depths are
// multiples of four.
//
// Activations are float32 for float32 and bfloat16 weights. For int8 weights they are
// bytes, 128 for zero, with a scale a row, and sums are exact integers: the same on
// every processor.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "product.h"
#include "vector.h"

namespace rnnlm {

constexpr int kBlock = 16;
constexpr int kMostColumns = 4 * kBlock;
// How far ahead of its use a weight is asked for, in bytes. The processor's own
// prefetchers stop at the end of a page.
constexpr int64_t kAhead = 8192;

// The rows of activations that registers hold the sums of, beside the weights.
constexpr int kMostRows = kWidth == 16 ? 4 : 2;

inline Vec to_float(Vec sums) { return sums; }
inline Vec to_float(VecInt sums) { return __builtin_convertvector(sums, Vec); }

// The nearest integers, ties to even.
inline VecInt nearest(Vec x) {
#if defined(__AVX512F__)
  return reinterpret_cast<VecInt>(_mm512_cvtps_epi32(reinterpret_cast<__m512>(x)));
#elif defined(__AVX2__)
  return reinterpret_cast<VecInt>(_mm256_cvtps_epi32(reinterpret_cast<__m256>(x)));
#else
  VecInt result;
  for (int i = 0; i < kWidth; ++i) result[i] = static_cast<int32_t>(std::lrintf(x[i]));
  return result;
#endif
}

inline Vec load(const Bf16* from) {
  Vec value;
  for (int i = 0; i < kWidth; ++i) value[i] = from_bf16(from[i]);
  return value;
}

// sums + the dot products of four bytes of activations, the same for every column, and
// the four weights of each column.
inline VecInt dot(VecInt sums, int32_t bytes, VecInt weights) {
#if defined(__AVX512VNNI__)
  return reinterpret_cast<VecInt>(
      _mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sums), _mm512_set1_epi32(bytes),
                          reinterpret_cast<__m512i>(weights)));
#else
  // The first and third byte, and the second and fourth, as 16-bit numbers: their
  // products and the sums of two are exact in 32 bits.
  const int32_t even = bytes & 0x00ff00ff;
  const int32_t odd = (bytes >> 8) & 0x00ff00ff;
#if defined(__AVX512BW__)
  __m512i w = reinterpret_cast<__m512i>(weights);
  __m512i pairs = _mm512_madd_epi16(_mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8),
                                    _mm512_set1_epi32(even));
  __m512i others = _mm512_madd_epi16(_mm512_srai_epi16(w, 8), _mm512_set1_epi32(odd));
  return sums + reinterpret_cast<VecInt>(_mm512_add_epi32(pairs, others));
#elif defined(__AVX2__)
  __m256i w = reinterpret_cast<__m256i>(weights);
  __m256i pairs = _mm256_madd_epi16(_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8),
                                    _mm256_set1_epi32(even));
  __m256i others = _mm256_madd_epi16(_mm256_srai_epi16(w, 8), _mm256_set1_epi32(odd));
  return sums + reinterpret_cast<VecInt>(_mm256_add_epi32(pairs, others));
#else
  return sums + ((weights << 24) >> 24) * (even & 0xff) +
         ((weights << 16) >> 24) * (odd & 0xff) + ((weights << 8) >> 24) * (even >> 16) +
         (weights >> 24) * (odd >> 16);
#endif
#endif
}

// The kinds of weights. `accumulate` adds to sums (MR, NV) the products of MR rows of
// activations with NV vectors of a panel's columns.

struct Float32 {
  using Weight = float;
  using Input = float;
  using Sum = Vec;
  static constexpr int kGroup = 1;

  template <int MR, int NV>
  static void accumulate(const float* a, int64_t stride, const float* panel,
                         int64_t columns, int64_t depth, Sum (&sums)[MR][NV]) {
    for (int64_t k = 0; k < depth; ++k, panel += columns) {
      Vec weights[NV];
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) {
        weights[j] = load(panel + j * kWidth);
        __builtin_prefetch(panel + j * kWidth + kAhead / sizeof(float));
      }
#pragma GCC unroll 4
      for (int i = 0; i < MR; ++i) {
        Vec value = broadcast(a[i * stride + k]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) sums[i][j] += value * weights[j];
      }
    }
  }
};

struct Bfloat16 {
  using Weight = Bf16;
  using Input = float;
  using Sum = Vec;
  static constexpr int kGroup = 2;

  template <int MR, int NV>
  static void accumulate(const float* a, int64_t stride, const Bf16* panel,
                         int64_t columns, int64_t depth, Sum (&sums)[MR][NV]) {
    for (int64_t k = 0; k < depth; k += 2, panel += 2 * columns) {
      Vec even[NV], odd[NV];
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) {
        VecInt pairs;
        std::memcpy(&pairs, panel + 2 * j * kWidth, sizeof pairs);
        __builtin_prefetch(panel + 2 * j * kWidth + kAhead / sizeof(Bf16));
        VecInt low = pairs << 16, high = pairs & static_cast<int32_t>(0xffff0000);
        std::memcpy(&even[j], &low, sizeof low);
        std::memcpy(&odd[j], &high, sizeof high);
      }
#pragma GCC unroll 4
      for (int i = 0; i < MR; ++i) {
        Vec first = broadcast(a[i * stride + k]);
        Vec second = broadcast(a[i * stride + k + 1]);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) {
          sums[i][j] += first * even[j];
          sums[i][j] += second * odd[j];
        }
      }
    }
  }
};

struct Int8 {
  using Weight = int8_t;
  using Input = uint8_t;
  using Sum = VecInt;
  static constexpr int kGroup = 4;

  template <int MR, int NV>
  static void accumulate(const uint8_t* a, int64_t stride, const int8_t* panel,
                         int64_t columns, int64_t depth, Sum (&sums)[MR][NV]) {
    for (int64_t k = 0; k < depth; k += 4, panel += 4 * columns) {
      VecInt weights[NV];
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) {
        std::memcpy(&weights[j], panel + 4 * j * kWidth, sizeof weights[j]);
        __builtin_prefetch(panel + 4 * j * kWidth + kAhead);
      }
#pragma GCC unroll 4
      for (int i = 0; i < MR; ++i) {
        int32_t bytes;
        std::memcpy(&bytes, a + i * stride + k, sizeof bytes);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) sums[i][j] = dot(sums[i][j], bytes, weights[j]);
      }
    }
  }
};

// Rows of activations: bytes need a scale a row, floats none.
template <class Kind>
struct Operand {
  const typename Kind::Input* values;
  int64_t stride;
  const float* scales;

  Operand from(int64_t row) const {
    return {values + row * stride, stride, scales == nullptr ? nullptr : scales + row};
  }
};

// Bytes of a row of floats, and its scale: the largest of them becomes 127.
// `depth` is a multiple of 16.
inline float quantize(const float* row, int64_t depth, uint8_t* bytes) {
  Vec most = {}, sound = {};  // `sound` is 0 where all numbers are finite, else NaN
  for (int64_t k = 0; k < depth; k += kWidth) {
    Vec x = load(row + k);
    Vec size = x < 0.0f ? -x : x;
    most = most > size ? most : size;
    sound += x * 0.0f;
  }
  float largest = 0.0f, finite = 0.0f;
  for (int i = 0; i < kWidth; ++i) {
    largest = largest > most[i] ? largest : most[i];
    finite += sound[i];
  }
  // No byte stands for what is not finite: the scale says it, in all that it scales.
  if (finite != 0.0f) largest = finite;
  const float scale = largest / 127.0f;
  const float inverse = largest > 0.0f ? 127.0f / largest : 0.0f;
  for (int64_t k = 0; k < depth; k += kWidth) {
    VecInt whole = nearest(load(row + k) * inverse) + 128;
    for (int i = 0; i < kWidth; ++i) bytes[k + i] = static_cast<uint8_t>(whole[i]);
  }
  return scale;
}

// One of the matrices of a panel: where its rows begin, and for int8 what turns its
// sums into numbers: a scale a column, and -128 times the sum of the column's weights,
// since zero is the byte 128.
template <class Kind>
struct Part {
  const typename Kind::Weight* panels;
  int64_t panel_size;  // in weights, from one panel to the next
  int64_t depth;
  const float* scales;
  const int32_t* corrections;
};

template <class Kind, int MR, int NV>
void multiply_tile(const Part<Kind>& part, int64_t panel, const Operand<Kind>& a,
                   float* out) {
  constexpr int kColumns = NV * kBlock;
  const auto* weights = part.panels + panel * part.panel_size;
  // A processor with narrower vectors takes the columns of a panel in several turns.
  for (int first = 0; first < kColumns; first += NV * kWidth) {
    typename Kind::Sum sums[MR][NV] = {};
    Kind::template accumulate<MR, NV>(a.values, a.stride, weights + first * Kind::kGroup,
                                      kColumns, part.depth, sums);
#pragma GCC unroll 4
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) {
        const int column = first + j * kWidth;
        if constexpr (std::is_same_v<Kind, Int8>) {
          VecInt correction;
          std::memcpy(&correction, part.corrections + panel * kColumns + column,
                      sizeof correction);
          Vec scale = load(part.scales + panel * kColumns + column) * a.scales[i];
          store(out + i * kMostColumns + column,
                to_float(sums[i][j] + correction) * scale);
        } else {
          store(out + i * kMostColumns + column, sums[i][j]);
        }
      }
    }
  }
}

// out (rows, kMostColumns) = rows of activations times a panel of NV blocks;
// at most kMostRows rows.
template <class Kind, int NV, int MR = kMostRows>
void multiply(const Part<Kind>& part, int64_t panel, int rows, const Operand<Kind>& a,
              float* out) {
  if constexpr (MR > 0) {
    if (rows == MR) return multiply_tile<Kind, MR, NV>(part, panel, a, out);
    multiply<Kind, NV, MR - 1>(part, panel, rows, a, out);
  }
}

}  // namespace rnnlm
