#include "parsers/envelope.h"

#include <simdjson.h>

#include <charconv>
#include <cstring>
#include <string>

#include "parsers/repair.h"

namespace runtail {
namespace {

namespace dom = simdjson::dom;
using Envelope = FramingSettings::Envelope;

// Scratch memory grown by a longer line is given back: thousands of files may each have a peeler.
constexpr std::size_t kScratchKept = 16 << 10;

Output output_of(std::string_view word) {
  if (word == "stdout") return Output::kStdout;
  if (word == "stderr") return Output::kStderr;
  return Output::kUnknown;
}

template <typename T>
std::optional<T> number_of(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// True if `"log"` stands anywhere in `line`. 16 bytes at a time: every native JSON line passes here, and memmem() costs
// several times as much with a needle this short.
bool has_log_member(std::string_view line) {
  using Bytes = unsigned char __attribute__((vector_size(16)));
  const auto load = [&](std::size_t at) {
    Bytes bytes;
    std::memcpy(&bytes, line.data() + at, sizeof bytes);
    return bytes;
  };
  const auto all = [](unsigned char byte) { return Bytes{} + byte; };
  using Mask = decltype(load(0) == load(0));
  Mask found{};
  std::size_t at = 0;
  for (; at + sizeof(Bytes) + 4 <= line.size(); at += sizeof(Bytes)) {
    found |= (load(at) == all('"')) & (load(at + 2) == all('o')) & (load(at + 4) == all('"'));
  }
  std::uint64_t halves[2];
  std::memcpy(halves, &found, sizeof halves);
  if (halves[0] | halves[1]) return line.find("\"log\"") != std::string_view::npos;
  return line.substr(at).find("\"log\"") != std::string_view::npos;
}

// The first name of a JSON object is that of a journal field: all of them are upper case or begin with '_'.
bool begins_with_journal_field(std::string_view line) {
  const std::size_t quote = line.find_first_not_of(" \t", 1);
  if (quote == std::string_view::npos || quote + 1 >= line.size() || line[quote] != '"') return false;
  const char first = line[quote + 1];
  return first == '_' || (first >= 'A' && first <= 'Z');
}

std::optional<EnvelopeLayer> peel_cri(std::string_view line) {
  constexpr std::size_t kTimeMax = 40;  // "2026-03-01T00:00:02.000000000+01:00" is 35 bytes
  if (line.empty() || line[0] < '1' || line[0] > '2') return std::nullopt;
  const std::size_t space = line.substr(0, kTimeMax).find(' ');
  if (space == std::string_view::npos || line.size() < space + 9 || line[space + 7] != ' ') return std::nullopt;
  EnvelopeLayer layer;
  layer.kind = Envelope::kCri;
  layer.output = output_of(line.substr(space + 1, 6));
  if (layer.output == Output::kUnknown) return std::nullopt;
  const std::string_view rest = line.substr(space + 8);
  const std::size_t tag_end = rest.find(' ');
  const std::string_view tag = rest.substr(0, tag_end);
  if ((tag[0] != 'P' && tag[0] != 'F') || (tag.size() > 1 && tag[1] != ':')) return std::nullopt;
  if (space <= 10 || line[10] != 'T') return std::nullopt;
  layer.time = parse_rfc3339(line.substr(0, space));
  if (!layer.time) return std::nullopt;
  layer.more = tag[0] == 'P';
  layer.more_is_said = true;
  layer.in_line = true;
  layer.text = tag_end == std::string_view::npos ? std::string_view{} : rest.substr(tag_end + 1);
  return layer;
}

// What the members of one JSON object say about its being an envelope.
struct Members {
  std::optional<std::string_view> log, message, stream, source, time, realtime, container_id, container_name, unit;
  bool has_cursor = false, has_message = false, is_fluent = false, has_other = false;
  std::optional<TimePoint> date;
  bool partial = false;
  std::optional<bool> last, tag_more;
  std::uint32_t ordinal = 0;
  std::string_view piece_id, priority;
};

}  // namespace

struct EnvelopePeeler::Json {
  bool read(std::string_view line, Members& members);
  bool read_message(const dom::element& value, Members& members);
  void read_text(std::string_view name, std::string_view text, Members& members);

  dom::parser parser;
  std::string padded, bytes;
};

EnvelopePeeler::EnvelopePeeler() = default;
EnvelopePeeler::EnvelopePeeler(EnvelopePeeler&&) noexcept = default;
EnvelopePeeler& EnvelopePeeler::operator=(EnvelopePeeler&&) noexcept = default;
EnvelopePeeler::~EnvelopePeeler() = default;

// MESSAGE is a string, an array of byte values if it is not UTF-8, or null if it was too large to print.
bool EnvelopePeeler::Json::read_message(const dom::element& value, Members& members) {
  members.has_message = true;
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS || value.is_null()) {
    members.message = text;
    return true;
  }
  dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return false;
  bytes.clear();
  for (const dom::element element : array) {
    std::uint64_t byte = 0;
    if (element.get(byte) != simdjson::SUCCESS || byte > 255) return false;
    bytes += static_cast<char>(byte);
  }
  members.message = bytes;
  return true;
}

void EnvelopePeeler::Json::read_text(std::string_view name, std::string_view text, Members& members) {
  if (name == "@timestamp") {
    if (!members.time) members.time = text;
  } else if (name == "source") {
    members.source = text;
  } else if (name == "container_id" || name == "CONTAINER_ID") {
    members.container_id = text;
  } else if (name == "container_name" || name == "CONTAINER_NAME") {
    members.container_name = text;
  } else if (name == "partial_message" || name == "CONTAINER_PARTIAL_MESSAGE") {
    members.partial = text == "true";
  } else if (name == "partial_id" || name == "CONTAINER_PARTIAL_ID") {
    members.piece_id = text;
  } else if (name == "partial_ordinal" || name == "CONTAINER_PARTIAL_ORDINAL") {
    members.ordinal = number_of<std::uint32_t>(text).value_or(0);
  } else if (name == "partial_last" || name == "CONTAINER_PARTIAL_LAST") {
    members.last = text == "true";
  } else if (name == "logtag" || name == "_p") {  // the P or F of a CRI line that fluent-bit took apart
    members.tag_more = text.starts_with('P');
  } else if (name == "__REALTIME_TIMESTAMP") {
    members.realtime = text;
  } else if (name == "__CURSOR") {
    members.has_cursor = true;
  } else if (name == "_SYSTEMD_UNIT") {
    members.unit = text;
  } else if (name == "PRIORITY") {
    members.priority = text;
  }
}

bool EnvelopePeeler::Json::read(std::string_view line, Members& members) {
  padded.assign(line);
  padded.append(simdjson::SIMDJSON_PADDING, ' ');
  dom::object object;
  if (parser.parse(padded.data(), line.size(), false).get(object) != simdjson::SUCCESS) return false;
  for (const auto [name, value] : object) {
    std::string_view text;
    const bool is_text = value.get(text) == simdjson::SUCCESS;
    if (is_text && name == "log") {
      members.log = text;
    } else if (is_text && name == "stream") {
      members.stream = text;
    } else if (is_text && name == "time") {
      members.time = text;
    } else if (name == "MESSAGE") {
      if (!read_message(value, members)) return false;
    } else if (name != "attrs") {
      members.has_other = true;
      members.is_fluent = members.is_fluent || name == "kubernetes" || name.starts_with("ecs_");
      double seconds = 0;  // since 1970, as fluent-bit writes them
      if (is_text) {
        read_text(name, text, members);
      } else if (name == "date" && value.get(seconds) == simdjson::SUCCESS && seconds > 0 && seconds < 9e9) {
        members.date = from_micros(static_cast<std::int64_t>(seconds * 1e6));
      }
    }
  }
  return true;
}

std::optional<EnvelopeLayer> EnvelopePeeler::peel_json(std::string_view line, Envelope expected) {
  const std::size_t first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos || line[first] != '{') return std::nullopt;
  if (!json_) json_ = std::make_unique<Json>();
  Members members;
  if (!json_->read(line, members)) {
    members = {};
    const std::string repaired = repair_json(line);
    if (repaired == line || !json_->read(repaired, members)) return std::nullopt;
  }
  const auto wanted = [expected](Envelope kind) { return expected == Envelope::kAuto || expected == kind; };
  EnvelopeLayer layer;
  const auto take_pieces = [&] {
    layer.ordinal = members.ordinal;
    layer.piece_id = members.piece_id;
    layer.container = members.container_id ? *members.container_id : members.container_name.value_or("");
    layer.more_is_said = members.last.has_value();
    layer.more = members.last ? !*members.last : members.partial;
  };
  if (members.log && wanted(Envelope::kDocker) && !members.has_other && members.stream && members.time &&
      output_of(*members.stream) != Output::kUnknown) {
    layer.kind = Envelope::kDocker;
    layer.text = *members.log;
    layer.output = output_of(*members.stream);
    layer.time = parse_rfc3339(*members.time);
    layer.more = !layer.text.ends_with('\n');
    layer.more_is_said = true;
  } else if (members.realtime && (members.has_cursor || members.has_message) && wanted(Envelope::kJournald)) {
    layer.kind = Envelope::kJournald;
    layer.text = members.message.value_or("");
    if (const auto micros = number_of<std::int64_t>(*members.realtime)) layer.time = from_micros(*micros);
    take_pieces();
    if (!layer.container.empty()) {  // docker's journald driver: stderr is an error, stdout information
      layer.output = members.priority == "3"   ? Output::kStderr
                     : members.priority == "6" ? Output::kStdout
                                               : Output::kUnknown;
    } else {
      layer.container = members.unit.value_or("");
    }
  } else if (members.log && wanted(Envelope::kFluent)) {
    const Output source = output_of(members.source.value_or(""));
    if (expected != Envelope::kFluent && !members.is_fluent && !members.tag_more && !members.container_id &&
        !members.container_name && !members.partial && source == Output::kUnknown) {
      return std::nullopt;
    }
    layer.kind = Envelope::kFluent;
    layer.text = *members.log;
    layer.output = source != Output::kUnknown ? source : output_of(members.stream.value_or(""));
    layer.time = members.time ? parse_rfc3339(*members.time) : members.date;
    take_pieces();
    if (members.tag_more) {
      layer.more = *members.tag_more;
      layer.more_is_said = true;
    }
    if (layer.text.ends_with('\n')) layer.more = false;
  } else {
    return std::nullopt;
  }
  if (layer.text.ends_with('\n')) layer.text.remove_suffix(1);
  return layer;
}

std::optional<EnvelopeLayer> EnvelopePeeler::peel(std::string_view line, Envelope expected) {
  if (json_ && json_->padded.capacity() > kScratchKept) json_.reset();
  switch (expected) {
    case Envelope::kNone:
      return std::nullopt;
    case Envelope::kCri:
      return peel_cri(line);
    case Envelope::kAuto:
      if (!may_be_envelope(line)) return std::nullopt;
      return line[0] == '{' ? peel_json(line, expected) : peel_cri(line);
    default:
      return peel_json(line, expected);
  }
}

bool may_be_envelope(std::string_view line) {
  if (line.empty()) return false;
  if (line[0] == '{') {
    return has_log_member(line) ||
           (begins_with_journal_field(line) && line.find("\"__REALTIME_TIMESTAMP\"") != std::string_view::npos);
  }
  return line[0] == '1' || line[0] == '2';
}

bool is_json_tail(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  if (text.empty() || (text.back() != '}' && text.back() != ']')) return false;
  // Where the beginning was cut off is unknown: outside of a string, inside of one, or behind a backslash in one.
  const auto closes_more = [](std::string_view rest, bool in_string) {
    constexpr std::string_view kOutside = "{}[],:\" \t0123456789+-.eEtrufalsn";  // numbers, true, false, null
    std::int64_t depth = 0, lowest = 0;
    for (std::size_t at = 0; at < rest.size(); ++at) {
      const char c = rest[at];
      if (in_string) {
        if (c == '\\') ++at;
        in_string = c != '"';
        continue;
      }
      if (kOutside.find(c) == std::string_view::npos) return false;
      in_string = c == '"';
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') lowest = std::min(lowest, --depth);
    }
    return !in_string && lowest < 0;
  };
  return closes_more(text, false) || closes_more(text, true) || closes_more(text.substr(1), true);
}

}  // namespace runtail
