// Records that lines of their own kind give (spans, chats, documents, synchronisations, heartbeats), and the agent's
// own (metric snapshots), of a batch: at most
// one row for each key. No I/O.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/line_fact.h"
#include "sinks/json_rows.h"

namespace runtail {

// The newest state of a resource, as a row of JSON members.
struct NewestRow {
  TimePoint at{};
  Uuid event;
  std::optional<TimePoint> success_at;  // the latest of all, whichever state is the newest
  std::string members;
};

// Rows are written as JSON at once: no text of an event is copied twice.
class PostgresRecordFold {
 public:
  explicit PostgresRecordFold(std::string agent_id) : agent_id_(std::move(agent_id)) {}

  void clear();
  // Insert only. False if the batch has a row of that key: the first one stays.
  bool add(const SpanFact& fact);
  bool add(const ChatFact& fact);
  bool add(const DocumentFact& fact);
  bool add(const SnapshotFact& fact);
  // The newest stays, whatever the order.
  void add(const ProviderSyncFact& fact);
  void add(const HeartbeatFact& fact);

  // Each the parameter of its statement; "" if there is nothing to write. Give the memory away.
  std::string take_spans() { return take(spans_); }
  std::string take_chats() { return take(chats_); }
  std::string take_documents() { return take(documents_); }
  std::string take_snapshots() { return take(snapshots_); }
  std::string take_providers();
  std::string take_heartbeats();

  std::size_t spans() const { return span_keys_.size(); }
  std::size_t chats() const { return chat_keys_.size(); }
  std::size_t documents() const { return document_keys_.size(); }
  std::size_t snapshots() const { return snapshot_keys_.size(); }

 private:
  using Keys = std::set<std::pair<Uuid, TimePoint>>;
  static std::string take(JsonRows& rows) { return rows.empty() ? std::string() : rows.take(); }

  const std::string agent_id_;
  JsonRows spans_, chats_, documents_, snapshots_;
  Keys span_keys_, chat_keys_, document_keys_, snapshot_keys_;
  std::map<Uuid, NewestRow> providers_, heartbeats_;
};

}  // namespace runtail
