// The loop over time of a recurrent layer, forward and backward, on a team of threads.
//
// Each thread owns a slice of the hidden units. It packs the weights of its slice once
// for the sequence, so that they stay in its core's cache, and then at every step
// multiplies the whole hidden state by its slice, applies the cell to its units, and
// meets the others at a barrier before the next step reads what all have written.
// Each sum is made by one thread in one order: results do not depend on their number.
#pragma once

#include "cells.h"
#include "product.h"
#include "threads.h"

namespace rnnlm {

struct Sizes {
  int64_t steps, batch, units;
  int64_t blocks() const { return (units + kWidth - 1) / kWidth; }
};

// Small layers are not worth a thread each.
inline int members_for(const Sizes& s, int gates) {
  int64_t work = s.batch * s.units * s.units * gates;
  int64_t most = std::min<int64_t>(s.blocks(), 1 + work / 40000);
  return static_cast<int>(std::min<int64_t>(most, Team::shared().size()));
}

struct ForwardArrays {
  const float* x;        // (steps, batch, gates * units)
  const uint8_t* mask;   // (steps, batch), 0 keeps the state; or null
  const float* h0;       // (batch, units)
  const float* c0;       // (batch, units), or null
  const float* weights;  // (units, gates * units)
  const float* bias;     // (gates * units), or null
  float* hidden;         // (steps, batch, units)
  float* cells;          // (steps, batch, units), or null
  float* kept;           // (steps, batch, kept * units), or null
};

template <class Cell, class T>
void forward(const Sizes& s, const ForwardArrays& a) {
  constexpr int kGates = Cell::kGates, kColumns = kGates * kWidth;
  const int64_t units = s.units, depth = padded_depth<T>(units);
  const int64_t stride = row_stride<T>(units);
  const int64_t row = kGates * units, kept_row = Cell::kKept * units;
  const int64_t panel_size = depth * kColumns;
  Memory<T> panels = allocate<T>(s.blocks() * panel_size);
  // The hidden state in the products' type: the step's input, and its output.
  Memory<T> states[2] = {allocate<T>(s.batch * stride), allocate<T>(s.batch * stride)};
  int members = members_for(s, kGates);

  Team::shared().run(members, [&](int member, Barrier& barrier) {
    TileScope tiles;
    Share own = share(s.blocks(), member, members);
    for (int64_t block = own.begin; block < own.end; ++block) {
      T* panel = panels.get() + block * panel_size;
      int64_t unit = block * kWidth;
      int n = static_cast<int>(std::min<int64_t>(kWidth, units - unit));
      for (int gate = 0; gate < kGates; ++gate)
        pack(a.weights + gate * units + unit, row, units, n, panel + pair<T> * gate * kWidth,
             kColumns);
      for (int64_t b = 0; b < s.batch; ++b)
        store(states[0].get() + b * stride + unit, load(a.h0 + b * units + unit, n), n);
    }
    barrier.wait();
    float products[kMostTile * kColumns];
    for (int64_t t = 0; t < s.steps; ++t) {
      const T* state = states[t % 2].get();
      T* next = states[(t + 1) % 2].get();
      const float* h = t == 0 ? a.h0 : a.hidden + (t - 1) * s.batch * units;
      const float* c = nullptr;
      if (Cell::kHasCell) c = t == 0 ? a.c0 : a.cells + (t - 1) * s.batch * units;
      for (int64_t block = own.begin; block < own.end; ++block) {
        int64_t unit = block * kWidth;
        int n = static_cast<int>(std::min<int64_t>(kWidth, units - unit));
        const T* panel = panels.get() + block * panel_size;
        for_tiles<T, kGates>(s.batch, [&](int64_t first, int rows, auto multiply) {
          multiply(state + first * stride, stride, panel, depth, products, kColumns);
          for (int r = 0; r < rows; ++r) {
            int64_t at = (first + r) * units + unit, all = t * s.batch + first + r;
            float* h_new = a.hidden + t * s.batch * units + at;
            float* c_new = Cell::kHasCell ? a.cells + t * s.batch * units + at : nullptr;
            if (a.mask != nullptr && !a.mask[all]) {
              store(h_new, load(h + at, n), n);
              if (Cell::kHasCell) store(c_new, load(c + at, n), n);
            } else {
              Cell::forward(products + r * kColumns, a.x + all * row + unit, units,
                            a.bias == nullptr ? nullptr : a.bias + unit, h + at,
                            Cell::kHasCell ? c + at : nullptr, h_new, c_new,
                            a.kept == nullptr ? nullptr : a.kept + all * kept_row + unit,
                            n);
            }
            store(next + (first + r) * stride + unit, load(h_new, n), n);
          }
        });
      }
      barrier.wait();
    }
  });
}

struct BackwardArrays {
  const uint8_t* mask;
  const float* h0;
  const float* c0;
  const float* weights;
  const float* hidden;
  const float* cells;
  const float* kept;
  const float* d_hidden;  // (steps, batch, units)
  const float* d_h_last;  // (batch, units)
  const float* d_c_last;  // (batch, units), or null
  float* d_x;             // (steps, batch, gates * units)
  float* d_u;             // the same for the products, where it differs; or null
  float* d_h0;            // (batch, units)
  float* d_c0;            // (batch, units), or null
};

// Panels of the transposed weights: as many units side by side as the tiles take.
constexpr int kBackBlocks = 3;

template <class Cell, class T>
void backward(const Sizes& s, const BackwardArrays& a) {
  constexpr int kGates = Cell::kGates;
  const int64_t units = s.units, row = kGates * units, kept_row = Cell::kKept * units;
  // Gates stand apart by whole blocks in the operand of the product.
  const int64_t depth = padded_depth<T>(row), stride = row_stride<T>(row);
  Memory<T> panels = allocate<T>(s.blocks() * kWidth * depth);
  Memory<T> operands[2] = {allocate<T>(s.batch * stride), allocate<T>(s.batch * stride)};
  // d loss / d state before the step; the cell state's only for those that have one.
  float* d_h = a.d_h0;
  float* d_c = a.d_c0;
  const int64_t wide = s.blocks() * kWidth;
  Memory<float> products = allocate<float>(s.batch * wide);
  int members = members_for(s, kGates);

  Team::shared().run(members, [&](int member, Barrier& barrier) {
    TileScope tiles;
    Share own = share(s.blocks(), member, members);
    auto pack_units = [&](int64_t first, int blocks) {
      int64_t unit = first * kWidth, columns = blocks * kWidth;
      int64_t count = std::min(columns, units - unit);
      pack_transposed(a.weights + unit * row, row, row, count,
                      panels.get() + unit * depth, columns);
    };
    for (int64_t block = own.begin; block < own.end; block += kBackBlocks)
      pack_units(block, static_cast<int>(std::min<int64_t>(kBackBlocks, own.end - block)));
    int64_t begin = own.begin * kWidth, end = std::min(own.end * kWidth, units);
    for (int64_t b = 0; b < s.batch; ++b) {
      for (int64_t unit = begin; unit < end; ++unit) {
        d_h[b * units + unit] = a.d_h_last[b * units + unit];
        if (Cell::kHasCell) d_c[b * units + unit] = a.d_c_last[b * units + unit];
      }
    }
    for (int64_t t = s.steps - 1; t >= 0; --t) {
      T* operand = operands[t % 2].get();
      const float* h = t == 0 ? a.h0 : a.hidden + (t - 1) * s.batch * units;
      const float* c = nullptr;
      if (Cell::kHasCell) c = t == 0 ? a.c0 : a.cells + (t - 1) * s.batch * units;
      for (int64_t b = 0; b < s.batch; ++b) {
        int64_t all = t * s.batch + b;
        bool held = a.mask != nullptr && !a.mask[all];
        for (int64_t unit = begin; unit < end; unit += kWidth) {
          int n = static_cast<int>(std::min<int64_t>(kWidth, units - unit));
          int64_t at = b * units + unit;
          Vec d_out = load(a.d_hidden + all * units + unit, n) + load(d_h + at, n);
          Vec d_x[4] = {}, d_u[4] = {}, d_before = d_out, d_c_before = {};
          if (!held) {
            Vec d_cell = Cell::kHasCell ? load(d_c + at, n) : Vec{};
            Cell::backward(d_out, d_cell, a.kept + all * kept_row + unit, units, h + at,
                           Cell::kHasCell ? c + at : nullptr,
                           Cell::kHasCell ? a.cells + all * units + unit : nullptr, d_x,
                           d_u, &d_before, &d_c_before, n);
            if (Cell::kHasCell) store(d_c + at, d_c_before, n);
          }
          store(d_h + at, d_before, n);
          for (int gate = 0; gate < kGates; ++gate) {
            int64_t place = all * row + gate * units + unit;
            store(a.d_x + place, d_x[gate], n);
            if (Cell::kSplit) store(a.d_u + place, d_u[gate], n);
            store(operand + b * stride + gate * units + unit,
                  Cell::kSplit ? d_u[gate] : d_x[gate], n);
          }
        }
      }
      barrier.wait();
      for (int64_t block = own.begin; block < own.end; block += kBackBlocks) {
        const T* panel = panels.get() + block * kWidth * depth;
        float* out = products.get() + block * kWidth;
        auto multiply = [&](int64_t first, int, auto tile) {
          tile(operand + first * stride, stride, panel, depth, out + first * wide, wide);
        };
        switch (std::min<int64_t>(kBackBlocks, own.end - block)) {
          case 1: for_tiles<T, 1>(s.batch, multiply); break;
          case 2: for_tiles<T, 2>(s.batch, multiply); break;
          default: for_tiles<T, 3>(s.batch, multiply); break;
        }
      }
      for (int64_t b = 0; b < s.batch; ++b) {
        for (int64_t unit = begin; unit < end; unit += kWidth) {
          int n = static_cast<int>(std::min<int64_t>(kWidth, units - unit));
          float* to = d_h + b * units + unit;
          store(to, load(to, n) + load(products.get() + b * wide + unit), n);
        }
      }
    }
  });
}

}  // namespace rnnlm
