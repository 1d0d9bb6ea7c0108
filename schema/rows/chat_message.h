// A message of a conversation. Optional group.
#pragma once

#include "schema/row.h"

namespace runtail {

struct ChatMessageRow {
  static constexpr std::string_view kTable = "chat_messages";
  static constexpr int kKeyColumns = 2;
  static constexpr bool kInsertOnly = true;

  Uuid id;
  TimePoint ts{};
  std::string session_id;
  std::optional<std::int32_t> turn;
  std::optional<std::string> role, content;
  std::optional<Json> sources, citations;
  std::optional<std::string> user_id, trace_id, span_id, model;
  std::optional<std::int64_t> tokens_in, tokens_out;
  std::optional<UsdMicros> cost_usd;
  bool redacted = false, pii_safe = false;
  std::optional<Json> metadata;
  bool operator==(const ChatMessageRow&) const = default;

  static void columns(auto& row, auto&& visit) {
    visit("id", row.id);
    visit("ts", row.ts);
    visit("session_id", row.session_id);
    visit("turn", row.turn);
    visit("role", row.role);
    visit("content", row.content);
    visit("sources", row.sources);
    visit("citations", row.citations);
    visit("user_id", row.user_id);
    visit("trace_id", row.trace_id);
    visit("span_id", row.span_id);
    visit("model", row.model);
    visit("tokens_in", row.tokens_in);
    visit("tokens_out", row.tokens_out);
    visit("cost_usd", row.cost_usd);
    visit("redacted", row.redacted);
    visit("pii_safe", row.pii_safe);
    visit("metadata", row.metadata);
  }
};

}  // namespace runtail
