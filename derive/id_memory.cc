#include "derive/id_memory.h"

#include <functional>

#include "core/identity.h"

namespace runtail {
namespace {

// Longer ones are rare, and would make the memory's size depend on what lines say.
constexpr std::size_t kTextBytesMax = 128;

std::size_t place_of(std::string_view text, std::size_t other) {
  const std::size_t hash = std::hash<std::string_view>()(text) + other * 0x9E3779B97F4A7C15ull;
  return hash ^ hash >> 32;
}

}  // namespace

Uuid IdMemory::run_id(const Uuid& run_namespace, std::string_view environment, std::string_view job_id,
                      std::string_view text) {
  if (environment.size() + job_id.size() + text.size() > kTextBytesMax) {
    return run_id_of(run_namespace, environment, job_id, text);
  }
  Run& run = runs_[place_of(text, 0) % kPlaces];
  if (run.text == text && run.job_id == job_id && run.environment == environment) return run.id;
  run.id = run_id_of(run_namespace, environment, job_id, text);
  run.environment = environment;
  run.job_id = job_id;
  run.text = text;
  return run.id;
}

Uuid IdMemory::task_run_id(const Uuid& run_id, std::string_view text) {
  if (text.size() > kTextBytesMax) return task_run_id_of(run_id, text);
  Task& task = tasks_[place_of(text, std::hash<Uuid>()(run_id)) % kPlaces];
  if (task.text == text && task.run_id == run_id) return task.id;
  task.id = task_run_id_of(run_id, text);
  task.text = text;
  task.run_id = run_id;
  return task.id;
}

}  // namespace runtail
