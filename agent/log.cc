#include "agent/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "core/json_text.h"

namespace runtail {
namespace {

bool as_json = false;
std::mutex guard_mutex;  // a Redactor serves one thread at a time
std::optional<Redactor> guard;

void write(spdlog::level::level_enum level, std::string_view message) {
  std::string text;
  append_json_string(text, guarded(message));
  if (!as_json) text = text.substr(1, text.size() - 2);
  spdlog::default_logger_raw()->log(level, text);
}

}  // namespace

void init_log(const LogConfig& config) {
  auto logger = std::make_shared<spdlog::logger>("runtail", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  as_json = config.format == "json" || (config.format == "auto" && isatty(STDERR_FILENO) == 0);
  logger->set_pattern(
      as_json ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l","msg":%v})" : "%Y-%m-%dT%H:%M:%SZ %-7l %v",
      spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(config.level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void set_log_level(const std::string& level) {
  spdlog::default_logger_raw()->set_level(spdlog::level::from_str(level));
}

void guard_log(Redactor redactor) {
  const std::lock_guard lock(guard_mutex);
  guard.emplace(std::move(redactor));
}

std::string guarded(std::string_view message) {
  const std::lock_guard lock(guard_mutex);
  return guard ? guard->redact_text(message) : std::string(message);
}

void log_info(std::string_view message) { write(spdlog::level::info, message); }
void log_warn(std::string_view message) { write(spdlog::level::warn, message); }
void log_error(std::string_view message) { write(spdlog::level::err, message); }

}  // namespace runtail
