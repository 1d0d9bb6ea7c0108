// runtail's own log, to stderr. info: an operator's action worked; warn: odd, nothing lost; error: data lost or a
// person is needed. Never the content of a tailed line; what a library or a server put into a message goes through the
// redactor.
#pragma once

#include <string>
#include <string_view>

#include "config/config.h"
#include "redaction/redactor.h"

namespace runtail {

void init_log(const LogConfig& config);
// Threads: any.
void set_log_level(const std::string& level);
// From here on every message is redacted first.
void guard_log(Redactor redactor);
// `message` as the log would show it: for whatever else shows what a library or a server said (health, status).
std::string guarded(std::string_view message);
// Control characters are escaped: a file name cannot forge a log line. Threads: any.
void log_info(std::string_view message);
void log_warn(std::string_view message);
void log_error(std::string_view message);

}  // namespace runtail
