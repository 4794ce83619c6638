// Clipping and Adam as functions that XLA calls, of all arrays of a network at once; see
// adam.h. Mapped over the members of an ensemble, each array has a leading axis of them.
#include "adam.h"

#include <new>

#include "xla/ffi/api/ffi.h"

namespace rnnlm {
namespace {

namespace ffi = xla::ffi;

using Floats = ffi::Buffer<ffi::F32>;
using FloatsOut = ffi::ResultBuffer<ffi::F32>;

constexpr size_t kNumbers = sizeof(AdamStep) / sizeof(float);

ffi::Error refused(const char* what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, what);
}

template <class Function>
ffi::Error guarded(const Function& function) {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted,
                      "no memory for the list of an optimizer's arrays");
  }
}

ffi::Error square_sum_of_all(ffi::RemainingArgs gradients, FloatsOut sums) {
  return guarded([&] {
    int64_t members = sums->element_count();
    std::vector<const float*> arrays;
    std::vector<int64_t> sizes;
    for (size_t i = 0; members > 0 && i < gradients.size(); ++i) {
      auto gradient = gradients.get<Floats>(i);
      if (!gradient.has_value()) return gradient.error();
      arrays.push_back(gradient->typed_data());
      sizes.push_back(gradient->element_count() / members);
    }
    Blocks blocks(sizes);
    for (int64_t member = 0; member < members; ++member) {
      sums->typed_data()[member] = static_cast<float>(square_sum(arrays, blocks));
      for (size_t i = 0; i < arrays.size(); ++i) arrays[i] += sizes[i];
    }
    return ffi::Error::Success();
  });
}

ffi::Error adam_of_all(Floats numbers, ffi::RemainingArgs given, ffi::RemainingRets made) {
  return guarded([&] {
    size_t count = given.size() / 4;
    int64_t members = numbers.element_count() / kNumbers;
    if (given.size() != 4 * count || made.size() != 3 * count)
      return refused(
          "Adam takes as many parameters, momentums, velocities and gradients, and "
          "returns the first three");
    if (numbers.element_count() != members * kNumbers)
      return refused("a step of Adam has six numbers");
    std::vector<AdamArrays> arrays;
    std::vector<int64_t> sizes;
    for (size_t i = 0; members > 0 && i < count; ++i) {
      const float* from[4];
      float* to[3];
      size_t size = 0;
      for (size_t kind = 0; kind < 4; ++kind) {
        auto array = given.get<Floats>(kind * count + i);
        if (!array.has_value()) return array.error();
        if (kind == 0) size = array->element_count();
        if (array->element_count() != size)
          return refused("a parameter, its moments and its gradient are of one size");
        from[kind] = array->typed_data();
      }
      for (size_t kind = 0; kind < 3; ++kind) {
        auto array = made.get<ffi::Buffer<ffi::F32>>(kind * count + i);
        if (!array.has_value()) return array.error();
        if ((*array)->element_count() != size)
          return refused("results of Adam are of the size of what they replace");
        to[kind] = (*array)->typed_data();
      }
      arrays.push_back({from[0], from[1], from[2], from[3], to[0], to[1], to[2]});
      sizes.push_back(size / members);
    }
    Blocks blocks(sizes);
    for (int64_t member = 0; member < members; ++member) {
      const float* n = numbers.typed_data() + member * kNumbers;
      adam(AdamStep{n[0], n[1], n[2], n[3], n[4], n[5]}, arrays, blocks);
      for (size_t i = 0; i < arrays.size(); ++i) {
        AdamArrays& a = arrays[i];
        for (const float** from : {&a.parameter, &a.momentum, &a.velocity, &a.gradient})
          *from += sizes[i];
        for (float** to : {&a.new_parameter, &a.new_momentum, &a.new_velocity})
          *to += sizes[i];
      }
    }
    return ffi::Error::Success();
  });
}

}  // namespace
}  // namespace rnnlm

#define RNNLM_EXPORT(name) \
  extern "C" __attribute__((visibility("default"))) XLA_FFI_Error* name(XLA_FFI_CallFrame*)

RNNLM_EXPORT(rnnlm_square_sum);
RNNLM_EXPORT(rnnlm_adam);

XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnlm_square_sum, rnnlm::square_sum_of_all,
                              xla::ffi::Ffi::Bind()
                                  .RemainingArgs()          // gradients
                                  .Ret<rnnlm::Floats>());   // their sum of squares

XLA_FFI_DEFINE_HANDLER_SYMBOL(rnnlm_adam, rnnlm::adam_of_all,
                              xla::ffi::Ffi::Bind()
                                  .Arg<rnnlm::Floats>()     // the numbers of AdamStep
                                  .RemainingArgs()          // p..., m..., v..., g...
                                  .RemainingRets());        // p..., m..., v...
