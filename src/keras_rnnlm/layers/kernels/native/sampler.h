// Which token comes next: the changes that generation/samplers.py describes, in the
// same order, on a row of logits. Probabilities are summed in float64 in order of id
// and inverted with a uniform number, so a seed decides.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "product.h"
#include "vector.h"

namespace rnnlm {

enum Status { kDone = 0, kNotFinite = 1, kNothingAllowed = 2, kNoMemory = 3 };

struct Settings {
  double temperature;
  double penalty;
  int64_t top_k;  // 0 for all
  double top_p;   // 1 for all
  const uint8_t* banned;  // (vocabulary,)
};

// The logarithm of the sum of exponentials of `count` logits.
inline double log_sum_exp(const float* logits, int64_t count) {
  Vec most = broadcast(-std::numeric_limits<float>::infinity());
  int64_t whole = count / kWidth * kWidth;
  for (int64_t i = 0; i < whole; i += kWidth) {
    Vec x = load(logits + i);
    most = x > most ? x : most;
  }
  float top = -std::numeric_limits<float>::infinity();
  for (int i = 0; i < kWidth; ++i) top = std::max(top, most[i]);
  for (int64_t i = whole; i < count; ++i) top = std::max(top, logits[i]);
  Vec sums = {};
  for (int64_t i = 0; i < whole; i += kWidth) sums += exp(load(logits + i) - top);
  double sum = 0;
  for (int i = 0; i < kWidth; ++i) sum += sums[i];
  for (int64_t i = whole; i < count; ++i) sum += std::exp(logits[i] - top);
  return top + std::log(sum);
}

class Sampler {
 public:
  Sampler(const Settings& settings, int64_t vocabulary)
      : settings_(settings),
        count_(vocabulary),
        padded_((vocabulary + kSpan - 1) / kSpan * kSpan),
        scores_(allocate<float>(padded_)),
        weights_(allocate<float>(padded_)) {
    if (picky()) {
      ids_.resize(count_);
    }
  }

  // Sets *token to the one drawn from `logits`; `seen` are those the penalty falls on.
  Status draw(const float* logits, const uint8_t* seen, double uniform, int32_t* token) {
    if (!score(logits)) return kNotFinite;
    if (settings_.penalty != 1) penalize(seen);
    float top = -std::numeric_limits<float>::infinity();
    int64_t best = 0;
    for (int64_t first = 0; first < padded_; first += kSpan) {
      Vec most = load(&scores_[first]);
      for (int i = kWidth; i < kSpan; i += kWidth) {
        Vec x = load(&scores_[first + i]);
        most = x > most ? x : most;
      }
      for (int i = 0; i < kWidth; ++i) {
        if (most[i] > top) top = most[i], best = first;
      }
    }
    if (!(top > -std::numeric_limits<float>::infinity())) return kNothingAllowed;
    if (settings_.temperature == 0) {
      while (scores_[best] != top) ++best;  // the lowest id of equally likely ones
      *token = static_cast<int32_t>(best);
      return kDone;
    }
    *token = static_cast<int32_t>(picky() ? draw_few(top, uniform)
                                          : draw_all(top, uniform));
    return kDone;
  }

 private:
  static constexpr int kSpan = 64;

  bool picky() const {
    return (settings_.top_k > 0 && settings_.top_k < count_) || settings_.top_p < 1;
  }

  // Copies the logits; false if one of them is no finite number.
  bool score(const float* logits) {
    const float low = -std::numeric_limits<float>::infinity();
    Vec check = {};
    int64_t whole = count_ / kWidth * kWidth;
    for (int64_t i = 0; i < whole; i += kWidth) {
      Vec x = load(logits + i);
      check += x * 0.0f;  // NaN if x is none or infinite
      store(&scores_[i], x);
    }
    float sum = 0;
    for (int i = 0; i < kWidth; ++i) sum += check[i];
    for (int64_t i = whole; i < count_; ++i) {
      sum += logits[i] * 0.0f;
      scores_[i] = logits[i];
    }
    for (int64_t i = count_; i < padded_; ++i) scores_[i] = low;
    if (settings_.banned != nullptr) {
      for (int64_t i = 0; i < count_; ++i) {
        if (settings_.banned[i]) scores_[i] = low;
      }
    }
    return sum == 0;
  }

  // The scores of possible tokens have mean zero before the penalty falls on them.
  void penalize(const uint8_t* seen) {
    double sum = 0;
    int64_t possible = 0;
    for (int64_t i = 0; i < count_; ++i) {
      if (std::isinf(scores_[i])) continue;
      sum += scores_[i];
      ++possible;
    }
    if (possible == 0) return;
    const double mean = sum / possible;
    for (int64_t i = 0; i < count_; ++i) {
      double score = scores_[i] - mean;
      if (seen[i]) score = score > 0 ? score / settings_.penalty
                                     : score * settings_.penalty;
      scores_[i] = static_cast<float>(score);
    }
  }

  // The weights exp((score - top) / temperature) of all tokens; returns their sum.
  double weigh(float top) {
    // Neither infinite nor zero, times which an excluded score would be no number.
    const float inverse = static_cast<float>(std::clamp(
        1 / settings_.temperature,
        static_cast<double>(std::numeric_limits<float>::min()),
        static_cast<double>(std::numeric_limits<float>::max())));
    double total = 0;
    for (int64_t first = 0; first < padded_; first += kSpan) {
      Vec sums = {};
      for (int i = 0; i < kSpan; i += kWidth) {
        Vec x = (load(&scores_[first + i]) - top) * inverse;
        Vec weight = exp(x);
        weight = x < -87.0f ? Vec{} : weight;
        store(&weights_[first + i], weight);
        sums += weight;
      }
      double sum = 0;
      for (int i = 0; i < kWidth; ++i) sum += sums[i];
      total += sum;
    }
    return total;
  }

  int64_t draw_all(float top, double uniform) {
    weigh(top);
    // Sums in one order, so that the last of them is the total.
    double total = 0;
    for (int64_t first = 0; first < padded_; first += kSpan) total += span(first);
    const double point = uniform * total;
    double before = 0;
    int64_t last = 0;
    for (int64_t first = 0; first < padded_; first += kSpan) {
      const double sum = span(first);
      if (before + sum > point) {
        for (int64_t i = first; i < first + kSpan; ++i) {
          if (weights_[i] > 0) last = i;
          before += weights_[i];
          if (before > point) return last;
        }
        return last;  // the spans' sums were rounded otherwise
      }
      if (sum > 0) last = first;
      before += sum;
    }
    while (weights_[last] == 0) ++last;
    return last;
  }

  double span(int64_t first) const {
    double sum = 0;
    for (int i = 0; i < kSpan; ++i) sum += weights_[first + i];
    return sum;
  }

  // Draws from the top-k and the nucleus of them; ties go to the lowest ids.
  int64_t draw_few(float top, double uniform) {
    double total = weigh(top);
    const int64_t most =
        settings_.top_k > 0 ? std::min(settings_.top_k, count_) : count_;
    std::iota(ids_.begin(), ids_.end(), 0);
    // The likeliest few are enough for most nuclei.
    int64_t kept = 0;
    for (int64_t sorted = settings_.top_k > 0 && settings_.top_k < count_ ? most : 128;;
         sorted *= 8) {
      sorted = std::min(sorted, most);
      sort_first(sorted);
      if (sorted == most && most < count_) {
        total = 0;
        for (int64_t i = 0; i < most; ++i) total += weights_[ids_[i]];
      }
      double before = 0;
      for (kept = 0; kept < sorted && before < settings_.top_p * total; ++kept) {
        before += weights_[ids_[kept]];
      }
      if (settings_.top_p >= 1) kept = sorted;
      if (kept < sorted || sorted == most) break;
    }
    kept = std::max<int64_t>(kept, 1);
    std::sort(ids_.begin(), ids_.begin() + kept);
    double sum = 0;
    for (int64_t i = 0; i < kept; ++i) sum += weights_[ids_[i]];
    const double point = uniform * sum;
    double before = 0;
    int64_t last = ids_[0];
    for (int64_t i = 0; i < kept; ++i) {
      if (weights_[ids_[i]] > 0) last = ids_[i];
      before += weights_[ids_[i]];
      if (before > point) return last;
    }
    return last;
  }

  // Sorts the `count` likeliest ids to the front, the likeliest first.
  void sort_first(int64_t count) {
    auto likelier = [this](int32_t a, int32_t b) {
      return scores_[a] != scores_[b] ? scores_[a] > scores_[b] : a < b;
    };
    if (count < count_) {
      std::nth_element(ids_.begin(), ids_.begin() + count, ids_.end(), likelier);
    }
    std::sort(ids_.begin(), ids_.begin() + count, likelier);
  }

  const Settings settings_;
  const int64_t count_, padded_;
  Memory<float> scores_, weights_;
  std::vector<int32_t> ids_;
};

}  // namespace rnnlm
