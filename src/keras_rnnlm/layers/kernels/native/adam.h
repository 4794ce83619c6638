// Adam (Kingma & Ba 2015) with decoupled weight decay (Loshchilov & Hutter 2019), and the
// sum of squares by which gradients are clipped: each one pass over memory, which is all
// the time they take.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "threads.h"
#include "vector.h"

namespace rnnlm {

// While it lives, this thread takes numbers below the smallest normal one for zero, as
// XLA's threads do. The moments of a rare word's vector decay into such numbers, on which
// a processor takes a hundred times as long.
class FlushDenormals {
 public:
#if defined(__SSE__)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040u); }
  ~FlushDenormals() { _mm_setcsr(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned before_;
#else
  FlushDenormals() {}
#endif
};

// Arrays as one row of blocks, which threads share. A block is of one array, begins at a
// cache line if the array does, and is the same for any number of threads.
class Blocks {
 public:
  static constexpr int64_t kSize = 4096;  // floats
  // Fewer floats than this, which the caches hold, one thread has done before a second
  // one is awake.
  static constexpr int64_t kAlone = 1 << 20;
  struct Block {
    int64_t array, begin, end;
  };

  explicit Blocks(std::vector<int64_t> sizes, int64_t alone = kAlone)
      : sizes_(std::move(sizes)), starts_{0}, alone_(alone) {
    for (int64_t size : sizes_) {
      starts_.push_back(starts_.back() + (size + kSize - 1) / kSize);
      total_ += size;
    }
  }

  int64_t count() const { return starts_.back(); }

  // Calls work(number, block) for all blocks, on all cores.
  template <class Work>
  void run(const Work& work) const {
    Team& team = Team::shared();
    int members = total_ < alone_ ? 1 : team.size();
    team.run(members, [&](int member, Barrier&) {
      FlushDenormals flush;
      Share mine = share(count(), member, members);
      auto after = std::upper_bound(starts_.begin(), starts_.end(), mine.begin);
      int64_t array = after - starts_.begin() - 1;
      for (int64_t number = mine.begin; number < mine.end; ++number) {
        while (number >= starts_[array + 1]) ++array;
        int64_t begin = (number - starts_[array]) * kSize;
        work(number, Block{array, begin, std::min(begin + kSize, sizes_[array])});
      }
    });
  }

 private:
  std::vector<int64_t> sizes_, starts_;  // starts: the number of each array's first block
  int64_t total_ = 0, alone_;
};

inline double square_sum(const float* values, int64_t count) {
  constexpr int64_t kStep = 4 * kWidth;
  Vec sums[4] = {};
  int64_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    for (int j = 0; j < 4; ++j) {
      Vec x = load(values + i + j * kWidth);
      sums[j] += x * x;
    }
  }
  for (; i < count; i += kWidth) {
    Vec x = load(values + i, static_cast<int>(std::min<int64_t>(kWidth, count - i)));
    sums[0] += x * x;
  }
  sums[0] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double total = 0.0;
  for (int j = 0; j < kWidth; ++j) total += sums[0][j];
  return total;
}

// Of all arrays. Blocks are added in their order, whoever has summed them.
inline double square_sum(const std::vector<const float*>& arrays, const Blocks& blocks) {
  std::vector<double> sums(blocks.count());
  blocks.run([&](int64_t number, const Blocks::Block& b) {
    sums[number] = square_sum(arrays[b.array] + b.begin, b.end - b.begin);
  });
  double total = 0.0;
  for (double sum : sums) total += sum;
  return total;
}

// What is the same for all numbers in a step.
struct AdamStep {
  float rate;     // learning rate, corrected for the moments' start from zero
  float scale;    // of the gradients, by which they are clipped
  float share_1;  // 1 - beta_1
  float share_2;  // 1 - beta_2
  float epsilon;
  float decay;    // part that a parameter loses
};

// Results may be where the arguments are.
struct AdamArrays {
  const float *parameter, *momentum, *velocity, *gradient;
  float *new_parameter, *new_momentum, *new_velocity;
};

inline void adam(const AdamStep& step, const AdamArrays& arrays, int64_t i, int count) {
  Vec g = load(arrays.gradient + i, count) * step.scale;
  Vec m = load(arrays.momentum + i, count);
  Vec v = load(arrays.velocity + i, count);
  Vec p = load(arrays.parameter + i, count);
  m += (g - m) * step.share_1;
  v += (g * g - v) * step.share_2;
  p -= p * step.decay;
  p -= m * step.rate / (sqrt(v) + step.epsilon);
  store(arrays.new_momentum + i, m, count);
  store(arrays.new_velocity + i, v, count);
  store(arrays.new_parameter + i, p, count);
}

inline void adam(const AdamStep& step, const std::vector<AdamArrays>& arrays,
                 const Blocks& blocks) {
  blocks.run([&](int64_t, const Blocks::Block& b) {
    const AdamArrays& own = arrays[b.array];
    int64_t i = b.begin;
    for (; i + kWidth <= b.end; i += kWidth) adam(step, own, i, kWidth);
    if (i < b.end) adam(step, own, i, static_cast<int>(b.end - i));
  });
}

}  // namespace rnnlm
