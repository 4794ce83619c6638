// A whole network that reads tokens: embedding, recurrent layers, projection, output.
//
// Weights are as `layers/kernels/packing.py` packs them, described by a plan of integers.
// Every thread owns a share of the units of each layer and of the vocabulary, reads its
// weights from front to back and meets the others once a layer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "packed.h"
#include "threads.h"
#include "vector.h"

namespace rnnlm {

enum Cell : int64_t { kSimple = 0, kLstm = 1, kGru = 2 };

struct Product {
  int64_t weights, panels, blocks;
  int64_t depth[2], scales[2], corrections[2], bias[2];
};

// The plan, in the order in which packing.py writes it. Places are in bytes from the
// beginning of the weights, -1 for what is absent.
struct Plan {
  int64_t kind, cell, layers, units, width, vocabulary;
  int64_t embedding, embedding_stride, embedding_scales, table, projected, bytes;
  Product products[1];  // layers, projection if projected, output

  int64_t states() const { return cell == kLstm ? 2 : 1; }
  const Product& output() const { return products[layers + projected]; }
};

template <class T>
const T* at(const uint8_t* weights, int64_t place) {
  return place < 0 ? nullptr : reinterpret_cast<const T*>(weights + place);
}

template <class Kind>
class Decoder {
 public:
  using Input = typename Kind::Input;
  using Weight = typename Kind::Weight;

  Decoder(const Plan& plan, const uint8_t* weights, int64_t rows, int members)
      : plan_(plan), weights_(weights), rows_(rows), members_(members) {
    for (int64_t l = 0; l < plan.layers; ++l) {
      layers_.emplace_back();
      const Product& product = plan.products[l];
      const int64_t width = product.panels * (plan.cell == kSimple ? 4 : 1) * kBlock;
      for (Rows<float>& hidden : layers_.back().hidden) hidden.shape(rows, width);
      if (plan.cell == kLstm) layers_.back().cell.shape(rows, width);
    }
    if (plan.projected) {
      projected_.shape(rows, plan.products[plan.layers].panels * kMostColumns);
    }
    logits_.shape(rows, plan.output().panels * kMostColumns);
    for (int member = 0; member < members; ++member) {
      own_.emplace_back();
      Own& own = own_.back();
      own.embedded.shape(rows, plan.width);
      own.scales = allocate<float>(rows * (plan.layers + 2));
      if constexpr (kBytes) {
        for (const Layer& layer : layers_) {
          own.bytes.emplace_back();
          own.bytes.back().shape(rows, layer.hidden[0].width);
        }
        own.bytes.emplace_back();
        own.bytes.back().shape(rows, projected_.width);
      }
    }
  }

  // Copies the state, (layers, states, rows, units), in and out; by one thread.
  void load_state(const float* state) {
    each_state(state, [&](const float* from, float* to) {
      std::copy(from, from + plan_.units, to);
    });
  }
  void store_state(float* state) {
    each_state(state, [&](float* to, const float* from) {
      std::copy(from, from + plan_.units, to);
    });
  }

  // Called by every member before its first step.
  void begin(int member) {
    if constexpr (kBytes) {
      for (int64_t l = 0; l < plan_.layers; ++l) {
        as_bytes(member, l, layers_[l].hidden[0]);
      }
    }
  }

  // Reads a token (below the vocabulary's size) a row; by every member. Once all have
  // come through, the logits are there if they were asked for.
  void step(int member, Barrier& barrier, const int32_t* tokens, bool logits) {
    Own& own = own_[member];
    Operand<Kind> x{nullptr, 0, nullptr};
    if (plan_.table < 0) x = embed(member, tokens);
    const int now = own.steps++ & 1;
    for (int64_t l = 0; l < plan_.layers; ++l) {
      switch (plan_.cell) {
        case kSimple:
          advance<kSimple, 4>(member, l, now, x, tokens);
          break;
        case kLstm:
          advance<kLstm, 4>(member, l, now, x, tokens);
          break;
        default:
          advance<kGru, 3>(member, l, now, x, tokens);
      }
      barrier.wait();
      x = as_operand(member, l, layers_[l].hidden[1 - now]);
    }
    if (!logits) return;
    if (plan_.projected) {
      linear(member, plan_.products[plan_.layers], x, projected_);
      barrier.wait();
      x = as_operand(member, plan_.layers, projected_);
    }
    linear(member, plan_.output(), x, logits_);
    barrier.wait();
  }

  const float* logits(int64_t row) const { return logits_.row(row); }

 private:
  static constexpr bool kBytes = std::is_same_v<Kind, Int8>;

  template <class T>
  struct Rows {
    Memory<T> values;
    int64_t width = 0, stride = 0;

    void shape(int64_t rows, int64_t columns) {
      width = (columns + kBlock - 1) / kBlock * kBlock;
      stride = width + 64 / sizeof(T);  // apart from powers of two
      values = allocate<T>(rows * stride);
    }
    T* row(int64_t row) { return &values[row * stride]; }
    const T* row(int64_t row) const { return &values[row * stride]; }
  };

  struct Layer {
    Rows<float> hidden[2];  // before and after a step, in turn
    Rows<float> cell;
  };

  // What each member keeps to itself: an embedding and, for int8, bytes of the shared
  // vectors, which are quicker made again than fetched from another core.
  struct Own {
    int64_t steps = 0;
    Rows<Input> embedded;
    std::vector<Rows<uint8_t>> bytes;
    Memory<float> scales;  // of the layers' vectors, the projected and the embedded
  };

  template <class State, class Use>
  void each_state(State* state, const Use& use) {
    const int now = static_cast<int>(own_[0].steps & 1);
    for (Layer& layer : layers_) {
      for (int64_t s = 0; s < plan_.states(); ++s) {
        for (int64_t row = 0; row < rows_; ++row, state += plan_.units) {
          use(state, s == 0 ? layer.hidden[now].row(row) : layer.cell.row(row));
        }
      }
    }
  }

  Operand<Kind> embed(int member, const int32_t* tokens) {
    Own& own = own_[member];
    float* scales = &own.scales[rows_ * (plan_.layers + 1)];
    const auto* table = at<Weight>(weights_, plan_.embedding);
    for (int64_t row = 0; row < rows_; ++row) {
      const Weight* from = table + tokens[row] * plan_.embedding_stride;
      Input* to = own.embedded.row(row);
      if constexpr (kBytes) {
        scales[row] = at<float>(weights_, plan_.embedding_scales)[tokens[row]];
        for (int64_t k = 0; k < own.embedded.width; ++k) to[k] = from[k] ^ 0x80;
      } else if constexpr (std::is_same_v<Weight, Bf16>) {
        for (int64_t k = 0; k < own.embedded.width; ++k) to[k] = from_bf16(from[k]);
      } else {
        std::copy(from, from + own.embedded.width, to);
      }
    }
    return {own.embedded.row(0), own.embedded.stride, scales};
  }

  Operand<Kind> as_bytes(int member, int64_t place, const Rows<float>& rows) {
    Own& own = own_[member];
    float* scales = &own.scales[rows_ * place];
    for (int64_t row = 0; row < rows_; ++row) {
      scales[row] = quantize(rows.row(row), rows.width, own.bytes[place].row(row));
    }
    return {own.bytes[place].row(0), own.bytes[place].stride, scales};
  }

  Operand<Kind> as_operand(int member, int64_t place, const Rows<float>& rows) {
    if constexpr (kBytes) {
      return as_bytes(member, place, rows);
    } else {
      return {rows.row(0), rows.stride, nullptr};
    }
  }

  // The hidden vectors of a layer from before the step, as its operand.
  Operand<Kind> before(int member, int64_t l, int now) {
    if constexpr (kBytes) {
      Own& own = own_[member];
      return {own.bytes[l].row(0), own.bytes[l].stride, &own.scales[rows_ * l]};
    } else {
      return {layers_[l].hidden[now].row(0), layers_[l].hidden[now].stride, nullptr};
    }
  }

  Part<Kind> part(const Product& product, int which) const {
    const int64_t columns = product.blocks * kBlock;
    const auto* panels = at<Weight>(weights_, product.weights);
    return {panels + (which == 0 ? 0 : product.depth[0] * columns),
            (product.depth[0] + product.depth[1]) * columns, product.depth[which],
            at<float>(weights_, product.scales[which]),
            at<int32_t>(weights_, product.corrections[which])};
  }

  // The member's share of a layer's units.
  template <Cell kCell, int NV>
  void advance(int member, int64_t l, int now, const Operand<Kind>& x,
               const int32_t* tokens) {
    const Product& product = plan_.products[l];
    const Part<Kind> input = part(product, 0), recurrent = part(product, 1);
    const Operand<Kind> h = before(member, l, now);
    const bool looked_up = product.depth[0] == 0;
    const int64_t columns = NV * kBlock;
    alignas(64) float inputs[kMostRows * kMostColumns];
    alignas(64) float recurrents[kMostRows * kMostColumns];
    const Share own = share(product.panels, member, members_);
    for (int64_t panel = own.begin; panel < own.end; ++panel) {
      for (int64_t row = 0; row < rows_; row += kMostRows) {
        const int count = static_cast<int>(std::min<int64_t>(kMostRows, rows_ - row));
        if (!looked_up) multiply<Kind, NV>(input, panel, count, x.from(row), inputs);
        multiply<Kind, NV>(recurrent, panel, count, h.from(row), recurrents);
        for (int i = 0; i < count; ++i) {
          const float* from = inputs + i * kMostColumns;
          if (looked_up) {
            from = at<float>(weights_, plan_.table) +
                   (tokens[row + i] * product.panels + panel) * columns;
          }
          equation<kCell>(product, l, now, panel, row + i, from,
                          recurrents + i * kMostColumns);
        }
      }
    }
  }

  // The cell's equation (layers/cells/keras_cells.py) for a panel's units of one row.
  // Gates lie side by side, a block each.
  template <Cell kCell>
  void equation(const Product& product, int64_t l, int now, int64_t panel, int64_t row,
                const float* x, const float* u) {
    Layer& layer = layers_[l];
    constexpr int kColumns = kCell == kGru ? 3 * kBlock : 4 * kBlock;
    const float* bias = at<float>(weights_, product.bias[0]) + panel * kColumns;
    const int64_t unit = panel * (kCell == kSimple ? kColumns : kBlock);
    float* hidden = layer.hidden[1 - now].row(row) + unit;
    if constexpr (kCell == kSimple) {
      for (int j = 0; j < kColumns; j += kWidth) {
        store(hidden + j, tanh(load(x + j) + load(u + j) + load(bias + j)));
      }
    } else if constexpr (kCell == kLstm) {
      float* cell = layer.cell.row(row) + unit;
      for (int j = 0; j < kBlock; j += kWidth) {
        auto gate = [&](int g) {
          const int k = g * kBlock + j;
          return load(x + k) + load(u + k) + load(bias + k);
        };
        Vec c = sigmoid(gate(1)) * load(cell + j) + sigmoid(gate(0)) * tanh(gate(2));
        store(cell + j, c);
        store(hidden + j, sigmoid(gate(3)) * tanh(c));
      }
    } else {
      const float* before = layer.hidden[now].row(row) + unit;
      const float* bias_u = at<float>(weights_, product.bias[1]) + panel * kColumns;
      for (int j = 0; j < kBlock; j += kWidth) {
        auto from_x = [&](int g) {
          return load(x + g * kBlock + j) + load(bias + g * kBlock + j);
        };
        auto from_h = [&](int g) {
          return load(u + g * kBlock + j) + load(bias_u + g * kBlock + j);
        };
        Vec update = sigmoid(from_x(0) + from_h(0));
        Vec reset = sigmoid(from_x(1) + from_h(1));
        Vec candidate = tanh(from_x(2) + reset * from_h(2));
        store(hidden + j, candidate + update * (load(before + j) - candidate));
      }
    }
  }

  // The member's share of the columns of a plain product with a bias.
  void linear(int member, const Product& product, const Operand<Kind>& x,
              Rows<float>& result) {
    const Part<Kind> only = part(product, 0);
    const float* bias = at<float>(weights_, product.bias[0]);
    alignas(64) float sums[kMostRows * kMostColumns];
    const Share own = share(product.panels, member, members_);
    for (int64_t panel = own.begin; panel < own.end; ++panel) {
      for (int64_t row = 0; row < rows_; row += kMostRows) {
        const int count = static_cast<int>(std::min<int64_t>(kMostRows, rows_ - row));
        multiply<Kind, 4>(only, panel, count, x.from(row), sums);
        for (int i = 0; i < count; ++i) {
          float* to = result.row(row + i) + panel * kMostColumns;
          for (int j = 0; j < kMostColumns; j += kWidth) {
            Vec sum = load(sums + i * kMostColumns + j);
            if (bias != nullptr) sum += load(bias + panel * kMostColumns + j);
            store(to + j, sum);
          }
        }
      }
    }
  }

  const Plan& plan_;
  const uint8_t* weights_;
  const int64_t rows_;
  const int members_;
  std::vector<Layer> layers_;
  Rows<float> projected_, logits_;
  std::vector<Own> own_;
};

}  // namespace rnnlm
