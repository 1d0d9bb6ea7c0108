#include "redaction/context.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

#include "core/json_text.h"

namespace runtail {
namespace {

// What lies deeper goes whole: nobody reads it, and the walk stays off the end of the stack.
constexpr int kDepthMax = 64;
constexpr std::size_t kKnownKeysMax = 4096;
// A number of fewer digits identifies nobody; from here on it may be an SSN, a phone or a card.
constexpr std::ptrdiff_t kScannedDigitsMin = 9;

// Index after nodes[at] and all below it.
std::size_t end_of(std::span<const JsonNode> nodes, std::size_t at, std::size_t parent_end) {
  const std::size_t end = nodes[at].end;
  if (end <= at || end > parent_end) throw std::logic_error("a member reaches out of its parent");
  return end;
}

bool is_container(const JsonNode& node) {
  return node.kind == JsonNode::Kind::kObject || node.kind == JsonNode::Kind::kArray;
}

void append_comma(std::string& out, bool& first) {
  if (!first) out += ',';
  first = false;
}

void append_key(std::string& out, std::string_view key, Masker& masker) {
  append_json_string(out, masker.mask(key));
  out += ':';
}

void append_number(std::string& out, const JsonNode& node, std::string_view key, Masker& masker) {
  char digits[64];
  std::to_chars_result end{};
  if (node.kind == JsonNode::Kind::kInt) {
    end = std::to_chars(digits, digits + sizeof digits, node.integer);
  } else if (node.kind == JsonNode::Kind::kUint) {
    end = std::to_chars(digits, digits + sizeof digits, node.uinteger);
  } else {
    if (!std::isfinite(node.real)) {
      out += "null";
      return;
    }
    end = std::to_chars(digits, digits + sizeof digits, node.real);
  }
  const std::string_view text(digits, static_cast<std::size_t>(end.ptr - digits));
  if (std::count_if(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) >= kScannedDigitsMin) {
    const std::string_view masked = masker.mask(text, key);
    if (masked.data() != text.data()) {
      append_json_string(out, masked);
      return;
    }
  }
  out += text;
}

}  // namespace

std::optional<std::uint8_t> ContextWriter::rule_for(std::string_view key) {
  const auto known = known_keys_.find(key);
  if (known != known_keys_.end()) return known->second;
  if (known_keys_.size() >= kKnownKeysMax) known_keys_.clear();
  return known_keys_.emplace(key, rules_->find(key)).first->second;
}

void ContextWriter::append_value(std::string& out, std::span<const JsonNode> nodes, std::size_t at, Masker& masker) {
  end_of(nodes, at, nodes.size());
  append_tree(out, nodes, at, nodes[at].key, false, 0, masker);
}

std::size_t ContextWriter::append_member(std::string& out, bool& first, std::span<const JsonNode> nodes, std::size_t at,
                                         const Allowlist::Step& from, Masker& masker) {
  end_of(nodes, at, nodes.size());
  return append_listed(out, first, nodes, at, from, 0, masker);
}

std::size_t ContextWriter::append_listed(std::string& out, bool& first, std::span<const JsonNode> nodes, std::size_t at,
                                         const Allowlist::Step& from, int depth, Masker& masker) {
  const JsonNode& node = nodes[at];
  const Allowlist::Step* step = Allowlist::step(from, node.key);
  if (!step || (!step->whole && (!is_container(node) || depth >= kDepthMax))) return 1;
  const std::size_t undo = out.size();
  const bool was_first = first;
  append_comma(out, first);
  append_key(out, node.key, masker);
  if (step->whole) {
    append_tree(out, nodes, at, node.key, true, depth, masker);
    return 0;
  }
  if (const auto kind = rule_for(node.key)) {  // "secrets": only below it is something listed; it goes all the same
    append_json_string(out, masker.marker(*kind));
    return 0;
  }
  // Something below may be listed. Elements of an array stand where the array stands.
  std::size_t dropped = 0;
  bool any = false;
  const auto append_members = [&](std::size_t object, bool& first_member) {
    out += '{';
    for (std::size_t i = object + 1; i < nodes[object].end; i = end_of(nodes, i, nodes[object].end)) {
      end_of(nodes, i, nodes[object].end);
      dropped += append_listed(out, first_member, nodes, i, *step, depth + 1, masker);
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

void ContextWriter::append_tree(std::string& out, std::span<const JsonNode> nodes, std::size_t at, std::string_view key,
                                bool by_key_rules, int depth, Masker& masker) {
  const JsonNode& node = nodes[at];
  if (by_key_rules && node.kind != JsonNode::Kind::kNull && !node.key.empty()) {
    if (const auto kind = rule_for(node.key)) {
      const bool marked =
          node.kind == JsonNode::Kind::kString && !node.text.empty() && marker_size(node.text, 0) == node.text.size();
      append_json_string(out, marked ? node.text : masker.marker(*kind));
      return;
    }
  }
  switch (node.kind) {
    case JsonNode::Kind::kObject:
    case JsonNode::Kind::kArray: {
      if (depth >= kDepthMax) {
        append_json_string(out, masker.marker(depth_kind_));
        return;
      }
      const bool is_object = node.kind == JsonNode::Kind::kObject;
      out += is_object ? '{' : '[';
      bool first = true;
      for (std::size_t i = at + 1; i < node.end; i = nodes[i].end) {
        end_of(nodes, i, node.end);
        append_comma(out, first);
        if (is_object) append_key(out, nodes[i].key, masker);
        append_tree(out, nodes, i, is_object ? nodes[i].key : key, by_key_rules, depth + 1, masker);
      }
      out += is_object ? '}' : ']';
      return;
    }
    case JsonNode::Kind::kString:
      append_json_string(out, masker.mask(node.text, key));
      return;
    case JsonNode::Kind::kBool:
      out += node.integer != 0 ? "true" : "false";
      return;
    case JsonNode::Kind::kNull:
      out += "null";
      return;
    default:
      append_number(out, node, key, masker);
  }
}

}  // namespace runtail
