// Matrix products with bfloat16 operands and float32 sums, whatever way the operands lie.
//
// XLA multiplies bfloat16 at full speed only where neither operand is transposed, and
// wants float32 operands cast in a pass of their own. Here both happen while packing.
// The threads share the packed right operand and own rows of the result.
#include "product.h"

#include "threads.h"
#include "xla/ffi/api/ffi.h"

namespace rnnlm {
namespace {

namespace ffi = xla::ffi;

constexpr int kBlocks = 4;                     // vectors of columns in a panel
constexpr int64_t kColumns = kBlocks * kWidth;
constexpr int64_t kDepth = 768;                // of the part that is packed at a time

// A matrix of float32 or bfloat16, seen as it is or transposed.
template <class T>
struct Matrix {
  const T* data;
  int64_t row, column;  // strides
};

// Rows [begin, end) and columns [from, to) of the left operand, row after row.
template <class T>
void pack_rows(const Matrix<T>& a, int64_t begin, int64_t end, int64_t from, int64_t to,
               Bf16* packed, int64_t stride) {
  int64_t depth = to - from;
  if (a.column == 1) {
    for (int64_t i = begin; i < end; ++i) {
      Bf16* row = packed + (i - begin) * stride;
      copy(a.data + i * a.row + from, row, depth);
      std::fill(row + depth, row + padded_depth<Bf16>(depth), Bf16{0});
    }
    return;
  }
  // Transposed: squares as wide as a register, read along their lines.
  for (int64_t i0 = begin; i0 < end; i0 += kWidth) {
    int wide = static_cast<int>(std::min<int64_t>(kWidth, end - i0));
    Bf16* rows = packed + (i0 - begin) * stride;
    for (int64_t k0 = 0; k0 < depth; k0 += kWidth) {
      int deep = static_cast<int>(std::min<int64_t>(kWidth, depth - k0));
      alignas(64) float square[kWidth][kWidth], turned[kWidth][kWidth];
      if (deep < kWidth) std::memset(square, 0, sizeof square);
      for (int k = 0; k < deep; ++k) {
        const T* line = a.data + (from + k0 + k) * a.column + i0;
        store(square[k], widened(line, wide));
      }
      transpose_square(square[0], kWidth, turned[0], kWidth);
      for (int i = 0; i < wide; ++i)
        store(rows + i * stride + k0, load(turned[i]), deep);
    }
    for (int i = 0; i < wide; ++i) {
      Bf16* row = rows + i * stride;
      std::fill(row + depth, row + padded_depth<Bf16>(depth), Bf16{0});
    }
  }
}

// One panel: rows [from, to) and `columns` columns from `first` of the right operand,
// pairs of rows interleaved; missing rows and columns are zero.
template <class T>
void pack_panel(const Matrix<T>& b, int64_t from, int64_t to, int64_t first,
                int64_t columns, Bf16* panel) {
  int64_t depth = to - from;
  if (columns < kColumns || depth % kDepthUnit<Bf16>)
    std::memset(panel, 0, padded_depth<Bf16>(depth) * kColumns * sizeof(Bf16));
  if (b.column == 1) {
    const T none[kWidth] = {};
    for (int64_t k = 0; k < depth; k += 2) {
      const T* row = b.data + (from + k) * b.row + first;
      for (int64_t j = 0; j < columns; j += kWidth) {
        const T* odd = k + 1 < depth ? row + b.row + j : none;
        store(load_pairs(row + j, odd, static_cast<int>(columns - j)),
              panel + k * kColumns + 2 * j);
      }
    }
    return;
  }
  pack_transposed(b.data + first * b.column + from, b.column, depth, columns, panel,
                  kColumns);
}

template <class A, class B>
void multiply(const Matrix<A>& a, const Matrix<B>& b, int64_t rows, int64_t depth,
              int64_t columns, float* out) {
  int64_t panels = (columns + kColumns - 1) / kColumns;
  int64_t part = std::min(depth, kDepth);
  int64_t stride = row_stride<Bf16>(part);
  int64_t panel_size = padded_depth<Bf16>(part) * kColumns;
  int members = static_cast<int>(std::min<int64_t>(
      {Team::shared().size(), rows, 1 + rows * depth * columns / 100000}));
  Memory<Bf16> right = allocate_raw<Bf16>(panels * panel_size);
  Memory<Bf16> left = allocate_raw<Bf16>(rows * stride);

  Team::shared().run(members, [&](int member, Barrier& barrier) {
    TileScope tiles;
    Share own = share(rows, member, members);
    Share packing = share(panels, member, members);
    Bf16* mine = left.get() + own.begin * stride;
    for (int64_t from = 0; from < depth; from += part) {
      int64_t to = std::min(from + part, depth);
      for (int64_t p = packing.begin; p < packing.end; ++p) {
        pack_panel(b, from, to, p * kColumns, std::min(kColumns, columns - p * kColumns),
                   right.get() + p * panel_size);
      }
      pack_rows(a, own.begin, own.end, from, to, mine, stride);
      barrier.wait();
      int64_t deep = padded_depth<Bf16>(to - from);
      for (int64_t p = 0; p < panels; ++p) {
        const Bf16* panel = right.get() + p * panel_size;
        int64_t first = p * kColumns;
        int n = static_cast<int>(std::min(kColumns, columns - first));
        for_tiles<Bf16, kBlocks>(own.end - own.begin, [&](int64_t at, int count,
                                                          auto tile) {
          float* to_row = out + (own.begin + at) * columns + first;
          const Bf16* from_row = mine + at * stride;
          if (from == 0 && n == kColumns) {
            tile(from_row, stride, panel, deep, to_row, columns);
            return;
          }
          float sums[kMostTile * kColumns];
          tile(from_row, stride, panel, deep, sums, kColumns);
          for (int r = 0; r < count; ++r) {
            float* to_columns = to_row + r * columns;
            for (int j = 0; j < n; j += kWidth) {
              Vec value = load(sums + r * kColumns + j);
              if (from > 0) value += load(to_columns + j, n - j);
              store(to_columns + j, value, n - j);
            }
          }
        });
      }
      barrier.wait();
    }
  });
}

template <class T>
Matrix<T> view(const ffi::AnyBuffer& buffer, bool transposed) {
  int64_t width = buffer.dimensions()[1];
  const T* data = static_cast<const T*>(buffer.untyped_data());
  return transposed ? Matrix<T>{data, 1, width} : Matrix<T>{data, width, 1};
}

ffi::Error product(bool transpose_a, bool transpose_b, ffi::AnyBuffer a, ffi::AnyBuffer b,
                   ffi::ResultBuffer<ffi::F32> out) {
  auto known = [](const ffi::AnyBuffer& m) {
    return m.dimensions().size() == 2 &&
           (m.element_type() == ffi::F32 || m.element_type() == ffi::BF16);
  };
  if (!known(a) || !known(b) || out->dimensions().size() != 2)
    return ffi::Error(ffi::ErrorCode::kInvalidArgument,
                      "expected two matrices of float32 or bfloat16");
  int64_t rows = a.dimensions()[transpose_a ? 1 : 0];
  int64_t depth = a.dimensions()[transpose_a ? 0 : 1];
  int64_t columns = b.dimensions()[transpose_b ? 0 : 1];
  if (b.dimensions()[transpose_b ? 1 : 0] != depth || out->dimensions()[0] != rows ||
      out->dimensions()[1] != columns)
    return ffi::Error(ffi::ErrorCode::kInvalidArgument, "the matrices do not fit");
  if (rows * columns == 0) return ffi::Error::Success();
  if (depth == 0) {
    std::memset(out->untyped_data(), 0, rows * columns * sizeof(float));
    return ffi::Error::Success();
  }
  float* to = out->typed_data();
  auto with = [&](auto left) {
    if (b.element_type() == ffi::F32) {
      multiply(left, view<float>(b, transpose_b), rows, depth, columns, to);
    } else {
      multiply(left, view<Bf16>(b, transpose_b), rows, depth, columns, to);
    }
  };
  try {
    if (a.element_type() == ffi::F32) {
      with(view<float>(a, transpose_a));
    } else {
      with(view<Bf16>(a, transpose_a));
    }
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted,
                      "no memory for the packed operands of a product");
  }
  return ffi::Error::Success();
}

}  // namespace
}  // namespace rnnlm

extern "C" __attribute__((visibility("default"))) XLA_FFI_Error* rnnlm_product(
    XLA_FFI_CallFrame*);

XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnlm_product, rnnlm::product,
                              xla::ffi::Ffi::Bind()
                                  .Attr<bool>("transpose_a")
                                  .Attr<bool>("transpose_b")
                                  .Arg<xla::ffi::AnyBuffer>()
                                  .Arg<xla::ffi::AnyBuffer>()
                                  .Ret<xla::ffi::Buffer<xla::ffi::F32>>());
