// What the looking verbs (runs, buffer) answer, from an open buffer: the same words to a running agent's control socket
// or to the directory of one that does not run.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "buffer/durable_buffer.h"
#include "config/config.h"
#include "core/result.h"

namespace runtail {

// An agent that runs also understands {"drain"}, see verb_agent.cc.
// words: {"runs", "output=table", "limit=50", "job=NAME", "status=WORD"}
//        {"buffer", "ls", "output=table"} · {"buffer", "events", "limit=N", "job=NAME", "level=WORD", "text=PART"} ·
//        {"buffer", "dead-letters", "output=table"}
//        {"tap", "after=SEQUENCE", "job=NAME", "level=WORD", "text=PART"}: "SEQUENCE MISSED\n", then the events of the
//        chunks behind it, one line of JSON each; the first word is what to ask for next. Without "after" where it
//        ends.
// `kinds`: Redactor::kinds(). kInvalidInput names the word that is not understood.
Result<std::string> look(const DurableBuffer& buffer, std::span<const std::string> words,
                         const std::vector<std::string>& kinds);

// Asks the agent that runs in `directory`; if none does, opens the buffer there for reading. `redaction`: the agent's,
// for the names of the kinds that its rules mark.
Result<std::string> look_in(const std::filesystem::path& directory, const std::vector<std::string>& words,
                            const RedactionConfig& redaction);

std::filesystem::path control_socket_path(const std::filesystem::path& directory);

}  // namespace runtail
