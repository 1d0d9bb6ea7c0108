#include "agent/replay_display.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace runtail {
namespace {

constexpr int kBarWidth = 30;

std::string bytes_text(double bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) bytes /= 1024;
  char out[32];
  std::snprintf(out, sizeof out, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return out;
}

}  // namespace

std::string progress_line(ReplayDisplay kind, const ReplayProgress& progress, double seconds) {
  const auto done = static_cast<double>(progress.bytes.load()),
             total = static_cast<double>(progress.bytes_total.load());
  const double share = total > 0 ? std::min(done / total, 1.0) : 1;
  const auto lines = progress.lines.load();
  const double rate = seconds > 0 ? static_cast<double>(lines) / seconds : 0;
  const double left = share > 0 ? seconds * (1 - share) / share : 0;
  char out[256];
  if (kind == ReplayDisplay::kJson) {
    std::snprintf(out, sizeof out,
                  R"({"bytes":%llu,"bytes_total":%llu,"files":%llu,"files_total":%llu,"lines":%llu,)"
                  R"("lines_per_second":%.0f,"seconds":%.1f,"seconds_left":%.0f})",
                  static_cast<unsigned long long>(progress.bytes.load()),
                  static_cast<unsigned long long>(progress.bytes_total.load()),
                  static_cast<unsigned long long>(progress.files.load()),
                  static_cast<unsigned long long>(progress.files_total.load()), static_cast<unsigned long long>(lines),
                  rate, seconds, left);
    return out;
  }
  const int full = static_cast<int>(share * kBarWidth);
  const long whole_left = static_cast<long>(left + 0.5);
  std::snprintf(out, sizeof out, "[%s%s] %3.0f %% of %s, %llu of %llu files, %.0f lines/s, %ld:%02ld left",
                std::string(static_cast<std::size_t>(full), '#').c_str(),
                std::string(static_cast<std::size_t>(kBarWidth - full), '-').c_str(), share * 100,
                bytes_text(total).c_str(), static_cast<unsigned long long>(progress.files.load()),
                static_cast<unsigned long long>(progress.files_total.load()), rate, whole_left / 60, whole_left % 60);
  return out;
}

ReplayShow::ReplayShow(ReplayDisplay kind, const ReplayProgress& progress) : kind_(kind), progress_(progress) {
  if (kind_ == ReplayDisplay::kNone) return;
  thread_ = std::jthread([this](std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (!woken_.wait_for(lock, stop, std::chrono::seconds(1), [&] { return stop.stop_requested(); })) show(false);
  });
}

ReplayShow::~ReplayShow() {
  if (kind_ == ReplayDisplay::kNone) return;
  thread_.request_stop();
  thread_.join();
  show(true);
}

void ReplayShow::show(bool is_last) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  const std::string line = progress_line(kind_, progress_, seconds);
  if (kind_ == ReplayDisplay::kJson) {
    std::fprintf(stderr, "%s\n", line.c_str());
  } else {
    std::fprintf(stderr, "\r%s\033[K%s", line.c_str(), is_last ? "\n" : "");
  }
}

}  // namespace runtail
