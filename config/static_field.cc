#include "config/static_field.h"

#include <algorithm>
#include <map>
#include <vector>

#include "config/dialect.h"
#include "config/near_word.h"
#include "core/json_text.h"

namespace runtail {
namespace {

// The others tell of one event, one run or one request.
constexpr Field kStatic[] = {Field::kService, Field::kEnv,           Field::kOrgId,    Field::kProjectId,
                             Field::kUserId,  Field::kTask,          Field::kPhase,    Field::kDataset,
                             Field::kTable,   Field::kSource,        Field::kQueue,    Field::kJobType,
                             Field::kTraceId, Field::kCorrelationId, Field::kComponent};

// Members a line states as contract fields -> the field, "" for those of the line itself (time, level, event).
const std::map<std::string, std::string_view, std::less<>>& members_of_lines() {
  static const auto kMembers = [] {
    std::map<std::string, std::string_view, std::less<>> members;
    for (const DialectSpec& dialect : built_in_dialects()) {
      for (const auto& [path, field] : dialect.fields) members[path] = spec_of(field).name;
      for (const auto* names : {&dialect.ts, &dialect.level, &dialect.event}) {
        for (const std::string& name : *names) members[name] = "";
      }
    }
    return members;
  }();
  return kMembers;
}

std::string joined(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}

std::string check_name(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  if (name.empty() || name.size() > 64 || !plain) return "name a field with 1 to 64 letters, digits, '.', '_' or '-'";
  if (name == "stdio" || name.starts_with("k8s.") || name.starts_with("journal.")) {
    return "runtail puts " + std::string(name) + " itself; remove it";
  }
  const auto member = members_of_lines().find(name);
  if (member == members_of_lines().end()) return "";
  const std::string_view field = member->second;
  if (field == "job_id") return "is a key of the source; write job_id: beside fields:";
  std::vector<std::string> allowed;
  for (const Field each : kStatic) allowed.emplace_back(spec_of(each).name);
  if (std::find(allowed.begin(), allowed.end(), field) == allowed.end()) {
    return "tells of one line, so it cannot be the same on all; remove it. Contract fields that can: " +
           joined(allowed);
  }
  return field == name ? "" : "is what lines may call " + std::string(field) + "; write " + std::string(field);
}

}  // namespace

std::string check_static_field(std::string_view entry) {
  const std::size_t equals = entry.find('=');
  if (equals == std::string_view::npos) return "write name=value";
  const std::string_view name = entry.substr(0, equals), value = entry.substr(equals + 1);
  if (std::string complaint = check_name(name); !complaint.empty()) return complaint;
  const bool printable = std::none_of(value.begin(), value.end(),
                                      [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7F'; });
  if (value.empty() || value.size() > 255 || !printable || !is_utf8(value)) {
    return "use 1 to 255 printable characters";
  }
  const auto field = find_field(name);
  const auto words = field ? words_of(*field) : std::span<const std::string_view>();
  if (words.empty() || std::find(words.begin(), words.end(), value) != words.end()) return "";
  const std::vector<std::string> list(words.begin(), words.end());
  return "must be one of " + joined(list) + did_you_mean(value, list);
}

}  // namespace runtail
