#include "core/build_info.h"

namespace runtail {

std::string_view build_version() { return RUNTAIL_VERSION; }
std::string_view build_git_sha() { return RUNTAIL_GIT_SHA; }

}  // namespace runtail
