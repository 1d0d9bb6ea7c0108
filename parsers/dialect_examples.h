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

// One message per example that does not give what it says, or that another dialect claims:
// "dbt.yaml:12:5: examples[0]: ...".
std::vector<std::string> failed_examples(Parser& parser, const DialectSpec& dialect);

// `own`: those of a user's; `all`: with the others, which they may take lines away from. One message for each dialect
// whose examples one of `own` claims: these lines are read otherwise now.
std::vector<std::string> taken_examples(const std::vector<DialectSpec>& all, const std::vector<DialectSpec>& own);

}  // namespace runtail
