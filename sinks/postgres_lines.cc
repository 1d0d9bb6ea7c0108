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
    if (staged_) {
      if (auto made = connection_.exec(sql_.make_stage); !made) return made.error();
    }
    auto begun = connection_.copy_begin(staged_ ? sql_.copy_stage : sql_.copy_log_events);
    if (!begun) return begun.error();
    begun_ = true;
  }
  append_log_row(rows_, event, event_id_of(derived, origin), derived, origin, stream, settings, kinds);
  if (rows_.bytes().size() < kSendBytes) return {};
  if (auto sent = connection_.copy_write(rows_.bytes()); !sent) return sent.error();
  rows_.sent();
  return {};
}

PgOutcome<std::int64_t> PostgresLines::end() {
  if (!begun_) return 0;
  if (auto sent = connection_.copy_write(rows_.finish()); !sent) return sent.error();
  auto ended = connection_.copy_end();
  if (!ended || !staged_) return ended;
  auto inserted = connection_.exec(sql_.insert_from_stage);
  if (!inserted) return inserted.error();
  if (auto dropped = connection_.exec(sql_.drop_stage); !dropped) return dropped.error();
  return inserted->affected();
}

}  // namespace runtail
