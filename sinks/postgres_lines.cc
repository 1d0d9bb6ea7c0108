#include "sinks/postgres_lines.h"

#include "sinks/postgres_log_row.h"

namespace runtail {
namespace {

// Enough rows for a system call to be worth it, few enough that the server never waits for the next ones.
constexpr std::size_t kSendBytes = 64 << 10;

}  // namespace

PgOutcome<void> PostgresLines::add(const RedactedEvent& event, const Derived& derived, const Origin& origin,
                                   std::string_view stream, const DeriverSettings& settings,
                                   const std::vector<std::string>& kinds) {
  if (!begun_) {
    if (auto begun = connection_.copy_begin(sql_.copy_log_events); !begun) return begun.error();
    begun_ = true;
  }
  append_log_row(rows_, event, event_id_of(derived, origin), derived, origin, stream, settings, kinds);
  if (rows_.bytes().size() < kSendBytes) return {};
  if (auto sent = connection_.copy_write(rows_.bytes()); !sent) return sent.error();
  rows_.sent();
  return {};
}

PgOutcome<void> PostgresLines::end() {
  if (!begun_) return {};
  if (auto sent = connection_.copy_write(rows_.finish()); !sent) return sent.error();
  if (auto ended = connection_.copy_end(); !ended) return ended.error();
  return {};
}

}  // namespace runtail
