#include "redaction/allowlist.h"

namespace runtail {
namespace {

// Takes the text up to the next dot off `path`.
std::string_view take_step(std::string_view& path) {
  const std::size_t dot = path.find('.');
  const std::string_view name = path.substr(0, dot);
  path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
  return name;
}

}  // namespace

Result<Allowlist> Allowlist::make(const std::vector<std::string>& paths) {
  Allowlist list;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (paths[i].empty() || paths[i].front() == '.' || paths[i].back() == '.' ||
        paths[i].find("..") != std::string::npos) {
      return Error{ErrorCode::kInvalidInput, "redaction.allow[" + std::to_string(i) + "]: \"" + paths[i] +
                                                 "\" has an empty step; write names joined by single dots"};
    }
    std::string_view rest = paths[i];
    Step* step = &list.root_;
    while (!rest.empty()) step = &step->next[std::string(take_step(rest))];
    step->whole = true;
  }
  return list;
}

Allowlist Allowlist::all() {
  Allowlist list;
  list.root_.whole = true;
  return list;
}

const Allowlist::Step* Allowlist::step(const Step& from, std::string_view key) {
  if (from.whole) return &from;
  const Step* step = &from;
  std::string_view rest = key;
  do {
    const auto found = step->next.find(take_step(rest));
    if (found == step->next.end()) return nullptr;
    step = &found->second;
  } while (!rest.empty() && !step->whole);
  return step;
}

}  // namespace runtail
