// Cross entropy of rows of logits, and its gradient, in two or three sweeps of a row
// that is still in the core's cache.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "product.h"
#include "threads.h"
#include "vector.h"

namespace rnnlm {

// Row-major arrays. An absent bias is null; an absent gradient makes it evaluation.
template <class T>
struct SoftmaxArrays {
  const float* logits;     // (rows, words)
  const float* bias;       // (words)
  const int32_t* targets;  // (rows)
  const float* weights;    // (rows): of each row in the loss
  T* gradient;             // (rows, words), may be the logits' memory
  float* nats;             // (rows)
  uint8_t* correct;        // (rows)
  float* bias_gradient;    // (words)
};

struct Row {
  const float* logits;
  const float* bias;
  int64_t words;

  Vec at(int64_t i) const {
    Vec x = load(logits + i);
    return bias == nullptr ? x : x + load(bias + i);
  }
  float one(int64_t i) const {
    return bias == nullptr ? logits[i] : logits[i] + bias[i];
  }
  int64_t whole() const { return words / kWidth * kWidth; }
};

inline float largest(const Row& row) {
  constexpr int64_t kStep = 4 * kWidth;
  Vec most[4];
  for (Vec& m : most) m = broadcast(-std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kStep <= row.words; i += kStep) {
    for (int j = 0; j < 4; ++j) {
      Vec x = row.at(i + j * kWidth);
      most[j] = x > most[j] ? x : most[j];
    }
  }
  for (; i < row.whole(); i += kWidth) {
    Vec x = row.at(i);
    most[0] = x > most[0] ? x : most[0];
  }
  for (int j = 1; j < 4; ++j) most[0] = most[j] > most[0] ? most[j] : most[0];
  float result = most[0][0];
  for (int j = 1; j < kWidth; ++j) result = most[0][j] > result ? most[0][j] : result;
  for (; i < row.words; ++i) result = row.one(i) > result ? row.one(i) : result;
  return result;
}

// Of equal logits the first counts as the likeliest.
inline bool is_likeliest(const Row& row, int64_t target, float most) {
  if (!(row.one(target) == most)) return false;
  for (int64_t i = 0; i < target; ++i)
    if (row.one(i) == most) return false;
  return true;
}

// The sum of exp(logit - most), whose terms are kept in `terms` unless that is null.
// `terms` may be the logits' own memory.
inline float sum_of_terms(const Row& row, float most, float* terms) {
  constexpr int64_t kStep = 4 * kWidth;
  Vec sums[4] = {};
  int64_t i = 0;
  for (; i + kStep <= row.words; i += kStep) {
    for (int j = 0; j < 4; ++j) {
      Vec term = exp(row.at(i + j * kWidth) - most);
      sums[j] += term;
      if (terms != nullptr) store(terms + i + j * kWidth, term);
    }
  }
  for (; i < row.whole(); i += kWidth) {
    Vec term = exp(row.at(i) - most);
    sums[0] += term;
    if (terms != nullptr) store(terms + i, term);
  }
  sums[0] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  float sum = 0.0f;
  for (int j = 0; j < kWidth; ++j) sum += sums[0][j];
  for (; i < row.words; ++i) {
    float term = exp(broadcast(row.one(i) - most))[0];
    sum += term;
    if (terms != nullptr) terms[i] = term;
  }
  return sum;
}

// gradient = weight (softmax - one-hot), added to the bias's gradient as well.
template <class T>
void write_gradient(const float* terms, int64_t words, int64_t target, float weight,
                    float sum, T* gradient, float* bias_gradient) {
  float scale = weight / sum;
  float own = terms[target] * scale - weight;
  float own_before = bias_gradient[target];
  int64_t i = 0;
  for (; i + kWidth <= words; i += kWidth) {
    Vec value = load(terms + i) * scale;
    store(bias_gradient + i, load(bias_gradient + i) + value);
    store(gradient + i, value, kWidth);
  }
  for (; i < words; ++i) {
    float value = terms[i] * scale;
    bias_gradient[i] += value;
    store_one(gradient + i, value);
  }
  // Before it is rounded: softmax - 1 in 16 bits would lose what is left of it.
  store_one(gradient + target, own);
  bias_gradient[target] = own_before + own;
}

template <class T>
void softmax(int64_t rows, int64_t words, const SoftmaxArrays<T>& arrays) {
  constexpr bool kInPlace = std::is_same<T, float>::value;
  bool gradient = arrays.gradient != nullptr;
  Team& team = Team::shared();
  int members = static_cast<int>(std::min<int64_t>(team.size(), rows));
  Memory<float> sums = allocate<float>(gradient ? members * words : 0);
  Memory<float> kept = allocate<float>(gradient && !kInPlace ? members * words : 0);

  team.run(members, [&](int member, Barrier& barrier) {
    float* bias_sums = sums.get() + (gradient ? member * words : 0);
    Share mine = share(rows, member, members);
    for (int64_t r = mine.begin; r < mine.end; ++r) {
      Row row{arrays.logits + r * words, arrays.bias, words};
      int64_t target = arrays.targets[r];
      bool known = 0 <= target && target < words;
      float most = largest(row);
      float chosen = known ? row.one(target) : std::numeric_limits<float>::quiet_NaN();
      arrays.correct[r] = known && is_likeliest(row, target, most);
      float* terms = nullptr;
      if (gradient) {
        if constexpr (kInPlace) {
          terms = reinterpret_cast<float*>(arrays.gradient) + r * words;
        } else {
          terms = kept.get() + member * words;
        }
      }
      float sum = sum_of_terms(row, most, terms);
      arrays.nats[r] = std::log(sum) - (chosen - most);
      if (!gradient) continue;
      T* out = arrays.gradient + r * words;
      if (arrays.weights[r] == 0.0f) {
        // Nothing of a row that does not count, not even of one that is no number.
        std::memset(out, 0, words * sizeof(T));
      } else {
        write_gradient(terms, words, known ? target : 0, arrays.weights[r],
                       known ? sum : chosen, out, bias_sums);
      }
    }
    if (!gradient) return;
    barrier.wait();
    Share columns = share(words, member, members);
    for (int64_t i = columns.begin; i < columns.end; ++i) {
      float total = 0.0f;
      for (int m = 0; m < members; ++m) total += sums[m * words + i];
      arrays.bias_gradient[i] = total;
    }
  });
}

}  // namespace rnnlm
