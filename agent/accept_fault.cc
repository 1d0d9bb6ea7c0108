#include "agent/accept_fault.h"

#include <cerrno>
#include <cstring>

namespace runtail {

std::string accept_fault(const std::filesystem::path& socket, int error) {
  const bool is_full = error == EMFILE || error == ENFILE;
  return "a connection waits at " + socket.native() + " and cannot be taken: " + std::strerror(error) +
         (is_full ? "; raise the limit of open files (LimitNOFILE= of the unit, ulimit -n)" : "") +
         "; tried again each second";
}

}  // namespace runtail
