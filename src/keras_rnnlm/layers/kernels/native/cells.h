// The equations of LSTM and GRU for a vector of units of one row, forward and back.
//
// The same as in `layers/cells/keras_cells.py`, which says where they come from; the
// order of the gates is Keras's. Forward, a cell leaves in `kept` what its gradient will
// need. Pointers stand at the first of `n` units; the arrays of gate g begin `gap`
// further.
#pragma once

#include "vector.h"

namespace rnnlm {

struct Lstm {
  static constexpr int kGates = 4;   // input, forget, candidate, output
  static constexpr int kKept = 4;    // the gates' values
  static constexpr bool kHasCell = true;
  static constexpr bool kSplit = false;  // d_products equal d_x

  // h, c of this step from the products `u` (kGates x kWidth), x and c before.
  static inline void forward(const float* u, const float* x, int64_t gap,
                             const float* bias, const float* /*h*/, const float* c,
                             float* h_new, float* c_new, float* kept, int n) {
    Vec sums[kGates];
    for (int gate = 0; gate < kGates; ++gate) {
      sums[gate] = load(x + gate * gap, n) + load(u + gate * kWidth);
      if (bias != nullptr) sums[gate] += load(bias + gate * gap, n);
    }
    Vec i = sigmoid(sums[0]), f = sigmoid(sums[1]);
    Vec g = tanh(sums[2]), o = sigmoid(sums[3]);
    Vec cell = f * load(c, n) + i * g;
    store(c_new, cell, n);
    store(h_new, o * tanh(cell), n);
    if (kept == nullptr) return;
    store(kept, i, n);
    store(kept + gap, f, n);
    store(kept + 2 * gap, g, n);
    store(kept + 3 * gap, o, n);
  }

  // From d_h and d_c: d_x, and what of them goes straight to the step before. The
  // rest of d_h before comes from the products.
  static inline void backward(Vec d_h, Vec d_c, const float* kept, int64_t gap,
                              const float* /*h*/, const float* c_before,
                              const float* c_now, Vec* d_x, Vec* /*d_u*/,
                              Vec* d_h_before, Vec* d_c_before, int n) {
    Vec i = load(kept, n), f = load(kept + gap, n);
    Vec g = load(kept + 2 * gap, n), o = load(kept + 3 * gap, n);
    Vec t = tanh(load(c_now, n));
    Vec d_cell = d_c + d_h * o * (1.0f - t * t);
    d_x[0] = d_cell * g * i * (1.0f - i);
    d_x[1] = d_cell * load(c_before, n) * f * (1.0f - f);
    d_x[2] = d_cell * i * (1.0f - g * g);
    d_x[3] = d_h * t * o * (1.0f - o);
    *d_h_before = Vec{};
    *d_c_before = d_cell * f;
  }
};

struct Gru {
  static constexpr int kGates = 3;   // update, reset, candidate
  static constexpr int kKept = 4;    // the gates' values, and the candidate's product
  static constexpr bool kHasCell = false;
  static constexpr bool kSplit = true;

  static inline void forward(const float* u, const float* x, int64_t gap,
                             const float* bias, const float* h, const float* /*c*/,
                             float* h_new, float* /*c_new*/, float* kept, int n) {
    Vec u_z = load(u), u_r = load(u + kWidth), u_h = load(u + 2 * kWidth);
    if (bias != nullptr) {
      u_z += load(bias, n);
      u_r += load(bias + gap, n);
      u_h += load(bias + 2 * gap, n);
    }
    Vec z = sigmoid(load(x, n) + u_z);
    Vec r = sigmoid(load(x + gap, n) + u_r);
    Vec candidate = tanh(load(x + 2 * gap, n) + r * u_h);
    store(h_new, candidate + z * (load(h, n) - candidate), n);
    if (kept == nullptr) return;
    store(kept, z, n);
    store(kept + gap, r, n);
    store(kept + 2 * gap, candidate, n);
    store(kept + 3 * gap, u_h, n);
  }

  static inline void backward(Vec d_h, Vec /*d_c*/, const float* kept, int64_t gap,
                              const float* h, const float* /*c_before*/,
                              const float* /*c_now*/, Vec* d_x, Vec* d_u,
                              Vec* d_h_before, Vec* /*d_c_before*/, int n) {
    Vec z = load(kept, n), r = load(kept + gap, n);
    Vec candidate = load(kept + 2 * gap, n), u_h = load(kept + 3 * gap, n);
    Vec d_sum = d_h * (1.0f - z) * (1.0f - candidate * candidate);
    d_x[0] = d_h * (load(h, n) - candidate) * z * (1.0f - z);
    d_x[1] = d_sum * u_h * r * (1.0f - r);
    d_x[2] = d_sum;
    d_u[0] = d_x[0];
    d_u[1] = d_x[1];
    d_u[2] = d_sum * r;
    *d_h_before = d_h * z;
  }
};

}  // namespace rnnlm
