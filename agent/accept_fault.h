#pragma once

#include <filesystem>
#include <string>

namespace runtail {

// Why a connection that waits at a socket could not be taken, with the remedy. `error`: of accept().
std::string accept_fault(const std::filesystem::path& socket, int error);

}  // namespace runtail
