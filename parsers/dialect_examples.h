// The examples in dialect files, run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/dialect.h"
#include "core/event.h"
#include "parsers/parser.h"

namespace runtail {

// The value of a field, or of dialect, event, level, ts or drop, as examples write it; "" if there is none.
std::string example_value(const LogEvent& event, std::string_view name);

// One message per example that does not give what it says, or that another dialect claims: "dbt.yaml:12: ...".
std::vector<std::string> failed_examples(Parser& parser, const DialectSpec& dialect);

}  // namespace runtail
