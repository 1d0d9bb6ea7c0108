#include "config/text_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace runtail {

std::optional<std::string> read_text_file(const std::string& path, std::string& reason) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();  // a directory opens but does not read
  if (file.is_open() && (!text.str().empty() || errno == 0)) return text.str();
  reason = errno != 0 ? std::strerror(errno) : "cannot be read";
  return std::nullopt;
}

}  // namespace runtail
