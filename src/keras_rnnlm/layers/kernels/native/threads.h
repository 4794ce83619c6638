// A team of threads that stays, and a barrier light enough for every time step.
#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace rnnlm {

inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Spins, since steps are short; yields the core where somebody else needs it.
template <class Condition>
void wait_until(const Condition& condition) {
  for (int spins = 0; !condition(); ++spins) {
    if (spins < 4000) {
      pause_briefly();
    } else {
      sched_yield();
    }
  }
}

class Barrier {
 public:
  explicit Barrier(int members) : members_(members) {}

  void wait() {
    if (members_ == 1) return;
    unsigned round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
    } else {
      wait_until([&] { return round_.load(std::memory_order_acquire) != round; });
    }
  }

 private:
  const int members_;
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> round_{0};
};

// One team for the process: kernels that XLA starts side by side take turns.
class Team {
 public:
  static Team& shared() {
    // Never destroyed: its threads may outlive static objects at exit.
    static Team* team = new Team(cores());
    return *team;
  }

  static int cores() {
    if (const char* wanted = std::getenv("RNNLM_THREADS")) {
      int number = std::atoi(wanted);
      if (number > 0) return std::min(number, 256);
    }
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1u, std::thread::hardware_concurrency());
  }

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls work(member, barrier) for members 0 .. count - 1, all at the same time.
  void run(int count, const std::function<void(int, Barrier&)>& work) {
    count = std::max(1, std::min(count, size()));
    Barrier barrier(count);
    if (count == 1) return work(0, barrier);
    std::lock_guard<std::mutex> turn(turn_);
    left_.store(count - 1, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> guard(lock_);
      work_ = &work;
      barrier_ = &barrier;
      count_ = count;
      job_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    work(0, barrier);
    wait_until([&] { return left_.load(std::memory_order_acquire) == 0; });
  }

 private:
  explicit Team(int members) {
    for (int member = 1; member < members; ++member) {
      workers_.emplace_back([this, member] { serve(member); });
      workers_.back().detach();
    }
  }

  void serve(int member) {
    unsigned done = 0;
    for (;;) {
      // The next kernel often comes within microseconds.
      for (int spins = 0; spins < 2000 && job_.load(std::memory_order_acquire) == done;
           ++spins) {
        pause_briefly();
      }
      const std::function<void(int, Barrier&)>* work;
      Barrier* barrier;
      int count;
      {
        std::unique_lock<std::mutex> guard(lock_);
        wake_.wait(guard, [&] { return job_.load(std::memory_order_acquire) != done; });
        done = job_.load(std::memory_order_acquire);
        work = work_;
        barrier = barrier_;
        count = count_;
      }
      if (member < count) {
        (*work)(member, *barrier);
        left_.fetch_sub(1, std::memory_order_acq_rel);
      }
    }
  }

  std::vector<std::thread> workers_;
  std::mutex turn_, lock_;
  std::condition_variable wake_;
  std::atomic<unsigned> job_{0};
  std::atomic<int> left_{0};
  const std::function<void(int, Barrier&)>* work_ = nullptr;
  Barrier* barrier_ = nullptr;
  int count_ = 0;
};

// The `member`-th of `members` nearly equal shares of `total`.
struct Share {
  int64_t begin, end;
};

inline Share share(int64_t total, int member, int members) {
  return {total * member / members, total * (member + 1) / members};
}

}  // namespace rnnlm
