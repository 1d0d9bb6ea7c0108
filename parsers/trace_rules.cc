#include "parsers/trace_rules.h"

#include <algorithm>
#include <initializer_list>

namespace runtail {
namespace {

using Expect = Trace::Expect;

bool begins_with_any(std::string_view line, std::initializer_list<std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [line](std::string_view each) { return line.starts_with(each); });
}

bool is_indented(std::string_view line) { return !line.empty() && (line[0] == ' ' || line[0] == '\t'); }

std::string_view without_indent(std::string_view line) {
  const std::size_t first = line.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view{} : line.substr(first);
}

std::string_view without_cr(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A class name ("ValueError", "java.io.IOException") with what follows one: ": message", " [CODE]", or nothing.
bool names_exception(std::string_view line) {
  for (const std::string_view word :
       {std::string_view("Error"), std::string_view("Exception"), std::string_view("Throwable")}) {
    for (std::size_t at = line.find(word); at != std::string_view::npos; at = line.find(word, at + 1)) {
      const std::string_view behind = line.substr(at + word.size());
      if (behind.empty() || behind[0] == ':' || behind.starts_with(" [")) return true;
    }
  }
  return false;
}

// The line at the end of a Python traceback: a dotted name alone or before a colon.
bool is_python_exception(std::string_view line) {
  if (line.empty() || !is_letter(line[0])) return false;
  const auto end =
      std::find_if_not(line.begin(), line.end(), [](char c) { return is_letter(c) || is_digit(c) || c == '.'; });
  return end == line.end() || *end == ':';
}

bool is_python_traceback(std::string_view line) { return line.starts_with("Traceback (most recent call last):"); }
bool is_python_group(std::string_view line) {
  return without_indent(line).starts_with("+ Exception Group Traceback (most recent call last):");
}

// "/app/load.js:3", "file:///app/load.mjs:3", "node:internal/modules/loader:1080": what Node prints above the source
// line.
bool is_node_source(std::string_view line) {
  const std::size_t colon = line.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == line.size()) return false;
  if (!std::all_of(line.begin() + static_cast<std::ptrdiff_t>(colon) + 1, line.end(), is_digit)) return false;
  const std::string_view path = line.substr(0, colon);
  if (path.find(' ') != std::string_view::npos) return false;
  return path.starts_with("node:") || path.ends_with(".js") || path.ends_with(".mjs") || path.ends_with(".cjs") ||
         path.ends_with(".ts");
}

bool is_go_goroutine(std::string_view line) {
  constexpr std::string_view kWord = "goroutine ";
  return line.starts_with(kWord) && line.size() > kWord.size() && is_digit(line[kWord.size()]) && line.ends_with("]:");
}

// "main.(*Loader).run(0xc000010000, {0x1, 0x2})"
bool is_go_call(std::string_view line) {
  const std::size_t open = line.find('(');
  if (open == std::string_view::npos || open == 0 || !line.ends_with(')')) return false;
  const std::string_view name = line.substr(0, open);
  return name.find(' ') == std::string_view::npos && (name == "panic" || name.find('.') != std::string_view::npos);
}

bool is_frame(std::string_view line) {
  const std::string_view text = without_indent(line);
  const bool indented = text.size() != line.size();
  if (begins_with_any(text, {"Caused by: ", "Wrapped by: "}) || text == "Driver stacktrace:") return true;
  if (!indented) return false;
  return begins_with_any(text, {"at ", "Suppressed: ", "[CIRCULAR REFERENCE"}) ||
         (text.starts_with("... ") && text.size() > 4 && is_digit(text[4]));
}

// What may follow the exception line and still be its message; databases and their clients print these.
bool is_python_message(std::string_view line) {
  return is_indented(line) || begins_with_any(line, {"DETAIL:", "HINT:", "CONTEXT:", "LINE ",
                                                     "[SQL: ", "[parameters: ", "(Background on this error at: "});
}

// What the trace expects after `line`, if it goes on with it.
std::optional<Expect> after(Expect expect, std::string_view line) {
  switch (expect) {
    case Expect::kPythonFrames:
      if (is_indented(line)) return expect;
      if (is_python_exception(line)) return Expect::kPythonEnd;
      return std::nullopt;
    case Expect::kPythonEnd:
      if (line.empty()) return Expect::kPythonChain;
      if (is_python_message(line)) return expect;
      return std::nullopt;
    case Expect::kPythonChain:
      if (begins_with_any(line, {"During handling of the above exception, another exception occurred:",
                                 "The above exception was the direct cause of the following exception:"})) {
        return Expect::kPythonNext;
      }
      return std::nullopt;
    case Expect::kPythonNext:
      if (line.empty()) return expect;
      if (is_python_traceback(line)) return Expect::kPythonFrames;
      if (is_python_group(line)) return Expect::kPythonGroup;
      return std::nullopt;
    case Expect::kPythonGroup: {
      if (line.empty()) return Expect::kPythonChain;
      const std::string_view text = without_indent(line);
      if (is_indented(line) && (text.starts_with('|') || text.starts_with("+-"))) return expect;
      return std::nullopt;
    }
    case Expect::kFrames:
    case Expect::kNodeFrames:
      if (line.empty() && expect == Expect::kNodeFrames) return Expect::kNodeEnd;
      if (!is_frame(line)) return std::nullopt;
      if (!line.starts_with("    at ")) return expect;
      return line.ends_with('{') ? Expect::kNodeProperties : Expect::kNodeFrames;
    case Expect::kNodeProperties:
      if (line == "}") return Expect::kNodeFrames;
      if (is_indented(line)) return expect;
      return std::nullopt;
    case Expect::kNodeEnd:
      if (line.starts_with("Node.js v")) return expect;
      return std::nullopt;
    case Expect::kNodeSource:
      return Expect::kNodeCaret;
    case Expect::kNodeCaret:
      if (line.empty()) return Expect::kNodeException;
      if (line.find('^') != std::string_view::npos && line.find_first_not_of(" \t^") == std::string_view::npos) {
        return expect;
      }
      return std::nullopt;
    case Expect::kNodeException:
      if (names_exception(line)) return Expect::kFrames;
      return std::nullopt;
    case Expect::kGo:
      if (line.empty() || line[0] == '\t' || is_go_goroutine(line) || is_go_call(line) ||
          begins_with_any(line, {"created by ", "[signal ", "runtime stack:", "panic: ", "exit status "})) {
        return expect;
      }
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Trace> begin_trace(std::string_view line) {
  line = without_cr(line);
  if (is_python_traceback(line)) return Trace{Expect::kPythonFrames};
  if (is_python_group(line)) return Trace{Expect::kPythonGroup};
  if (begins_with_any(line, {"panic: ", "fatal error: "}) || is_go_goroutine(line)) return Trace{Expect::kGo};
  if (names_exception(line)) return Trace{Expect::kFrames};
  if (is_node_source(line)) return Trace{Expect::kNodeSource};
  return std::nullopt;
}

bool continue_trace(Trace& trace, std::string_view line) {
  const auto next = after(trace.expect, without_cr(line));
  if (next) trace.expect = *next;
  return next.has_value();
}

}  // namespace runtail
