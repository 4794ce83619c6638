// Vectors of floats as wide as the processor's registers, and the functions of gates.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#if defined(__AVX512F__)
#define RNNLM_WIDTH 16
#elif defined(__AVX2__)
#define RNNLM_WIDTH 8
#else
#define RNNLM_WIDTH 4
#endif

namespace rnnlm {

constexpr int kWidth = RNNLM_WIDTH;

typedef float Vec __attribute__((vector_size(RNNLM_WIDTH * 4)));
typedef int32_t VecInt __attribute__((vector_size(RNNLM_WIDTH * 4)));

inline Vec broadcast(float value) { return Vec{} + value; }

inline Vec load(const float* from) {
  Vec value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline void store(float* to, Vec value) { std::memcpy(to, &value, sizeof value); }

// The first `count` of the elements; the others are zero, or left alone.
inline Vec load(const float* from, int count) {
  if (count >= kWidth) return load(from);
#if defined(__AVX512F__)
  __mmask16 there = static_cast<__mmask16>((1u << count) - 1);
  return reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(there, from));
#endif
  Vec value = {};
  for (int i = 0; i < count; ++i) value[i] = from[i];
  return value;
}

inline void store(float* to, Vec value, int count) {
  if (count >= kWidth) return store(to, value);
#if defined(__AVX512F__)
  __mmask16 there = static_cast<__mmask16>((1u << count) - 1);
  return _mm512_mask_storeu_ps(to, there, reinterpret_cast<__m512>(value));
#endif
  for (int i = 0; i < count; ++i) to[i] = value[i];
}

inline Vec smaller(Vec a, float b) { return a < b ? a : broadcast(b); }
inline Vec larger(Vec a, float b) { return a > b ? a : broadcast(b); }

inline Vec sqrt(Vec x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec>(_mm512_sqrt_ps(reinterpret_cast<__m512>(x)));
#elif defined(__AVX2__)
  return reinterpret_cast<Vec>(_mm256_sqrt_ps(reinterpret_cast<__m256>(x)));
#else
  Vec value;
  for (int i = 0; i < kWidth; ++i) value[i] = __builtin_sqrtf(x[i]);
  return value;
#endif
}

// exp(x) = scale (1 + tail), |tail| < 0.42: x = n ln 2 + r, and the series of
// exp(r) - 1 to the seventh power, 5e-9 off at most. x within [-87, 88]; a number
// that is none passes through.
struct Exponential {
  Vec scale, tail;
};

inline Exponential exponential(Vec x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: leaves the nearest integer
  Vec shifted = x * 1.44269504088896341f + kRound;
  Vec n = shifted - kRound;
  Vec r = x - n * 0.693145751953125f;  // ln 2 in two parts
  r = r - n * 1.42860682030941723e-6f;
  Vec series = broadcast(1.0f / 5040);
  series = series * r + 1.0f / 720;
  series = series * r + 1.0f / 120;
  series = series * r + 1.0f / 24;
  series = series * r + 1.0f / 6;
  series = series * r + 0.5f;
  Vec tail = (series * r) * r + r;
  VecInt bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits - (0x4B400000 - 127)) << 23;
  Vec scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return {scale, tail};
}

inline Vec bounded(Vec x) {
  // Written so that a NaN stays one.
  x = x < -87.0f ? broadcast(-87.0f) : x;
  return x > 88.0f ? broadcast(88.0f) : x;
}

inline Vec exp(Vec x) {
  Exponential e = exponential(bounded(x));
  return e.scale * e.tail + e.scale;
}

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

// From exp(-2|x|) - 1, which keeps its precision near zero.
inline Vec tanh(Vec x) {
  Vec size = x < 0.0f ? -x : x;
  Exponential e = exponential(bounded(-2.0f * size));
  Vec difference = e.scale * e.tail + (e.scale - 1.0f);
  Vec result = -difference / (2.0f + difference);
  return x < 0.0f ? -result : result;
}

// -- bfloat16 -------------------------------------------------------------------

typedef uint16_t Bf16;

// Rounds to the nearest, ties to even, as XLA does.
inline Bf16 to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0;
  return static_cast<Bf16>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float from_bf16(Bf16 value) {
  uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

// The same for two vectors, the second in the upper halves.
inline VecInt to_bf16_pairs(Vec low, Vec high) {
#if defined(__AVX512BF16__)
  auto widened = [](Vec value) {
    __m256bh narrow = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(value));
    __m256i bits;
    std::memcpy(&bits, &narrow, sizeof bits);
    return reinterpret_cast<VecInt>(_mm512_cvtepu16_epi32(bits));
  };
  return widened(low) | (widened(high) << 16);
#endif
  auto rounded = [](Vec value) {
    VecInt bits;
    std::memcpy(&bits, &value, sizeof bits);
    VecInt result = bits + 0x7fff + ((bits >> 16) & 1);
    return value == value ? result : VecInt{} + 0x7fc00000;
  };
  VecInt upper = rounded(high) & static_cast<int32_t>(0xffff0000);
  return ((rounded(low) >> 16) & 0xffff) | upper;
}

inline void store(VecInt value, void* to) { std::memcpy(to, &value, sizeof value); }

// Up to kWidth pairs of two rows' neighbours.
inline VecInt load_pairs(const float* even, const float* odd, int count) {
  return to_bf16_pairs(load(even, count), load(odd, count));
}
inline VecInt load_pairs(const Bf16* even, const Bf16* odd, int count) {
  VecInt result = {};
  for (int i = 0; i < kWidth && i < count; ++i)
    result[i] = static_cast<int32_t>(even[i] | static_cast<uint32_t>(odd[i]) << 16);
  return result;
}

// Up to kWidth neighbours as floats.
inline Vec widened(const float* from, int count) { return load(from, count); }
inline Vec widened(const Bf16* from, int count) {
  Vec value = {};
  for (int i = 0; i < kWidth && i < count; ++i) value[i] = from_bf16(from[i]);
  return value;
}

// Transposes a square of kWidth numbers of 32 bits, whatever they mean; its lines lie
// `from_stride` and `to_stride` numbers apart.
inline void transpose_square(const float* from, int64_t from_stride, float* to,
                             int64_t to_stride) {
#if defined(__AVX512F__)
  __m512i a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) a[i] = _mm512_loadu_si512(from + i * from_stride);
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  // Now squares of four within lanes of four: line 4 i + j has their j-th columns.
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    __m512i upper_even = _mm512_shuffle_i32x4(a[j], a[4 + j], 0x88);
    __m512i upper_odd = _mm512_shuffle_i32x4(a[j], a[4 + j], 0xdd);
    __m512i lower_even = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0x88);
    __m512i lower_odd = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0xdd);
    b[j] = _mm512_shuffle_i32x4(upper_even, lower_even, 0x88);
    b[4 + j] = _mm512_shuffle_i32x4(upper_odd, lower_odd, 0x88);
    b[8 + j] = _mm512_shuffle_i32x4(upper_even, lower_even, 0xdd);
    b[12 + j] = _mm512_shuffle_i32x4(upper_odd, lower_odd, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + i * to_stride, b[i]);
#else
  for (int i = 0; i < kWidth; ++i)
    for (int j = 0; j < kWidth; ++j)
      std::memcpy(to + j * to_stride + i, from + i * from_stride + j, sizeof *to);
#endif
}

inline void store(Bf16* to, Vec value, int count) {
#if defined(__AVX512BF16__)
  if (count >= kWidth) {
    __m256bh narrow = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(value));
    std::memcpy(to, &narrow, sizeof narrow);
    return;
  }
#endif
  for (int i = 0; i < kWidth && i < count; ++i) to[i] = to_bf16(value[i]);
}

inline void store_one(float* to, float value) { *to = value; }
inline void store_one(Bf16* to, float value) { *to = to_bf16(value); }

}  // namespace rnnlm
