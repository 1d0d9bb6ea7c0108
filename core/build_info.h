#pragma once

#include <string_view>

namespace runtail {

std::string_view build_version();  // "0.1.0"
std::string_view build_git_sha();  // twelve hex digits, or "unknown" outside a git checkout

}  // namespace runtail
