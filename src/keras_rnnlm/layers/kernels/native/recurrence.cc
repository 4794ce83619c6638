// The recurrences as functions that XLA calls; see recurrence.h.
#include "recurrence.h"

#include <string>

#include "xla/ffi/api/ffi.h"

namespace rnnlm {
namespace {

namespace ffi = xla::ffi;

using Floats = ffi::Buffer<ffi::F32>;
using Flags = ffi::Buffer<ffi::PRED>;
using FloatsOut = ffi::ResultBuffer<ffi::F32>;

// Absent arrays come with no elements.
const float* data(const Floats& buffer) {
  return buffer.element_count() == 0 ? nullptr : buffer.typed_data();
}
const uint8_t* data(const Flags& buffer) {
  return buffer.element_count() == 0
             ? nullptr
             : static_cast<const uint8_t*>(buffer.untyped_data());
}
float* data(FloatsOut& buffer) {
  return buffer->element_count() == 0 ? nullptr : buffer->typed_data();
}

ffi::Error checked(bool right, const char* what) {
  if (right) return ffi::Error::Success();
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, what);
}

// An array that may be absent, and is then empty.
bool fits(size_t count, int64_t wanted) {
  return count == 0 || count == static_cast<size_t>(wanted);
}

template <class Function>
ffi::Error guarded(const Function& function) {
  try {
    function();
    return ffi::Error::Success();
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted,
                      "no memory for the recurrent layer's packed weights");
  }
}

template <class Cell>
ffi::Error run_forward(bool narrow, Floats x, Flags mask, Floats h0, Floats c0,
                       Floats weights, Floats bias, FloatsOut hidden, FloatsOut cells,
                       FloatsOut kept) {
  auto shape = hidden->dimensions();
  if (shape.size() != 3) return checked(false, "hidden states have three axes");
  Sizes s{shape[0], shape[1], shape[2]};
  int64_t positions = s.steps * s.batch, row = Cell::kGates * s.units;
  if (x.element_count() != static_cast<size_t>(positions * row))
    return checked(false, "x must be (steps, batch, gates * units)");
  if (weights.element_count() != static_cast<size_t>(s.units * row))
    return checked(false, "weights must be (units, gates * units)");
  if (!fits(h0.element_count(), s.batch * s.units) ||
      !fits(c0.element_count(), s.batch * s.units))
    return checked(false, "the state must be (batch, units)");
  if (!fits(mask.element_count(), positions))
    return checked(false, "the mask must be (steps, batch, 1)");
  ForwardArrays arrays{data(x),       data(mask),    data(h0),    data(c0), data(weights),
                       data(bias),    data(hidden),  data(cells), data(kept)};
  if (positions * s.units == 0) return ffi::Error::Success();
  return guarded([&] {
    narrow ? forward<Cell, Bf16>(s, arrays) : forward<Cell, float>(s, arrays);
  });
}

template <class Cell>
ffi::Error run_backward(bool narrow, Flags mask, Floats h0, Floats c0, Floats weights,
                        Floats hidden, Floats cells, Floats kept, Floats d_hidden,
                        Floats d_h_last, Floats d_c_last, FloatsOut d_x, FloatsOut d_u,
                        FloatsOut d_h0, FloatsOut d_c0) {
  auto shape = hidden.dimensions();
  if (shape.size() != 3) return checked(false, "hidden states have three axes");
  Sizes s{shape[0], shape[1], shape[2]};
  if (weights.element_count() != static_cast<size_t>(s.units * Cell::kGates * s.units))
    return checked(false, "weights must be (units, gates * units)");
  BackwardArrays arrays{data(mask),     data(h0),       data(c0),   data(weights),
                        data(hidden),   data(cells),    data(kept), data(d_hidden),
                        data(d_h_last), data(d_c_last), data(d_x),  data(d_u),
                        data(d_h0),     data(d_c0)};
  if (s.steps * s.batch * s.units == 0) return ffi::Error::Success();
  return guarded([&] {
    narrow ? backward<Cell, Bf16>(s, arrays) : backward<Cell, float>(s, arrays);
  });
}

ffi::Error lstm_forward(bool narrow, Floats x, Flags mask, Floats h0, Floats c0,
                        Floats weights, Floats bias, FloatsOut hidden, FloatsOut cells,
                        FloatsOut kept) {
  return run_forward<Lstm>(narrow, x, mask, h0, c0, weights, bias, hidden, cells, kept);
}

ffi::Error gru_forward(bool narrow, Floats x, Flags mask, Floats h0, Floats c0,
                       Floats weights, Floats bias, FloatsOut hidden, FloatsOut cells,
                       FloatsOut kept) {
  return run_forward<Gru>(narrow, x, mask, h0, c0, weights, bias, hidden, cells, kept);
}

ffi::Error lstm_backward(bool narrow, Flags mask, Floats h0, Floats c0, Floats weights,
                         Floats hidden, Floats cells, Floats kept, Floats d_hidden,
                         Floats d_h_last, Floats d_c_last, FloatsOut d_x, FloatsOut d_u,
                         FloatsOut d_h0, FloatsOut d_c0) {
  return run_backward<Lstm>(narrow, mask, h0, c0, weights, hidden, cells, kept, d_hidden,
                            d_h_last, d_c_last, d_x, d_u, d_h0, d_c0);
}

ffi::Error gru_backward(bool narrow, Flags mask, Floats h0, Floats c0, Floats weights,
                        Floats hidden, Floats cells, Floats kept, Floats d_hidden,
                        Floats d_h_last, Floats d_c_last, FloatsOut d_x, FloatsOut d_u,
                        FloatsOut d_h0, FloatsOut d_c0) {
  return run_backward<Gru>(narrow, mask, h0, c0, weights, hidden, cells, kept, d_hidden,
                           d_h_last, d_c_last, d_x, d_u, d_h0, d_c0);
}

}  // namespace
}  // namespace rnnlm

#define RNNLM_EXPORT(name) \
  extern "C" __attribute__((visibility("default"))) XLA_FFI_Error* name(XLA_FFI_CallFrame*)

namespace {

auto forward_binding() {
  using namespace rnnlm;
  return xla::ffi::Ffi::Bind()
      .Attr<bool>("narrow")
      .Arg<Floats>()   // x
      .Arg<Flags>()    // mask
      .Arg<Floats>()   // h0
      .Arg<Floats>()   // c0
      .Arg<Floats>()   // weights
      .Arg<Floats>()   // bias
      .Ret<Floats>()   // hidden
      .Ret<Floats>()   // cells
      .Ret<Floats>();  // kept
}

auto backward_binding() {
  using namespace rnnlm;
  return xla::ffi::Ffi::Bind()
      .Attr<bool>("narrow")
      .Arg<Flags>()    // mask
      .Arg<Floats>()   // h0
      .Arg<Floats>()   // c0
      .Arg<Floats>()   // weights
      .Arg<Floats>()   // hidden
      .Arg<Floats>()   // cells
      .Arg<Floats>()   // kept
      .Arg<Floats>()   // d_hidden
      .Arg<Floats>()   // d_h_last
      .Arg<Floats>()   // d_c_last
      .Ret<Floats>()   // d_x
      .Ret<Floats>()   // d_u
      .Ret<Floats>()   // d_h0
      .Ret<Floats>();  // d_c0
}

}  // namespace

RNNLM_EXPORT(rnnlm_lstm_forward);
RNNLM_EXPORT(rnnlm_lstm_backward);
RNNLM_EXPORT(rnnlm_gru_forward);
RNNLM_EXPORT(rnnlm_gru_backward);

XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnlm_lstm_forward, rnnlm::lstm_forward,
                              forward_binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnlm_lstm_backward, rnnlm::lstm_backward,
                              backward_binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnlm_gru_forward, rnnlm::gru_forward, forward_binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnlm_gru_backward, rnnlm::gru_backward,
                              backward_binding());
