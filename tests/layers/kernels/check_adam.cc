// Runs clipping's sum and Adam on hostile sizes beside loops in double precision; made for
// the sanitizers. Prints the number of cases, exits with 1 at the first that differs.
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "adam.h"

using namespace rnnlm;

namespace {

std::mt19937 generator(1);

std::vector<float> random(int64_t count) {
  std::normal_distribution<double> normal(0, 0.5);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(generator));
  return values;
}

// Memory of exactly its size, which ends where the sanitizer says it does.
struct Case {
  std::vector<float> p, m, v, g, new_p, new_m, new_v;

  Case(int64_t size, bool in_place)
      : p(random(size)), m(random(size)), v(random(size)), g(random(size)) {
    for (float& x : v) x = std::abs(x);
    if (!in_place) new_p = new_m = new_v = std::vector<float>(size);
  }

  AdamArrays arrays(bool in_place) {
    return {p.data(), m.data(), v.data(), g.data(), (in_place ? p : new_p).data(),
            (in_place ? m : new_m).data(), (in_place ? v : new_v).data()};
  }
};

bool near(const char* what, int64_t i, double found, double wanted) {
  if (std::abs(found - wanted) <= 2e-6 * (1 + std::abs(wanted))) return true;
  std::fprintf(stderr, "%s[%ld] is %g, expected %g\n", what, long(i), found, wanted);
  return false;
}

bool check(const std::vector<int64_t>& sizes, bool in_place) {
  const AdamStep step{0.01f, 0.5f, 0.1f, 0.01f, 1e-7f, 0.001f};
  std::vector<Case> cases;
  for (int64_t size : sizes) cases.emplace_back(size, in_place);
  std::vector<Case> before = cases;
  std::vector<AdamArrays> arrays;
  std::vector<const float*> gradients;
  double wanted = 0;
  for (Case& each : cases) {
    arrays.push_back(each.arrays(in_place));
    gradients.push_back(each.g.data());
    for (double g : each.g) wanted += g * g;
  }
  Blocks blocks(sizes, 0);  // few as they are, on all cores
  if (!near("sum", 0, square_sum(gradients, blocks) / (1 + wanted), wanted / (1 + wanted)))
    return false;
  adam(step, arrays, blocks);
  for (size_t n = 0; n < cases.size(); ++n) {
    for (int64_t i = 0; i < sizes[n]; ++i) {
      double g = before[n].g[i] * double(step.scale), p = before[n].p[i];
      double m = before[n].m[i] + (g - before[n].m[i]) * step.share_1;
      double v = before[n].v[i] + (g * g - before[n].v[i]) * step.share_2;
      p -= p * step.decay;
      p -= m * step.rate / (std::sqrt(v) + step.epsilon);
      if (!near("momentum", i, arrays[n].new_momentum[i], m) ||
          !near("velocity", i, arrays[n].new_velocity[i], v) ||
          !near("parameter", i, arrays[n].new_parameter[i], p))
        return false;
    }
  }
  // The caller's arithmetic below the smallest normal number is as it was.
  volatile float small = 1e-40f;
  return small * 0.5f > 0.0f;
}

}  // namespace

int main() {
  int cases = 0;
  const std::vector<std::vector<int64_t>> all = {
      {}, {0}, {1}, {3}, {15}, {16}, {17}, {1000}, {100003},
      {0, 5, 0, 70000, 1, 4096, 4097, 0}};
  for (const auto& sizes : all) {
    for (bool in_place : {true, false}) {
      if (!check(sizes, in_place)) {
        std::fprintf(stderr, "%ld arrays, in place %d\n", long(sizes.size()), in_place);
        return 1;
      }
      ++cases;
    }
  }
  std::printf("%d cases agree with the reference\n", cases);
}
