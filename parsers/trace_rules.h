// Which lines of text belong to one stack trace: Python (chained, and exception groups), Java and other JVM languages,
// Node, Go. Plain comparisons of a line with what these runtimes print; the caller sets limits of number, size and
// time.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace runtail {

// How far one trace has come.
struct Trace {
  enum class Expect : std::uint8_t {
    kPythonFrames,    // after "Traceback ...": indented lines, then the exception
    kPythonEnd,       // after the exception: what belongs to its message, or a blank line and a chained trace
    kPythonChain,     // after that blank line: "During handling ..." or "The above exception ..."
    kPythonNext,      // after that: the next traceback
    kPythonGroup,     // lines of an exception group's tree
    kFrames,          // JVM and Node: after the exception, "at ..." and its company
    kNodeFrames,      // the same after a frame as Node indents it
    kNodeProperties,  // after "at ... {": the error's properties to the closing "}"
    kNodeEnd,         // after the blank line behind the frames: "Node.js v..."
    kNodeSource,      // after "/app/x.js:3": the source line,
    kNodeCaret,       // the mark below it,
    kNodeException,   // and after a blank line the exception
    kGo,              // panic, goroutines and their frames
  };
  Expect expect;
};

// The trace `line` begins, if it can begin one. Without newline; a trailing CR does not matter.
std::optional<Trace> begin_trace(std::string_view line);
// True if `line` goes on with `trace`, which is then one further; else `trace` is over (and unchanged).
bool continue_trace(Trace& trace, std::string_view line);

}  // namespace runtail
