// The matrix unit of Intel's processors since Sapphire Rapids (AMX): products of tiles of
// 16 rows with 32 numbers of bfloat16 each, into sums in float32.
//
// Packed panels have the layout that it wants as they are: pairs of rows interleaved,
// blocks of 16 columns. Only depths are padded to whole tiles, with zeros.
#pragma once

#include <cstdint>

#include "vector.h"

#if defined(RNNLM_AMX) && defined(__AMX_BF16__)
#define RNNLM_TILES 1
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace rnnlm {

constexpr int kTileRows = 16;
constexpr int kTileDepth = 32;
// Two tiles of rows side by side: each tile of weights is used twice.
constexpr int kMostTileRows = 2 * kTileRows;
// How many tiles before its use one is asked for: the strides are too wide for the
// processor's own prefetchers.
constexpr int kTilesAhead = 2;

#if defined(RNNLM_TILES)

constexpr bool kTiles = true;

// Linux lends the tiles' registers to a process that asks; elsewhere their use is a fault.
inline bool ask_for_tiles() {
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM
  static const bool lent = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
  return lent;
}

// What the eight tiles of this thread are shaped for: rows of activations, 0 for nothing.
inline thread_local int shaped_for = 0;

// Tiles 0 and 1 are sums of the first 16 rows, 2 and 3 of the others; 4 and 5 these rows;
// 6 and 7 weights.
inline void shape_tiles(int rows) {
  if (shaped_for == rows) return;
  struct alignas(64) {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t bytes[16] = {};
    uint8_t rows[16] = {};
  } shape;
  const int upper = rows < kTileRows ? rows : kTileRows;
  const int counts[8] = {upper,        upper, rows - upper, rows - upper,
                         upper, rows - upper, kTileRows,    kTileRows};
  for (int tile = 0; tile < 8; ++tile) {
    if (counts[tile] == 0) continue;
    shape.bytes[tile] = 64;
    shape.rows[tile] = static_cast<uint8_t>(counts[tile]);
  }
  // Old compilers do not know that the instruction reads all of it (GCC bug 114098).
  asm volatile("" : : "r"(&shape) : "memory");
  _tile_loadconfig(&shape);
  shaped_for = rows;
}

// Gives the tiles back at the end of a thread's share: others have other shapes, and idle
// ones cost a switch of threads 8 KiB.
struct TileScope {
  TileScope() { ask_for_tiles(); }
  TileScope(const TileScope&) = delete;
  ~TileScope() {
    if (shaped_for == 0) return;
    _tile_release();
    shaped_for = 0;
  }
};

// One or two blocks of columns for one or two tiles of rows.
template <bool kLower, bool kSecond>
inline void tile_blocks(const Bf16* a, int64_t stride, const Bf16* panel,
                        int64_t panel_row, int64_t depth, float* out,
                        int64_t out_stride) {
  asm volatile("" : : : "memory");  // nor what loads read
  _tile_zero(0);
  if constexpr (kSecond) _tile_zero(1);
  if constexpr (kLower) _tile_zero(2);
  if constexpr (kLower && kSecond) _tile_zero(3);
  const int64_t bytes = stride * sizeof(Bf16), row_bytes = 2 * panel_row * sizeof(Bf16);
  for (int64_t k = 0; k < depth; k += kTileDepth) {
    const Bf16* weights = panel + k * panel_row;
    const Bf16* ahead = weights + kTilesAhead * kTileDepth * panel_row;
    for (int row = 0; row < kTileRows; ++row, ahead += 2 * panel_row) {
      __builtin_prefetch(ahead);
      if constexpr (kSecond) __builtin_prefetch(ahead + 2 * kTileRows);
    }
    _tile_loadd(6, weights, row_bytes);
    _tile_loadd(4, a + k, bytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kLower) {
      _tile_loadd(5, a + kTileRows * stride + k, bytes);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (kSecond) {
      _tile_loadd(7, weights + 2 * kTileRows, row_bytes);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (kLower) _tile_dpbf16ps(3, 5, 7);
    }
  }
  const int64_t out_bytes = out_stride * sizeof(float);
  float* lower = out + kTileRows * out_stride;
  _tile_stored(0, out, out_bytes);
  if constexpr (kSecond) _tile_stored(1, out + kTileRows, out_bytes);
  if constexpr (kLower) _tile_stored(2, lower, out_bytes);
  if constexpr (kLower && kSecond) _tile_stored(3, lower + kTileRows, out_bytes);
}

// out (rows, blocks * 16) = a (rows, depth) times panel (depth, blocks * 16), as `tile` of
// product.h; at most kMostTileRows rows, `depth` a multiple of kTileDepth.
inline void multiply_tiles(int rows, int blocks, const Bf16* a, int64_t stride,
                           const Bf16* panel, int64_t depth, float* out,
                           int64_t out_stride) {
  shape_tiles(rows);
  const int64_t panel_row = blocks * kTileRows;
  for (int block = 0; block < blocks; block += 2) {
    const Bf16* from = panel + 2 * block * kTileRows;
    float* to = out + block * kTileRows;
    const bool second = block + 1 < blocks;
    auto with = [&](auto function) {
      function(a, stride, from, panel_row, depth, to, out_stride);
    };
    if (rows > kTileRows) {
      second ? with(tile_blocks<true, true>) : with(tile_blocks<true, false>);
    } else {
      second ? with(tile_blocks<false, true>) : with(tile_blocks<false, false>);
    }
  }
}

#else

constexpr bool kTiles = false;
struct TileScope {
  TileScope() {}
};

#endif

}  // namespace rnnlm
