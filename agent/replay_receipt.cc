#include "agent/replay_receipt.h"

#include <algorithm>
#include <cstdio>

#include "core/build_info.h"
#include "core/json_text.h"

namespace runtail {
namespace {

// Writes one object; members in the order they are put.
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  void close() { out_ += '}'; }
  void text(std::string_view name, std::string_view value) {
    key(name);
    append_json_string(out_, value);
  }
  void number(std::string_view name, std::uint64_t value) {
    key(name);
    out_ += std::to_string(value);
  }
  void boolean(std::string_view name, bool value) {
    key(name);
    out_ += value ? "true" : "false";
  }
  // For what follows in `out`.
  void key(std::string_view name) {
    if (out_.back() != '{') out_ += ',';
    append_json_string(out_, name);
    out_ += ':';
  }

 private:
  std::string& out_;
};

void put_lines(JsonObject& in, std::string& out, const ReplayLines& lines) {
  in.key("lines");
  JsonObject object(out);
  object.number("read", lines.read);
  object.number("stored", lines.stored);
  object.number("level_filtered", lines.level_filtered);
  object.number("sampled", lines.sampled);
  object.number("dropped", lines.dropped);
  object.number("duplicate", lines.duplicate);
  object.number("expired", lines.expired);
  object.number("dead_lettered", lines.dead_lettered);
  object.number("outside", lines.outside);
  object.close();
}

void put_records(JsonObject& in, std::string& out, const RecordOutcomes& records) {
  in.key("records");
  JsonObject tables(out);
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<Table>(i);
    const std::uint64_t sum =
        records.applied[table] + records.duplicate[table] + records.expired[table] + records.dead_lettered[table];
    if (sum == 0) continue;
    tables.key(to_string(table));
    JsonObject object(out);
    object.number("applied", records.applied[table]);
    object.number("duplicate", records.duplicate[table]);
    object.number("expired", records.expired[table]);
    object.number("dead_lettered", records.dead_lettered[table]);
    object.close();
  }
  tables.close();
}

void put_times(JsonObject& in, const std::optional<TimePoint>& first, const std::optional<TimePoint>& last) {
  if (first) in.text("first", to_rfc3339(*first));
  if (last) in.text("last", to_rfc3339(*last));
}

}  // namespace

std::string_view to_string(ReplayFile::State state) {
  switch (state) {
    case ReplayFile::State::kRead:
      return "read";
    case ReplayFile::State::kGrowing:
      return "growing";
    case ReplayFile::State::kEmpty:
      return "empty";
    case ReplayFile::State::kIncomplete:
      return "incomplete";
    case ReplayFile::State::kUnreadable:
      return "unreadable";
    case ReplayFile::State::kInterrupted:
      return "interrupted";
    case ReplayFile::State::kNotBegun:
      return "not_begun";
  }
  return "";
}

bool is_whole(ReplayFile::State state) {
  using State = ReplayFile::State;
  return state == State::kRead || state == State::kGrowing || state == State::kEmpty;
}

bool ReplayReceipt::is_complete() const {
  return fault.empty() && !is_interrupted &&
         std::all_of(files.begin(), files.end(), [](const ReplayFile& file) { return is_whole(file.state); });
}

std::string to_json(const ReplayReceipt& receipt) {
  std::string out;
  JsonObject whole(out);
  whole.number("version", 1);
  whole.text("runtail", build_version());
  whole.text("store", receipt.store);
  whole.boolean("dry_run", receipt.is_dry);
  whole.boolean("full", receipt.is_full);
  whole.boolean("verify", receipt.is_verify);
  whole.boolean("complete", receipt.is_complete());
  if (receipt.is_interrupted) whole.boolean("interrupted", true);
  if (!receipt.fault.empty()) whole.text("fault", receipt.fault);
  whole.key("seconds");
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.3f", receipt.seconds);
  out += seconds;
  ReplayLines lines;
  RecordOutcomes records;
  std::optional<TimePoint> first, last;
  std::uint64_t bytes = 0;
  for (const ReplayFile& file : receipt.files) {
    lines += file.lines;
    records += file.records;
    bytes += file.bytes;
    if (file.first) first = std::min(first.value_or(*file.first), *file.first);
    if (file.last) last = std::max(last.value_or(*file.last), *file.last);
  }
  whole.number("bytes", bytes);
  put_times(whole, first, last);
  put_lines(whole, out, lines);
  put_records(whole, out, records);
  whole.key("runs");
  JsonObject runs(out);
  runs.number("found", receipt.runs_found);
  if (!receipt.is_dry && !receipt.is_verify) {
    runs.number("created", receipt.created);
    runs.number("updated", receipt.updated);
    runs.number("unchanged", receipt.unchanged);
  }
  runs.close();
  if (receipt.is_verify) {
    whole.key("differences");
    out += '[';
    for (const RowDifference& each : receipt.differences) {
      out += out.back() == '[' ? "\n  " : ",\n  ";
      JsonObject object(out);
      object.text("table", each.table);
      object.text("what", each.what);
      object.number("rows", each.rows);
      object.key("examples");
      out += '[';
      for (const std::string& example : each.examples) {
        if (out.back() != '[') out += ',';
        append_json_string(out, example);
      }
      out += ']';
      object.close();
    }
    out += receipt.differences.empty() ? "]" : "\n]";
  }
  if (receipt.rebuild) {
    whole.key("rebuilt");
    out += '[';
    for (const RebuiltRun& run : receipt.rebuild->runs) {
      out += out.back() == '[' ? "\n  " : ",\n  ";
      JsonObject object(out);
      object.text("run_id", run.run_id);
      object.text("before", run.before);
      object.text("after", run.after);
      object.close();
    }
    out += "]";
    whole.key("left");
    out += '[';
    for (const std::string& run : receipt.rebuild->left) {
      if (out.back() != '[') out += ',';
      append_json_string(out, run);
    }
    out += ']';
  }
  whole.key("files");
  out += '[';
  for (const ReplayFile& file : receipt.files) {
    out += out.back() == '[' ? "\n  " : ",\n  ";
    JsonObject object(out);
    object.text("path", file.path);
    object.text("state", to_string(file.state));
    if (!file.fault.empty()) object.text("fault", file.fault);
    if (file.file) {
      object.text("stream", file.file->stream);
      object.text("file", to_hex(file.file->file_key));
      object.number("generation", static_cast<std::uint64_t>(file.file->generation));
      object.boolean("new", file.is_new);
    }
    object.number("bytes", file.bytes);
    if (file.untaken > 0) object.number("untaken_bytes", file.untaken);
    object.number("covered_before", file.covered_before);
    put_times(object, file.first, file.last);
    put_lines(object, out, file.lines);
    put_records(object, out, file.records);
    object.close();
  }
  out += receipt.files.empty() ? "]" : "\n]";
  whole.close();
  return out + '\n';
}

}  // namespace runtail
