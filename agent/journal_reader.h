// The process that reads the journal for the agent: libsystemd ends its process on some damaged files, and that must
// not be the agent. `runtail agent` starts it as `runtail journal-reader` and restarts it when it dies.
#pragma once

#include "agent/journal_frame.h"

namespace runtail {

// Writes frames to `output` (blocking: a full pipe is what makes it wait) until `input` is closed, a fault is told, or
// the journal cannot be read on. Returns the process's exit code.
//
// Entries come in the journal's order, each once; those numbered below known.next of their numbering never. The order
// of a journal of several files (machines, users) is by time, so one that arrives late lies behind what was read. Where
// a number is not the one after the last of its numbering, reading goes back to the last one and looks again: late
// entries are found that way. If that last one or its file is gone, what lay between was vacuumed and is told as
// missing, and so is what a file that is there should have and does not give.
int read_journal(const JournalRequest& request, int input, int output);

}  // namespace runtail
