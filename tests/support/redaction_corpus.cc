#include "tests/support/redaction_corpus.h"

#include <charconv>
#include <fstream>
#include <stdexcept>

#include "core/json_text.h"

namespace runtail::test {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

std::string json_escaped(std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  return quoted.substr(1, quoted.size() - 2);
}

std::string join_replaced(std::string_view text, std::string (*replace)(unsigned char)) {
  std::string out;
  for (const char c : text) out += replace(static_cast<unsigned char>(c));
  return out;
}

bool is_plain(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
}

std::string hex_of(unsigned char c) { return {kHexDigits[c >> 4], kHexDigits[c & 15]}; }

std::string url_encoded(std::string_view text) {
  return join_replaced(text, [](unsigned char c) {
    return is_plain(c) ? std::string(1, static_cast<char>(c))
                       : '%' + std::string{"0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
  });
}

std::string base64_of(std::string_view text, const char* last_two, bool pad) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + std::string(last_two);
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      word = word << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      if (i + j <= text.size()) {
        out += alphabet[word >> (18 - 6 * j) & 63];
      } else if (pad) {
        out += '=';
      }
    }
  }
  return out;
}

// Letters that look the same and are none of ASCII's.
std::string cyrillic(std::string_view text) {
  return join_replaced(text, [](unsigned char c) -> std::string {
    switch (c) {
      case 'a':
        return "\u0430";
      case 'e':
        return "\u0435";
      case 'o':
        return "\u043E";
      case 'p':
        return "\u0440";
      case 'c':
        return "\u0441";
      default:
        return std::string(1, static_cast<char>(c));
    }
  });
}

std::string fullwidth(std::string_view text) {
  return join_replaced(text, [](unsigned char c) -> std::string {
    if (c < 0x21 || c > 0x7E) return std::string(1, static_cast<char>(c));
    const unsigned point = 0xFF01u + c - 0x21u;
    return {static_cast<char>(0xE0 | point >> 12), static_cast<char>(0x80 | (point >> 6 & 63)),
            static_cast<char>(0x80 | (point & 63))};
  });
}

enum class Place { kDrawn, kJson, kText, kError, kMsg, kMember, kStream };

Place take_place(std::string_view& text) {
  static constexpr std::pair<std::string_view, Place> kPlaces[] = {
      {"json:", Place::kJson}, {"text:", Place::kText},     {"error:", Place::kError},
      {"msg:", Place::kMsg},   {"member:", Place::kMember}, {"stream:", Place::kStream}};
  for (const auto& [name, place] : kPlaces) {
    if (!text.starts_with(name)) continue;
    text.remove_prefix(name.size());
    while (text.starts_with(' ')) text.remove_prefix(1);
    return place;
  }
  return Place::kDrawn;
}

class Filler {
 public:
  Filler(Place place, RedactionValues& values, LabelledLine& line) : place_(place), values_(values), line_(line) {}

  std::string fill(std::string_view text) {
    std::string out;
    while (!text.empty()) {
      if (text.starts_with("${")) {
        const std::size_t end = text.find('}');
        if (end == std::string_view::npos) throw std::runtime_error(line_.source + ": \"${\" without its \"}\"");
        fill_one(text.substr(2, end - 2), out);
        text.remove_prefix(end + 1);
      } else if (place_ != Place::kJson && text.size() > 1 && text[0] == '\\') {
        out += text[1] == 'n' ? '\n' : text[1] == 'r' ? '\r' : text[1] == 't' ? '\t' : text[1];
        text.remove_prefix(2);
      } else {
        out += text[0];
        text.remove_prefix(1);
      }
    }
    return out;
  }

 private:
  void fill_one(std::string_view what, std::string& out) {
    if (what.starts_with("pad ")) return pad(what.substr(4), out);
    if (what.starts_with('=')) {
      line_.keeps.emplace_back(what.substr(1));
      out += what.substr(1);
      return;
    }
    const char role = what[0];
    if (role == '!' || role == '+') what.remove_prefix(1);
    std::size_t bar = what.find('|');
    const std::string raw = values_.make(what.substr(0, bar));
    std::string value = raw;
    while (bar != std::string_view::npos) {
      what.remove_prefix(bar + 1);
      bar = what.find('|');
      value = wrap(value, what.substr(0, bar), values_);
    }
    if (role == '!') {
      line_.secrets.push_back(raw);
      if (value != raw) line_.secrets.push_back(value);
    }
    if (role == '+') line_.keeps.push_back(value);
    out += place_ == Place::kJson ? json_escaped(value) : value;
  }

  void pad(std::string_view range, std::string& out) {
    std::size_t low = 0, high = 0;
    const std::size_t space = range.find(' ');
    std::from_chars(range.data(), range.data() + space, low);
    std::from_chars(range.data() + space + 1, range.data() + range.size(), high);
    const std::size_t size = values_.between(low, high);
    while (out.size() < size) out += values_.word("word") + ' ';
    out.resize(size - 1);
    out += ' ';
  }

  const Place place_;
  RedactionValues& values_;
  LabelledLine& line_;
};

void put_message(Place place, const std::string& message, RedactionValues& values, LabelledLine& line) {
  const std::string job = values.word("job");
  const auto json = [&](std::string_view level, const std::string& members) {
    std::string text = "{\"ts\":\"" + values.make("ts") + "\",\"level\":\"" + std::string(level) + "\",\"job_id\":\"" +
                       job + "\",\"run_id\":\"" + values.make("uuid") + "\",";
    line.lines.push_back(text + members + '}');
    line.keeps.push_back(job);
  };
  std::string quoted;
  append_json_string(quoted, message);
  if (place == Place::kDrawn) {
    static constexpr Place kAny[] = {Place::kMsg, Place::kMsg, Place::kError, Place::kText, Place::kMember};
    place = kAny[values.below(std::size(kAny))];
  }
  switch (place) {
    case Place::kMsg:
      return json("INFO", "\"msg\":" + quoted);
    case Place::kError:
      return json("ERROR",
                  "\"event\":\"task.finished\",\"task\":\"load\",\"msg\":\"task failed\",\"error\":{\"type\":\"" +
                      values.word("error") + "\",\"message\":" + quoted + '}');
    case Place::kMember:
      return json("WARN", "\"msg\":\"seen\",\"extra\":{\"n\":" + values.make("int") + ",\"info\":" + quoted + '}');
    case Place::kStream:
      for (std::size_t at = 0; at <= message.size();) {
        const std::size_t end = std::min(message.find('\n', at), message.size());
        line.lines.push_back(message.substr(at, end - at));
        at = end + 1;
      }
      return;
    default:
      line.lines.push_back(values.make("day") + ' ' + values.make("clock") + ",123 ERROR " + job + ": " + message);
      line.keeps.push_back(job);
  }
}

}  // namespace

std::string wrap(std::string_view text, std::string_view pipe, RedactionValues& values) {
  if (pipe == "url") return url_encoded(text);
  if (pipe == "url2") return url_encoded(url_encoded(text));
  if (pipe == "html") {
    return join_replaced(text, [](unsigned char c) {
      return c == '"'                  ? std::string("&quot;")
             : is_plain(c) && c != '.' ? std::string(1, static_cast<char>(c))
                                       : "&#" + std::to_string(c) + ';';
    });
  }
  if (pipe == "html_hex") {
    return join_replaced(text, [](unsigned char c) {
      return is_plain(c) ? std::string(1, static_cast<char>(c)) : "&#x" + hex_of(c) + ';';
    });
  }
  if (pipe == "u") return join_replaced(text, [](unsigned char c) { return "\\u00" + hex_of(c); });
  if (pipe == "u_signs") {
    return join_replaced(text, [](unsigned char c) {
      return is_plain(c) && c != '.' && c != '-' ? std::string(1, static_cast<char>(c)) : "\\u00" + hex_of(c);
    });
  }
  if (pipe == "x") {
    return join_replaced(text, [](unsigned char c) {
      return is_plain(c) && c != '.' && c != '-' ? std::string(1, static_cast<char>(c)) : "\\x" + hex_of(c);
    });
  }
  if (pipe == "json") return json_escaped(text);
  if (pipe == "json2") return json_escaped(json_escaped(text));
  if (pipe == "b64") return base64_of(text, "+/", true);
  if (pipe == "b64url") return base64_of(text, "-_", false);
  if (pipe == "hex") return join_replaced(text, hex_of);
  if (pipe == "sql") {
    return join_replaced(text, [](unsigned char c) { return std::string(c == '\'' ? 2 : 1, static_cast<char>(c)); });
  }
  if (pipe == "upper") {
    return join_replaced(
        text, [](unsigned char c) { return std::string(1, static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c)); });
  }
  if (pipe == "lower") {
    return join_replaced(
        text, [](unsigned char c) { return std::string(1, static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c)); });
  }
  if (pipe == "cut") {
    const std::size_t size = text.size() / 2 + values.below(text.size() / 3 + 1);
    return std::string(text.substr(0, size));
  }
  if (pipe == "dots") {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i)
      out += (i > 0 && i % 4 == 0 ? "." : "") + std::string(text.substr(i, 1));
    return out;
  }
  if (pipe == "form") {
    std::string out = url_encoded(text);
    for (std::size_t at; (at = out.find("%20")) != std::string::npos;) out.replace(at, 3, "+");
    return out;
  }
  if (pipe == "csv") {
    return join_replaced(text, [](unsigned char c) { return std::string(c == '"' ? 2 : 1, static_cast<char>(c)); });
  }
  if (pipe == "colours") {
    return join_replaced(text, [](unsigned char c) {
      const bool is_sign = c == '=' || c == ':' || c == ' ';
      return std::string(1, static_cast<char>(c)) + (is_sign ? "\x1b[35m" : "");
    });
  }
  if (pipe == "cyrillic") return cyrillic(text);
  if (pipe == "fullwidth") return fullwidth(text);
  if (pipe == "zero_width") {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) out += std::string(text.substr(i, 1)) + (i % 4 == 2 ? "\u200B" : "");
    return out;
  }
  throw std::out_of_range("no wrapping is called " + std::string(pipe));
}

std::vector<CorpusCategory> read_corpus(std::string_view file_name) {
  const std::string path = RUNTAIL_SOURCE_DIR "/tests/testdata/redaction/" + std::string(file_name);
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<CorpusCategory> categories;
  int number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    if (text.empty() || text.starts_with("# ")) continue;
    const std::string source = std::string(file_name) + ':' + std::to_string(number);
    if (text[0] == '[' && text.find("] ") != std::string::npos && text.find('$') == std::string::npos) {
      CorpusCategory& category = categories.emplace_back();
      const std::size_t end = text.find(']');
      category.name = text.substr(1, end - 1);
      category.goal = std::strtod(text.c_str() + end + 1, nullptr);
    } else if (categories.empty()) {
      throw std::runtime_error(source + ": a template before the first [category]");
    } else {
      categories.back().templates.push_back({text, source});
    }
  }
  return categories;
}

std::vector<CorpusCategory> positive_categories() {
  std::vector<CorpusCategory> all;
  for (const char* file : {"secrets.txt", "pii.txt", "messages.txt"}) {
    for (CorpusCategory& category : read_corpus(file)) all.push_back(std::move(category));
  }
  return all;
}

std::vector<CorpusCategory> negative_categories() { return read_corpus("negatives.txt"); }

std::vector<LabelledLine> lines_of(const CorpusCategory& category, std::size_t count, RedactionValues& values) {
  std::vector<LabelledLine> out;
  for (std::size_t i = 0; i < count; ++i) {
    const CorpusCategory::Template& each = category.templates.at(i % category.templates.size());
    LabelledLine& line = out.emplace_back();
    line.category = category.name;
    line.source = each.source;
    std::string_view text = each.text;
    const Place place = take_place(text);
    std::string filled = Filler(place, values, line).fill(text);
    if (place == Place::kJson) {
      line.lines.push_back(std::move(filled));
    } else {
      put_message(place, filled, values, line);
    }
  }
  return out;
}

}  // namespace runtail::test
