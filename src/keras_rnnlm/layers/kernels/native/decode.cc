// Many tokens through a network in one call: read, scored or drawn; plain C functions on
// memory that the caller owns.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "decoder.h"
#include "sampler.h"
#include "threads.h"

#define RNNLM_EXPORT extern "C" __attribute__((visibility("default")))

namespace rnnlm {
namespace {

// One step of a product costs less than waking a thread below this many bytes a member.
constexpr int64_t kBytesPerMember = 32 << 10;

int members_for(const Plan& plan, int64_t threads) {
  const int64_t team = Team::shared().size();
  const int64_t most = threads > 0 ? std::min(threads, team) : team;
  return static_cast<int>(
      std::clamp<int64_t>(plan.bytes / kBytesPerMember, 1, most));
}

// Calls work(decoder, member, barrier) in every member, between reading and writing
// the state.
template <class Work>
int32_t run(const int64_t* numbers, const uint8_t* weights, int64_t threads, int64_t rows,
            float* state, const Work& work) {
  const Plan& plan = *reinterpret_cast<const Plan*>(numbers);
  auto with = [&](auto kind) {
    using Kind = decltype(kind);
    const int members = members_for(plan, threads);
    Decoder<Kind> decoder(plan, weights, rows, members);
    decoder.load_state(state);
    Team::shared().run(members, [&](int member, Barrier& barrier) {
      decoder.begin(member);
      work(decoder, member, members, barrier);
    });
    decoder.store_state(state);
  };
  try {
    if (plan.kind == 0) with(Float32());
    if (plan.kind == 1) with(Bfloat16());
    if (plan.kind == 2) with(Int8());
  } catch (const std::bad_alloc&) {
    return kNoMemory;
  }
  return kDone;
}

}  // namespace
}  // namespace rnnlm

using namespace rnnlm;

// Reads tokens (steps, rows); if `logits` is not null, leaves there those that follow the
// last of them, (rows, vocabulary).
RNNLM_EXPORT int32_t rnnlm_decode_read(const int64_t* plan, const uint8_t* weights,
                                       int64_t threads, int64_t rows, int64_t steps,
                                       float* state, const int32_t* tokens,
                                       float* logits) {
  const int64_t vocabulary = reinterpret_cast<const Plan*>(plan)->vocabulary;
  return run(plan, weights, threads, rows, state,
             [&](auto& decoder, int member, int members, Barrier& barrier) {
               for (int64_t t = 0; t < steps; ++t) {
                 decoder.step(member, barrier, tokens + t * rows,
                              logits != nullptr && t == steps - 1);
               }
               if (logits == nullptr) return;
               Share own = share(rows, member, members);
               for (int64_t row = own.begin; row < own.end; ++row) {
                 const float* from = decoder.logits(row);
                 std::copy(from, from + vocabulary, logits + row * vocabulary);
               }
             });
}

// Reads tokens (steps, rows) and scores targets (steps, rows): negative natural
// log-probabilities, and whether a target is the likeliest token.
RNNLM_EXPORT int32_t rnnlm_decode_score(const int64_t* plan, const uint8_t* weights,
                                        int64_t threads, int64_t rows, int64_t steps,
                                        float* state, const int32_t* tokens,
                                        const int32_t* targets, float* nats,
                                        uint8_t* correct) {
  const int64_t vocabulary = reinterpret_cast<const Plan*>(plan)->vocabulary;
  return run(plan, weights, threads, rows, state,
             [&](auto& decoder, int member, int members, Barrier& barrier) {
               for (int64_t t = 0; t < steps; ++t) {
                 decoder.step(member, barrier, tokens + t * rows, true);
                 Share own = share(rows, member, members);
                 for (int64_t row = own.begin; row < own.end; ++row) {
                   const float* logits = decoder.logits(row);
                   const float score = logits[targets[t * rows + row]];
                   nats[t * rows + row] =
                       static_cast<float>(log_sum_exp(logits, vocabulary) - score);
                   // Of equal ones the first counts, as everywhere.
                   const int64_t target = targets[t * rows + row];
                   uint8_t most = 1;
                   for (int64_t i = 0; i < target; ++i) most &= logits[i] < score;
                   for (int64_t i = target; i < vocabulary; ++i) most &= logits[i] <= score;
                   correct[t * rows + row] = most;
                 }
                 barrier.wait();
               }
             });
}

// Draws tokens (steps, rows), each from what the network expects after the one before;
// the first follows `last` (rows,). `seen` (rows, vocabulary) are the tokens that the
// penalty falls on; those drawn are added.
RNNLM_EXPORT int32_t rnnlm_decode_draw(const int64_t* plan, const uint8_t* weights,
                                       int64_t threads, int64_t rows, int64_t steps,
                                       float* state, const int32_t* last,
                                       const double* uniforms, uint8_t* seen,
                                       const uint8_t* banned, double temperature,
                                       double penalty, int64_t top_k, double top_p,
                                       int32_t* drawn) {
  const int64_t vocabulary = reinterpret_cast<const Plan*>(plan)->vocabulary;
  const Settings settings{temperature, penalty, top_k, top_p, banned};
  std::atomic<int32_t> status{kDone};
  std::vector<std::unique_ptr<Sampler>> samplers;
  try {
    for (int i = 0; i < Team::shared().size(); ++i) {
      samplers.push_back(std::make_unique<Sampler>(settings, vocabulary));
    }
  } catch (const std::bad_alloc&) {
    return kNoMemory;
  }
  int32_t failed = run(
      plan, weights, threads, rows, state,
      [&](auto& decoder, int member, int members, Barrier& barrier) {
        Sampler& sampler = *samplers[member];
        for (int64_t t = 0; t < steps; ++t) {
          decoder.step(member, barrier, t == 0 ? last : drawn + (t - 1) * rows, true);
          Share own = share(rows, member, members);
          for (int64_t row = own.begin; row < own.end; ++row) {
            int32_t* token = drawn + t * rows + row;
            *token = 0;
            Status found = sampler.draw(decoder.logits(row), seen + row * vocabulary,
                                        uniforms[t * rows + row], token);
            if (found != kDone) status.store(found);
            seen[row * vocabulary + *token] = 1;
          }
          barrier.wait();
          if (status.load() != kDone) return;
        }
      });
  return failed != kDone ? failed : status.load();
}

// The integer sums of rows of bytes (rows, depth) times one packed panel of int8
// weights with 64 columns, (rows, 64): what must be the same on every processor.
RNNLM_EXPORT void rnnlm_int8_sums(const uint8_t* bytes, int64_t rows, int64_t depth,
                                  const int8_t* panel, int32_t* sums) {
  constexpr int kVecs = 4;
  for (int64_t row = 0; row < rows; ++row) {
    for (int first = 0; first < kMostColumns; first += kVecs * kWidth) {
      VecInt found[1][kVecs] = {};
      Int8::accumulate<1, kVecs>(bytes + row * depth, depth, panel + 4 * first,
                                 kMostColumns, depth, found);
      std::memcpy(sums + row * kMostColumns + first, found, sizeof found);
    }
  }
}

// Reads memory as the products do, every thread a share of it, and returns a sum that
// nobody needs: how fast weights can come at all.
RNNLM_EXPORT float rnnlm_read_memory(const float* memory, int64_t count, int64_t passes,
                                     int64_t threads) {
  std::atomic<float> result{0};
  Team& team = Team::shared();
  const int members = static_cast<int>(std::clamp<int64_t>(threads, 1, team.size()));
  team.run(members, [&](int member, Barrier& barrier) {
    Share own = share(count / kMostColumns, member, members);
    Vec sums[4] = {};
    for (int64_t pass = 0; pass < passes; ++pass) {
      for (int64_t i = own.begin; i < own.end; ++i) {
        const float* from = memory + i * kMostColumns;
        for (int j = 0; j < kMostColumns; j += kWidth) {
          sums[(j / kWidth) % 4] += load(from + j);
          __builtin_prefetch(from + j + kAhead / sizeof(float));
        }
      }
      barrier.wait();
    }
    Vec sum = sums[0] + sums[1] + sums[2] + sums[3];
    if (member == 0) result.store(sum[0]);
  });
  return result.load();
}
