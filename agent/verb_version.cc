#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Version.hpp>
#include <boost/version.hpp>
#include <cstdio>
#include <string>

#include "agent/verbs.h"
#include "core/build_info.h"
#include "core/exit_code.h"

namespace runtail {

void add_version_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("version", "Print the version, the commit and what it was built with");
  verb->footer("Example:\n  runtail version");
  const std::string version = "runtail " + std::string(build_version()) + " (" + std::string(build_git_sha()) + ")";
  app.set_version_flag("--version", version, "Print the version and exit");
  verb->callback([version, &exit_code] {
    std::printf("%s\n", version.c_str());
    std::printf("compiler %s, Boost %d.%d.%d, CLI11 %s\n", __VERSION__, BOOST_VERSION / 100'000,
                BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100, CLI11_VERSION);
    exit_code = kExitOk;
  });
}

}  // namespace runtail
