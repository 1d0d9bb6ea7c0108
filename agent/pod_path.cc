#include "agent/pod_path.h"

#include <algorithm>
#include <charconv>

namespace runtail {
namespace {

// RFC 1123 names and UIDs: what may go into a stream and the context as it stands.
bool is_name(std::string_view text) {
  const auto may_stand = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), may_stand);
}

std::string_view cut_last(std::string_view& text, char separator) {
  const std::size_t at = text.rfind(separator);
  if (at == std::string_view::npos) return {};
  const std::string_view last = text.substr(at + 1);
  text = text.substr(0, at);
  return last;
}

}  // namespace

std::optional<PodPath> parse_pod_path(std::string_view log) {
  const std::string_view file = cut_last(log, '/');
  const std::string_view container = cut_last(log, '/');
  const std::string_view directory = cut_last(log, '/');
  std::string_view rest = directory;
  const std::string_view uid = cut_last(rest, '_');
  const std::string_view pod = cut_last(rest, '_');
  if (!is_name(rest) || !is_name(pod) || !is_name(uid) || !is_name(container) || !file.ends_with(".log")) {
    return std::nullopt;
  }
  PodPath out{std::string(rest), std::string(pod), std::string(uid), std::string(container), 0};
  const std::string_view digits = file.substr(0, file.size() - 4);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.restarts);
  if (error != std::errc() || end != digits.data() + digits.size() || out.restarts < 0) return std::nullopt;
  return out;
}

}  // namespace runtail
