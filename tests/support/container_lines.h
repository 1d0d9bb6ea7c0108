// Lines as container runtimes write them: cut into pieces of 16 KiB.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace runtail::test {

inline constexpr std::size_t kContainerPieceBytes = 16 << 10;

inline std::string container_time() {
  SystemClock clock;
  return to_rfc3339(clock.now());
}

// One line of docker's json-file. `text` with its newline, if it is the last piece of its line.
inline std::string docker_line(std::string_view text, const std::string& output = "stdout") {
  std::string line = R"({"log":")";
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += "\\t";
    } else {
      if (c == '"' || c == '\\') line += '\\';
      line += c;
    }
  }
  return line + R"(","stream":")" + output + R"(","time":")" + container_time() + "\"}\n";
}

// The lines of the file that one line of the worker becomes.
inline std::vector<std::string> docker_pieces(const std::string& line, const std::string& output = "stdout") {
  const std::string text = line + '\n';
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < text.size(); at += kContainerPieceBytes) {
    pieces.push_back(docker_line(std::string_view(text).substr(at, kContainerPieceBytes), output));
  }
  return pieces;
}

// The same as the kubelet's runtimes write it.
inline std::vector<std::string> cri_pieces(const std::string& line, const std::string& output = "stdout") {
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < line.size(); at += kContainerPieceBytes) {
    const bool is_last = at + kContainerPieceBytes >= line.size();
    pieces.push_back(container_time() + ' ' + output + (is_last ? " F " : " P ") +
                     line.substr(at, kContainerPieceBytes) + '\n');
  }
  return pieces;
}

}  // namespace runtail::test
