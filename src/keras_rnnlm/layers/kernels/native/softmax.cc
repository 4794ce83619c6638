// The cross entropy of logits as functions that XLA calls; see softmax.h.
#include "softmax.h"

#include "xla/ffi/api/ffi.h"

namespace rnnlm {
namespace {

namespace ffi = xla::ffi;

using Floats = ffi::Buffer<ffi::F32>;
using Integers = ffi::Buffer<ffi::S32>;
using FloatsOut = ffi::ResultBuffer<ffi::F32>;
using FlagsOut = ffi::ResultBuffer<ffi::PRED>;
using AnyOut = ffi::Result<ffi::AnyBuffer>;

ffi::Error refused(const char* what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, what);
}

template <class T>
ffi::Error run(const Floats& logits, const Floats& bias, const Integers& targets,
               const float* weights, T* gradient, FloatsOut& nats, FlagsOut& correct,
               float* bias_gradient) {
  auto shape = logits.dimensions();
  if (shape.size() != 2) return refused("logits have two axes: rows and words");
  size_t rows = shape[0], words = shape[1];
  if (targets.element_count() != rows || nats->element_count() != rows ||
      correct->element_count() != rows)
    return refused("targets, nats and correct must have as many rows as the logits");
  bool has_bias = bias.element_count() != 0;
  if (has_bias && bias.element_count() != words)
    return refused("the bias must have as many words as the logits");
  if (rows * words == 0) return ffi::Error::Success();
  SoftmaxArrays<T> arrays{logits.typed_data(),
                          has_bias ? bias.typed_data() : nullptr,
                          targets.typed_data(),
                          weights,
                          gradient,
                          nats->typed_data(),
                          static_cast<uint8_t*>(correct->untyped_data()),
                          bias_gradient};
  try {
    softmax<T>(rows, words, arrays);
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted,
                      "no memory for the gradient of the output layer's bias");
  }
  return ffi::Error::Success();
}

ffi::Error nats_alone(Floats logits, Floats bias, Integers targets, FloatsOut nats,
                      FlagsOut correct) {
  return run<float>(logits, bias, targets, nullptr, nullptr, nats, correct, nullptr);
}

ffi::Error with_gradient(Floats logits, Floats bias, Integers targets, Floats weights,
                         AnyOut gradient, FloatsOut nats, FlagsOut correct,
                         FloatsOut bias_gradient) {
  if (gradient->element_count() != logits.element_count() ||
      weights.element_count() != targets.element_count() ||
      bias_gradient->element_count() != static_cast<size_t>(logits.dimensions().back()))
    return refused("the gradient's shapes must be those of what it is of");
  const float* w = weights.typed_data();
  float* b = bias_gradient->typed_data();
  switch (gradient->element_type()) {
    case ffi::F32:
      return run<float>(logits, bias, targets, w,
                        static_cast<float*>(gradient->untyped_data()), nats, correct, b);
    case ffi::BF16:
      return run<Bf16>(logits, bias, targets, w,
                       static_cast<Bf16*>(gradient->untyped_data()), nats, correct, b);
    default:
      return refused("the gradient of logits is in float32 or bfloat16");
  }
}

}  // namespace
}  // namespace rnnlm

#define RNNLM_EXPORT(name) \
  extern "C" __attribute__((visibility("default"))) XLA_FFI_Error* name(XLA_FFI_CallFrame*)

RNNLM_EXPORT(rnnlm_nats);
RNNLM_EXPORT(rnnlm_nats_gradient);

XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnlm_nats, rnnlm::nats_alone,
                              xla::ffi::Ffi::Bind()
                                  .Arg<rnnlm::Floats>()     // logits
                                  .Arg<rnnlm::Floats>()     // bias
                                  .Arg<rnnlm::Integers>()   // targets
                                  .Ret<rnnlm::Floats>()     // nats
                                  .Ret<xla::ffi::Buffer<xla::ffi::PRED>>());  // correct

XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnlm_nats_gradient, rnnlm::with_gradient,
                              xla::ffi::Ffi::Bind()
                                  .Arg<rnnlm::Floats>()     // logits
                                  .Arg<rnnlm::Floats>()     // bias
                                  .Arg<rnnlm::Integers>()   // targets
                                  .Arg<rnnlm::Floats>()     // weights
                                  .Ret<xla::ffi::AnyBuffer>()  // gradient
                                  .Ret<rnnlm::Floats>()     // nats
                                  .Ret<xla::ffi::Buffer<xla::ffi::PRED>>()  // correct
                                  .Ret<rnnlm::Floats>());   // bias gradient
