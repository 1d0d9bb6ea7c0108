// `runtail journal-reader`: what the agent starts to read a journal for it; see agent/journal_reader.h.
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>

#include "agent/journal_reader.h"
#include "agent/verbs.h"
#include "core/exit_code.h"

namespace runtail {
namespace {

bool read_all(int fd, char* into, std::size_t size) {
  while (size > 0) {
    const ssize_t got = read(fd, into, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    into += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

int serve_agent() {
  prctl(PR_SET_DUMPABLE, 0);  // raw lines pass through our memory: no core of it, and no debugger
  // It ends when the agent does, not with it: what was written to the pipe is still read.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) std::signal(signal, SIG_IGN);
  std::uint32_t size = 0;
  std::string payload;
  if (read_all(STDIN_FILENO, reinterpret_cast<char*>(&size), sizeof size)) {
    payload.resize(size);
    if (read_all(STDIN_FILENO, payload.data(), size)) {
      if (const auto request = decode_request(payload)) return read_journal(*request, STDIN_FILENO, STDOUT_FILENO);
    }
  }
  std::fputs("runtail journal-reader is started by `runtail agent`; name a journald source in its configuration\n",
             stderr);
  return kExitUsage;
}

}  // namespace

void add_journal_reader_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("journal-reader", "");
  verb->group("");  // not for people
  verb->callback([&exit_code] { exit_code = serve_agent(); });
}

}  // namespace runtail
