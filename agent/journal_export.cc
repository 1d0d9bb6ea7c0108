#include "agent/journal_export.h"

#include <algorithm>
#include <utility>

#include "core/json_text.h"

namespace runtail {
namespace {

constexpr std::string_view kMessage = "MESSAGE";

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// As much of a text as is written in so many bytes of JSON: what is beyond makes the line no longer than too long.
std::string_view within(std::string_view text, std::size_t json_bytes) {
  constexpr std::size_t kLongest = 6;  // \u0001
  if (text.size() <= json_bytes / kLongest) return text;
  std::size_t size = 0, end = 0;
  for (; end < text.size() && size < json_bytes; ++end) {
    const auto c = static_cast<unsigned char>(text[end]);
    size += c < 0x20 ? kLongest : c == '"' || c == '\\' ? 2 : 1;
  }
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

const char* JournalExport::add(std::string_view bytes, std::string& lines) {
  while (!bytes.empty() && fault_ == nullptr) {
    std::size_t taken = 0;
    if (state_ == State::kText) {
      const std::size_t newline = bytes.find('\n');
      keep(bytes.substr(0, newline));
      taken = newline == std::string_view::npos ? bytes.size() : newline + 1;
      if (newline != std::string_view::npos) end_of_line(lines);
    } else if (state_ == State::kSize) {
      taken = std::min(sizeof left_ - text_.size(), bytes.size());
      text_ += bytes.substr(0, taken);
      if (text_.size() == sizeof left_) {
        left_ = 0;
        for (std::size_t i = sizeof left_; i-- > 0;) left_ = left_ << 8 | static_cast<unsigned char>(text_[i]);
        if (left_ > kBytesMax) fault_ = "a field is longer than a journal allows";
        text_.clear();
        state_ = left_ > 0 ? State::kBytes : State::kNewline;
      }
    } else if (state_ == State::kBytes) {
      taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      keep(bytes.substr(0, taken));
      left_ -= taken;
      if (left_ == 0) state_ = State::kNewline;
    } else {
      taken = 1;
      if (bytes[0] != '\n') fault_ = "no newline behind a field";
      put(name_, text_);
      name_.clear();
      text_.clear();
      state_ = State::kText;
    }
    bytes.remove_prefix(taken);
  }
  return fault_;
}

// A message may be long; of the others nobody wants more than the journal's own tool prints.
void JournalExport::keep(std::string_view bytes) {
  const bool is_binary = state_ == State::kBytes && name_ != kMessage;
  const std::size_t most = is_binary ? kFieldBytesMax + 1 : kMessageBytesMax + kMessage.size() + 1;
  text_ += bytes.substr(0, most - std::min(most, text_.size()));
}

void JournalExport::end_of_line(std::string& lines) {
  const std::string text = std::exchange(text_, {});
  if (text.empty()) {
    if (!entry_.empty()) lines.append(entry_).append("}\n");
    entry_.clear();
    names_.clear();
    return;
  }
  const std::size_t equals = text.find('=');
  const std::string_view name = std::string_view(text).substr(0, equals);
  if (!is_name(name) || name.size() > kNameBytesMax) {
    fault_ = "a line is no field of a journal";
  } else if (equals == std::string::npos) {
    name_ = name;
    state_ = State::kSize;
  } else {
    put(name, std::string_view(text).substr(equals + 1));
  }
}

void JournalExport::put(std::string_view name, std::string_view value) {
  const bool is_text = is_utf8(value);
  if (name != kMessage && (value.size() > kFieldBytesMax || !is_text)) return;
  if (std::find(names_.begin(), names_.end(), name) != names_.end()) return;
  if (names_.size() == kFieldsMax) {
    fault_ = "an entry has more than 1024 fields";
    return;
  }
  names_.emplace_back(name);
  entry_ += entry_.empty() ? '{' : ',';
  append_json_string(entry_, name);
  entry_ += ':';
  if (is_text) return append_json_string(entry_, within(value, kMessageBytesMax));
  entry_ += '[';
  for (const char c : value.substr(0, kMessageBytesMax / 2)) {
    entry_ += std::to_string(static_cast<unsigned char>(c)) + ',';
  }
  entry_.back() = ']';
}

}  // namespace runtail
