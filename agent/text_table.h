// Rows for people, spreadsheets and programs: one table, three outputs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace runtail {

enum class OutputFormat { kTable, kCsv, kJson };
Result<OutputFormat> parse_output(std::string_view text);  // "table", "csv", "json"

struct TextTable {
  struct Column {
    std::string name;        // JSON key and CSV header; the table shows it in capitals
    bool is_number = false;  // right-aligned; unquoted in JSON
    bool in_table = true;    // wide columns only stand in CSV and JSON
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;  // "" is null
};

// Control characters are escaped in every output, so that a job's name cannot move the cursor.
std::string render(const TextTable& table, OutputFormat output);

}  // namespace runtail
