// Ids made of texts, kept for as long as lines repeat them: nearly every line names a run and a task that a line
// shortly before named too, and each id costs a SHA-1.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "core/uuid.h"

namespace runtail {

// Holds the latest of each group of ids, so its size is bounded: some 50 KiB. Threads: one. Of one run namespace.
class IdMemory {
 public:
  // As run_id_of() and task_run_id_of(). `text` is not empty.
  Uuid run_id(const Uuid& run_namespace, std::string_view environment, std::string_view job_id, std::string_view text);
  Uuid task_run_id(const Uuid& run_id, std::string_view text);

 private:
  // Some more than files usually have runs open at a time.
  static constexpr std::size_t kPlaces = 256;

  struct Run {
    std::string environment, job_id, text;  // text: empty if the place is free
    Uuid id;
  };
  struct Task {
    std::string text;
    Uuid run_id, id;
  };
  std::array<Run, kPlaces> runs_;
  std::array<Task, kPlaces> tasks_;
};

}  // namespace runtail
