// How far a resource of an external provider is synchronised. Optional group.
#pragma once

#include "schema/row.h"

namespace runtail {

struct ProviderSyncStatusRow {
  static constexpr std::string_view kTable = "provider_sync_status";
  static constexpr int kKeyColumns = 1;
  static constexpr bool kInsertOnly = false;

  Uuid id;
  std::string provider;
  std::optional<std::string> resource;
  std::string sync_status;
  std::optional<TimePoint> started_at, finished_at;
  std::optional<std::int64_t> records_synced;
  std::optional<std::string> cursor_digest, error_category, error_message;
  std::optional<Json> metadata;
  TimePoint state_at{};
  Uuid state_event;
  std::optional<TimePoint> last_success_at;
  bool operator==(const ProviderSyncStatusRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("provider", row.provider);
    visit("resource", row.resource);
    visit("sync_status", row.sync_status);
    visit("started_at", row.started_at);
    visit("finished_at", row.finished_at);
    visit("records_synced", row.records_synced);
    visit("cursor_digest", row.cursor_digest);
    visit("error_category", row.error_category);
    visit("error_message", row.error_message);
    visit("metadata", row.metadata);
    visit("state_at", row.state_at);
    visit("state_event", row.state_event);
    visit("last_success_at", row.last_success_at);
  }
};

}  // namespace runtail
