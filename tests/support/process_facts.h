// What the kernel says about a process.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace runtail::test {

// What its descriptors lead to, as /proc shows it: "/var/log/etl.log", "/var/log/etl.log (deleted)", "socket:[4711]".
std::vector<std::string> open_paths(pid_t pid);
// Those that begin with `prefix`.
std::vector<std::string> open_below(pid_t pid, const std::string& prefix);
// User and system time of all its threads so far.
double cpu_seconds(pid_t pid);
// The same, with all processes it started, those that ended too.
double cpu_seconds_with_children(pid_t pid);

}  // namespace runtail::test
