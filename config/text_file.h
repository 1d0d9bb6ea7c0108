// A whole file as text.
#pragma once

#include <optional>
#include <string>

namespace runtail {

// Nothing, with the system's reason, where `path` cannot be read or is a directory.
std::optional<std::string> read_text_file(const std::string& path, std::string& reason);

}  // namespace runtail
