// Runs the recurrences on hostile sizes beside loops in double precision; made for the
// sanitizers. Prints the number of cases, exits with 1 at the first that differs.
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "recurrence.h"

using namespace rnnlm;

namespace {

std::mt19937 generator(1);

std::vector<float> random(int64_t count, double scale = 0.5) {
  std::normal_distribution<double> normal(0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(generator));
  return values;
}

double sigma(double x) { return 1 / (1 + std::exp(-x)); }

// Hidden states of the whole sequence, one element at a time.
template <class Cell>
std::vector<double> plain(const Sizes& s, const ForwardArrays& a) {
  int64_t row = Cell::kGates * s.units;
  std::vector<double> all(s.steps * s.batch * s.units);
  for (int64_t b = 0; b < s.batch; ++b) {
    std::vector<double> h(a.h0 + b * s.units, a.h0 + (b + 1) * s.units), c;
    if (Cell::kHasCell) c.assign(a.c0 + b * s.units, a.c0 + (b + 1) * s.units);
    for (int64_t t = 0; t < s.steps; ++t) {
      std::vector<double> h_new = h;
      bool held = a.mask != nullptr && !a.mask[t * s.batch + b];
      for (int64_t j = 0; j < s.units && !held; ++j) {
        double x[4], u[4];
        for (int gate = 0; gate < Cell::kGates; ++gate) {
          x[gate] = a.x[(t * s.batch + b) * row + gate * s.units + j];
          u[gate] = a.bias == nullptr ? 0 : a.bias[gate * s.units + j];
          for (int64_t k = 0; k < s.units; ++k)
            u[gate] += h[k] * a.weights[k * row + gate * s.units + j];
        }
        if (Cell::kHasCell) {
          c[j] = sigma(x[1] + u[1]) * c[j] + sigma(x[0] + u[0]) * std::tanh(x[2] + u[2]);
          h_new[j] = sigma(x[3] + u[3]) * std::tanh(c[j]);
        } else {
          double z = sigma(x[0] + u[0]), r = sigma(x[1] + u[1]);
          h_new[j] = z * h[j] + (1 - z) * std::tanh(x[2] + r * u[2]);
        }
      }
      h = h_new;
      for (int64_t j = 0; j < s.units; ++j)
        all[(t * s.batch + b) * s.units + j] = h[j];
    }
  }
  return all;
}

template <class Cell, class T>
bool check(const Sizes& s, bool masked, double tolerance) {
  int64_t positions = s.steps * s.batch, row = Cell::kGates * s.units;
  int64_t states = positions * s.units;
  auto x = random(positions * row), h0 = random(s.batch * s.units);
  auto c0 = random(s.batch * s.units), bias = random(row);
  auto weights = random(s.units * row, 0.5 / std::sqrt(double(s.units)));
  std::vector<uint8_t> mask(positions);
  for (auto& m : mask) m = generator() % 3 > 0;
  std::vector<float> hidden(states), cells(states), kept(positions * Cell::kKept * s.units);
  ForwardArrays forward_arrays{
      x.data(),       masked ? mask.data() : nullptr, h0.data(), c0.data(),
      weights.data(), Cell::kHasCell ? nullptr : bias.data(),
      hidden.data(),  Cell::kHasCell ? cells.data() : nullptr, kept.data()};
  forward<Cell, T>(s, forward_arrays);
  auto expected = plain<Cell>(s, forward_arrays);
  for (int64_t i = 0; i < states; ++i) {
    if (!(std::abs(hidden[i] - expected[i]) < tolerance)) {
      std::fprintf(stderr, "hidden[%ld] is %g, expected %g\n", long(i), hidden[i],
                   expected[i]);
      return false;
    }
  }
  // The gradient of sum(hidden * w) with respect to x, by differences in double.
  auto w = random(states);
  std::vector<float> zeros(s.batch * s.units), d_x(positions * row), d_u(positions * row);
  std::vector<float> d_h0(s.batch * s.units), d_c0(s.batch * s.units);
  BackwardArrays arrays{forward_arrays.mask,
                        h0.data(),
                        c0.data(),
                        weights.data(),
                        hidden.data(),
                        cells.data(),
                        kept.data(),
                        w.data(),
                        zeros.data(),
                        zeros.data(),
                        d_x.data(),
                        d_u.data(),
                        d_h0.data(),
                        d_c0.data()};
  backward<Cell, T>(s, arrays);
  if (positions * row > 4000) return true;
  for (int trial = 0; trial < 6; ++trial) {
    int64_t at = generator() % x.size();
    float kept_x = x[at], step = 1e-2f;
    double sums[2] = {0, 0};
    for (int side = 0; side < 2; ++side) {
      x[at] = kept_x + (side == 0 ? step : -step);
      auto moved = plain<Cell>(s, forward_arrays);
      for (int64_t i = 0; i < states; ++i) sums[side] += moved[i] * w[i];
    }
    x[at] = kept_x;
    double slope = (sums[0] - sums[1]) / (2 * step);
    if (!(std::abs(slope - d_x[at]) < 20 * tolerance + 1e-3)) {
      std::fprintf(stderr, "d_x[%ld] is %g, expected %g\n", long(at), d_x[at], slope);
      return false;
    }
  }
  return true;
}

}  // namespace

// With any argument the smaller sizes alone: the thread sanitizer takes its time.
int main(int count, char**) {
  int cases = 0;
  const std::vector<Sizes> all = {{1, 1, 1},   {3, 2, 3},   {4, 3, 17},  {3, 20, 33},
                                  {2, 13, 64}, {2, 256, 3}, {2, 1, 650}, {1, 2, 1500}};
  for (const Sizes& s : std::vector<Sizes>(all.begin(), all.end() - (count > 1 ? 3 : 0))) {
    for (bool masked : {false, true}) {
      if (!masked && s.units > 600) continue;  // these take long
      bool right = check<Lstm, float>(s, masked, 1e-5) && check<Gru, float>(s, masked, 1e-5) &&
                   check<Lstm, Bf16>(s, masked, 0.03) && check<Gru, Bf16>(s, masked, 0.03);
      if (!right) {
        std::fprintf(stderr, "steps %ld, batch %ld, units %ld, masked %d\n", long(s.steps),
                     long(s.batch), long(s.units), masked);
        return 1;
      }
      cases += 4;
    }
  }
  std::printf("%d cases agree with the reference\n", cases);
}
