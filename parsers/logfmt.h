// Lines of key=value pairs: ts=2026-01-02T03:04:05Z level=info msg="rows loaded" run_id=r7
#pragma once

#include <string>
#include <string_view>

namespace runtail {

// Puts such a line into `json` as an object of texts. False: it is none. Each word has to be a pair, one of the keys
// has to be that of a level, and one that of a message, a time or an event; so a sentence with an = in it stays a
// sentence. Keys lvl and t, as log15 writes them, become level and ts.
bool logfmt_to_json(std::string_view line, std::string& json);

}  // namespace runtail
