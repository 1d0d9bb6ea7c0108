// Where a user's runtail keeps its buffer when nobody said.
#pragma once

#include <filesystem>
#include <string>

namespace runtail {

// `option` (what the command line said), else the configured directory; a user who may not write the default one has
// his own: $XDG_STATE_HOME/runtail, else ~/.local/state/runtail.
std::filesystem::path state_directory(const std::string& option, const std::filesystem::path& configured);

}  // namespace runtail
