#include "tests/support/curl.h"

#include <algorithm>
#include <cctype>
#include <sstream>

#include "tests/support/child_process.h"

namespace runtail::test {

CurlAnswer curl(const std::string& url, const std::vector<std::string>& more) {
  Command command;
  command.argv = {"curl", "-sS", "-i", "--max-time", "30", "--path-as-is", "-g"};
  command.argv.insert(command.argv.end(), more.begin(), more.end());
  command.argv.push_back(url);
  const Finished finished = run_to_end(command);
  CurlAnswer answer;
  std::string text = finished.output;
  // A head of 100 Continue comes before the answer's own.
  for (std::size_t end; text.starts_with("HTTP/") && (end = text.find("\r\n\r\n")) != std::string::npos;) {
    std::istringstream head(text.substr(0, end));
    std::string version, line;
    head >> version >> answer.status;
    std::getline(head, line);
    answer.headers.clear();
    while (std::getline(head, line)) {
      const std::size_t colon = line.find(':');
      if (colon == std::string::npos) continue;
      std::string name = line.substr(0, colon), value = line.substr(colon + 1);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      value.erase(0, value.find_first_not_of(' '));
      if (!value.empty() && value.back() == '\r') value.pop_back();
      answer.headers[name] = value;
    }
    text.erase(0, end + 4);
    if (answer.status != 100) break;
  }
  answer.body = text;
  return answer;
}

}  // namespace runtail::test
