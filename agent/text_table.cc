#include "agent/text_table.h"

#include <algorithm>

#include "core/json_text.h"

namespace runtail {
namespace {

// What a terminal may get: control characters as \u00XX.
std::string printable(std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; })
             ? quoted.substr(1, quoted.size() - 2)
             : std::string(text);
}

// Columns a terminal gives it: one for each UTF-8 sequence.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string as_table(const TextTable& table) {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    std::size_t widest = table.columns[i].name.size();
    for (const auto& row : table.rows) widest = std::max(widest, width(printable(row[i])));
    widths.push_back(widest);
  }
  std::string out;
  const auto line = [&](const auto& cell_of) {
    std::string text;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      if (!table.columns[i].in_table) continue;
      const std::string cell = cell_of(i);
      const std::string pad(widths[i] - width(cell), ' ');
      text += table.columns[i].is_number ? pad + cell : cell + pad;
      text += "  ";
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  };
  line([&](std::size_t i) {
    std::string name = table.columns[i].name;
    for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
  });
  for (const auto& row : table.rows)
    line([&](std::size_t i) { return row[i].empty() ? std::string("-") : printable(row[i]); });
  return out;
}

std::string as_csv(const TextTable& table) {
  std::string out;
  const auto cell = [&out](std::string_view text, bool first) {
    if (!first) out += ',';
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
      out += text;
      return;
    }
    out += '"';
    for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    out += '"';
  };
  for (std::size_t i = 0; i < table.columns.size(); ++i) cell(table.columns[i].name, i == 0);
  out += "\r\n";  // RFC 4180
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) cell(row[i], i == 0);
    out += "\r\n";
  }
  return out;
}

std::string as_json(const TextTable& table) {
  std::string out = "[";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    out += r == 0 ? "\n {" : ",\n {";
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      if (i > 0) out += ',';
      append_json_string(out, table.columns[i].name);
      out += ':';
      const std::string& value = table.rows[r][i];
      if (value.empty()) {
        out += "null";
      } else if (table.columns[i].is_number) {
        out += value;
      } else {
        append_json_string(out, value);
      }
    }
    out += '}';
  }
  return out + (table.rows.empty() ? "]\n" : "\n]\n");
}

}  // namespace

Result<OutputFormat> parse_output(std::string_view text) {
  if (text == "table") return OutputFormat::kTable;
  if (text == "csv") return OutputFormat::kCsv;
  if (text == "json") return OutputFormat::kJson;
  return Error{ErrorCode::kInvalidInput, "output \"" + std::string(text) + "\": choose table, csv or json"};
}

std::string render(const TextTable& table, OutputFormat output) {
  switch (output) {
    case OutputFormat::kTable:
      return as_table(table);
    case OutputFormat::kCsv:
      return as_csv(table);
    case OutputFormat::kJson:
      break;
  }
  return as_json(table);
}

}  // namespace runtail
