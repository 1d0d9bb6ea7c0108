#include "redaction/context.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>

#include "core/json_text.h"
#include "redaction/letters.h"
#include "redaction/marker.h"

namespace runtail {
namespace {

// What lies deeper goes whole: nobody reads it, and the walk stays off the end of the stack.
constexpr int kDepthMax = 64;
// A number of fewer digits identifies nobody; from here on it may be an SSN, a phone or a card.
constexpr std::ptrdiff_t kScannedDigitsMin = 9;

// Index after nodes[at] and all below it.
std::size_t end_of(std::span<const JsonNode> nodes, std::size_t at, std::size_t parent_end) {
  const std::size_t end = nodes[at].end;
  if (end <= at || end > parent_end) throw std::logic_error("a member reaches out of its parent");
  return end;
}

// A key with a space in it is somebody's words.
bool has_space(std::string_view key) { return key.find_first_of(" \t\r\n") != std::string_view::npos; }

bool is_container(const JsonNode& node) {
  return node.kind == JsonNode::Kind::kObject || node.kind == JsonNode::Kind::kArray;
}

void append_comma(std::string& out, bool& first) {
  if (!first) out += ',';
  first = false;
}

// The text of a number, in `digits`; "" for one that JSON cannot say.
std::string_view number_text(const JsonNode& node, std::span<char, 64> digits) {
  std::to_chars_result end{};
  if (node.kind == JsonNode::Kind::kInt) {
    end = std::to_chars(digits.data(), digits.data() + digits.size(), node.integer);
  } else if (node.kind == JsonNode::Kind::kUint) {
    end = std::to_chars(digits.data(), digits.data() + digits.size(), node.uinteger);
  } else if (std::isfinite(node.real)) {
    end = std::to_chars(digits.data(), digits.data() + digits.size(), node.real);
  } else {
    return {};
  }
  return {digits.data(), static_cast<std::size_t>(end.ptr - digits.data())};
}

void append_number(std::string& out, const JsonNode& node, std::string_view key, Masker& masker) {
  std::array<char, 64> digits;
  const std::string_view text = number_text(node, digits);
  if (text.empty()) {
    out += "null";
    return;
  }
  if (std::count_if(text.begin(), text.end(), is_digit) >= kScannedDigitsMin) {
    const std::string_view masked = masker.mask(text, key);
    if (masked.data() != text.data()) {
      append_json_string(out, masked);
      return;
    }
  }
  out += text;
}

}  // namespace

const KeyRule* ContextWriter::rule_of(std::string_view key, std::span<const JsonNode> nodes) {
  const KeyRule* rule = key.empty() ? nullptr : known_keys_.find(key);
  if (!rule || rule->needs.empty()) return rule;
  const bool there =
      std::any_of(nodes.begin(), nodes.end(), [&](const JsonNode& node) { return node.key == rule->needs; });
  return there ? rule : nullptr;
}

// For a member of an object: its own name, else that of the object and its own ({"patient": {"name": ...}}).
const KeyRule* ContextWriter::member_rule(std::string_view object, std::string_view key,
                                          std::span<const JsonNode> nodes) {
  if (const KeyRule* rule = rule_of(key, nodes)) return rule;
  if (object.empty() || !known_keys_.may_end_name(key)) return nullptr;
  path_.assign(object).append(".").append(key);
  return rule_of(path_, nodes);
}

// {"name": "DB_PASSWORD", "value": ...}
ContextWriter::Naming ContextWriter::naming_member(std::span<const JsonNode> nodes, std::size_t object) {
  for (std::size_t i = object + 1; i < nodes[object].end; i = end_of(nodes, i, nodes[object].end)) {
    if (nodes[i].kind == JsonNode::Kind::kString && is_naming_key(nodes[i].key)) {
      if (const KeyRule* rule = rule_of(nodes[i].text, nodes)) return {rule, nodes[i].key};
    }
  }
  return {};
}

// Writes the key; the rest of it that is not masked, which is what rules may read: they then find in redacted text what
// they found before, and tell nothing of what was masked.
std::string_view ContextWriter::append_key(std::string& out, std::string_view key, Masker& masker) {
  const std::string_view masked = masker.mask(key);
  append_json_string(out, masked);
  out += ':';
  if (masked.find(kMarkerHead) == std::string_view::npos) return masked;
  return masker.fresh_text() = without_markers(masked);
}

// Writes the mark for nodes[at] if `rule` covers such a value; all of it goes, numbers and what is below too.
bool ContextWriter::wipe(std::string& out, std::span<const JsonNode> nodes, std::size_t at, const KeyRule& rule,
                         Masker& masker) {
  const JsonNode& node = nodes[at];
  if (node.kind == JsonNode::Kind::kNull) return false;
  std::array<char, 64> digits;
  std::string_view text = node.text;
  if (is_container(node)) {
    if (rule.scalars) return false;
    text = {};
  } else if (rule.containers) {
    return false;
  } else if (node.kind == JsonNode::Kind::kBool) {
    if (rule.priority == RulePriority::kSecret) return false;  // no secret is that short: "has_password": true
    text = node.integer != 0 ? "true" : "false";
  } else if (node.kind != JsonNode::Kind::kString) {
    text = number_text(node, digits);
  } else if (text.empty() || marker_size(text, 0) == text.size()) {
    append_json_string(out, text);
    return true;
  }
  if (rule.validator && !is_container(node) && !rule.validator(text, 0, text.size())) return false;
  append_json_string(out, masker.marker(rule.kind, text, rule.number));
  return true;
}

void ContextWriter::append_value(std::string& out, std::span<const JsonNode> nodes, std::size_t at, Masker& masker) {
  end_of(nodes, at, nodes.size());
  append_tree(out, nodes, at, {nodes[at].key, nullptr, false, 0}, masker);
}

std::size_t ContextWriter::append_member(std::string& out, bool& first, std::span<const JsonNode> nodes, std::size_t at,
                                         const Allowlist::Step& from, Masker& masker) {
  end_of(nodes, at, nodes.size());
  masker.set_place(nodes[at].key);
  return append_listed(out, first, nodes, at, from, {}, 0, masker);
}

std::size_t ContextWriter::append_listed(std::string& out, bool& first, std::span<const JsonNode> nodes, std::size_t at,
                                         const Allowlist::Step& from, const Naming& naming, int depth, Masker& masker) {
  const JsonNode& node = nodes[at];
  const Allowlist::Step* step = Allowlist::step(from, node.key);
  if (!step || (!step->whole && (!is_container(node) || depth >= kDepthMax))) return 1;
  if (!keeps_text_ && has_space(node.key)) return 1;
  const std::size_t undo = out.size();
  const bool was_first = first;
  append_comma(out, first);
  const std::string_view key = append_key(out, node.key, masker);
  const KeyRule* rule = naming.holds(key) ? naming.rule : rule_of(key, nodes);
  if (step->whole) {
    append_tree(out, nodes, at, {key, rule, true, depth}, masker);
    return 0;
  }
  // "secrets": only below it is something listed; it goes all the same.
  if (rule && wipe(out, nodes, at, *rule, masker)) return 0;
  // Something below may be listed. Elements of an array stand where the array stands.
  std::size_t dropped = 0;
  bool any = false;
  const auto append_members = [&](std::size_t object, bool& first_member) {
    out += '{';
    const Naming beside = naming_member(nodes, object);
    for (std::size_t i = object + 1; i < nodes[object].end; i = nodes[i].end) {
      end_of(nodes, i, nodes[object].end);
      dropped += append_listed(out, first_member, nodes, i, *step, beside, depth + 1, masker);
    }
    out += '}';
    any = any || !first_member;
  };
  if (node.kind == JsonNode::Kind::kObject) {
    bool first_member = true;
    append_members(at, first_member);
  } else {
    out += '[';
    bool first_element = true;
    for (std::size_t i = at + 1; i < node.end; i = end_of(nodes, i, node.end)) {
      end_of(nodes, i, node.end);
      if (nodes[i].kind != JsonNode::Kind::kObject) {
        ++dropped;
        continue;
      }
      append_comma(out, first_element);
      bool first_member = true;
      append_members(i, first_member);
    }
    out += ']';
  }
  if (!any) {
    out.resize(undo);
    first = was_first;
  }
  return dropped;
}

void ContextWriter::append_tree(std::string& out, std::span<const JsonNode> nodes, std::size_t at, const Place& place,
                                Masker& masker) {
  const JsonNode& node = nodes[at];
  if (place.rule && wipe(out, nodes, at, *place.rule, masker)) return;
  switch (node.kind) {
    case JsonNode::Kind::kObject: {
      if (place.depth >= kDepthMax) {
        append_json_string(out, masker.marker(depth_kind_));
        return;
      }
      const Naming beside = place.by_key_rules ? naming_member(nodes, at) : Naming{};
      out += '{';
      bool first = true;
      for (std::size_t i = at + 1; i < node.end; i = nodes[i].end) {
        end_of(nodes, i, node.end);
        if (!keeps_text_ && has_space(nodes[i].key)) continue;
        append_comma(out, first);
        const std::string_view key = append_key(out, nodes[i].key, masker);
        const KeyRule* rule = nullptr;
        if (place.by_key_rules) rule = beside.holds(key) ? beside.rule : member_rule(place.key, key, nodes);
        append_tree(out, nodes, i, {key, rule, place.by_key_rules, place.depth + 1}, masker);
      }
      out += '}';
      return;
    }
    case JsonNode::Kind::kArray:
      append_array(out, nodes, at, place, masker);
      return;
    case JsonNode::Kind::kString:
      if (keeps_text_) {
        append_json_string(out, masker.mask(node.text, place.by_key_rules ? place.key : std::string_view{}));
      } else {
        out += "null";
      }
      return;
    case JsonNode::Kind::kBool:
      out += node.integer != 0 ? "true" : "false";
      return;
    case JsonNode::Kind::kNull:
      out += "null";
      return;
    default:
      append_number(out, node, place.key, masker);
  }
}

// A word of a command line, read behind those before it: `command`, as they were written out.
void ContextWriter::append_word(std::string& out, std::string& command, std::string_view word, std::string_view key,
                                Masker& masker) {
  constexpr std::size_t kCommandBytesMax = 256;
  std::string_view masked = masker.mask(word, key);
  std::string& line = masker.fresh_text();
  line.append(command).append(masked);
  const std::string_view masked_line = masker.mask(line, key);
  if (masked_line.starts_with(command)) masked = masked_line.substr(command.size());
  append_json_string(out, masked);
  if (command.size() + masked.size() < kCommandBytesMax) command.append(masked) += ' ';
}

// An element that names what the next one holds: ["Authorization", "Bearer x"], ["--password", "x"], flat header lists.
void ContextWriter::append_array(std::string& out, std::span<const JsonNode> nodes, std::size_t at, const Place& place,
                                 Masker& masker) {
  const JsonNode& node = nodes[at];
  if (place.depth >= kDepthMax) {
    append_json_string(out, masker.marker(depth_kind_));
    return;
  }
  const bool is_pair = at + 3 == node.end;
  bool has_options = false;  // of a command line: ["mysql", "-px1"]
  for (std::size_t i = at + 1; i < node.end && place.by_key_rules && keeps_text_; i = end_of(nodes, i, node.end)) {
    has_options = has_options || (nodes[i].kind == JsonNode::Kind::kString && nodes[i].text.starts_with('-'));
  }
  std::string command;
  const KeyRule* before = nullptr;
  out += '[';
  bool first = true;
  for (std::size_t i = at + 1; i < node.end; i = nodes[i].end) {
    end_of(nodes, i, node.end);
    append_comma(out, first);
    const bool is_option = nodes[i].kind == JsonNode::Kind::kString && nodes[i].text.starts_with('-');
    const KeyRule* rule = is_option ? nullptr : before;
    if (has_options && !rule && nodes[i].kind == JsonNode::Kind::kString) {
      append_word(out, command, nodes[i].text, place.key, masker);
    } else {
      append_tree(out, nodes, i, {place.key, rule, place.by_key_rules, place.depth + 1}, masker);
    }
    before = nullptr;
    if (!place.by_key_rules || rule || nodes[i].kind != JsonNode::Kind::kString) continue;
    const bool names = is_option || is_header_name(nodes[i].text) || (is_pair && i == at + 1);
    const bool is_name = nodes[i].text.find_first_of(" =:") == std::string_view::npos;
    if (names && is_name) before = rule_of(nodes[i].text, nodes);
  }
  out += ']';
}

}  // namespace runtail
