#include "agent/replay_identity.h"

#include <algorithm>

#include "agent/tailed_file.h"

namespace runtail {
namespace {

constexpr std::size_t kConfirmBytes = TailedFile::kConfirmBytes;

// The bytes before `offset`, kConfirmBytes at most; shorter: they are not there.
std::string bytes_before(FileBytes& bytes, std::uint64_t offset) {
  std::string before(std::min<std::uint64_t>(kConfirmBytes, offset), '\0');
  before.resize(bytes.read_at(before.data(), before.size(), offset - before.size()).size);
  return before;
}

}  // namespace

Result<ReplayIdentity::Answer> ReplayIdentity::identify(const ReplayInput& input, FileBytes& bytes,
                                                        const FileIdentity& as_new, ReadBuffer& buffer,
                                                        const Holds& holds) {
  // From the shortest to the longest, so that a packed file is unpacked once; the longest that fits is the one.
  std::sort(known_.begin(), known_.end(),
            [](const StoredPosition& a, const StoredPosition& b) { return a.covered.upper() < b.covered.upper(); });
  Answer answer{{as_new, {}, {}, from_micros(input.mtime_ns / 1000), {}}, true};
  const StoredPosition* fitting = nullptr;
  std::vector<const StoredPosition*> longer;
  for (const StoredPosition& each : known_) {
    answer.position.file.generation = std::max(answer.position.file.generation, each.file.generation + 1);
    const std::uint64_t upper = each.covered.upper();
    const std::string before = bytes_before(bytes, upper);
    if (before.size() < std::min<std::uint64_t>(kConfirmBytes, upper)) {
      longer.push_back(&each);
    } else if (hmac_sha256(key_, before) == each.confirm) {
      fitting = &each;
    }
  }
  if (fitting) return Answer{*fitting, false};
  if (longer.empty()) return answer;

  const std::uint64_t length = look_through(key_, bytes, buffer).length;
  for (const StoredPosition* each : longer) {
    const auto read = std::find_if(read_.begin(), read_.end(), [&](const Read& one) { return one.file == each->file; });
    if (read != read_.end() && is_beginning_of(bytes, length, read->input)) return Answer{*each, false};
    const auto held = holds(each->file);
    if (!held) return held.error();
    if (*held) return Answer{*each, false};
  }
  return answer;
}

void ReplayIdentity::remember(const ReplayInput& input, const StoredPosition& read) {
  const auto same = [&](const StoredPosition& each) { return each.file == read.file; };
  if (const auto found = std::find_if(known_.begin(), known_.end(), same); found == known_.end()) {
    known_.push_back(read);
  } else if (found->covered.upper() <= read.covered.upper()) {
    *found = read;
  }
  read_.push_back({read.file, input});
}

// As far as the first line, which is the same, and the last KiB show.
bool ReplayIdentity::is_beginning_of(FileBytes& bytes, std::uint64_t length, const ReplayInput& longer) const {
  auto opened = open_input(longer);
  return opened && bytes_before(bytes, length) == bytes_before(*opened, length);
}

std::optional<Bytes16> head_key(const HashKey& key, FileBytes& bytes, bool may_grow, std::size_t line_bytes_max,
                                ReadBuffer& buffer, std::string& fault) {
  const BytesRead read = bytes.read_at(buffer.data(), buffer.size(), 0);
  const std::string_view all(buffer.data(), read.size);
  const std::size_t end = std::min(all.find('\n'), all.size());
  const bool is_whole = end < all.size() || all.size() > line_bytes_max || (!may_grow && !read.is_cut);
  if (!read.fault.empty() && end == all.size()) fault = read.fault;
  if (read.is_cut && end == all.size()) fault = "it ends inside of the archive, before its first line does";
  if (all.empty() || !is_whole || !fault.empty()) return std::nullopt;
  return hmac16(key, all.substr(0, std::min(end, line_bytes_max)));
}

WholeFile look_through(const HashKey& key, FileBytes& bytes, ReadBuffer& buffer) {
  WholeFile whole;
  std::string end;
  for (bool at_end = false; !at_end;) {
    BytesRead read = bytes.read_at(buffer.data(), buffer.size(), whole.length);
    whole.length += read.size;
    end.append(buffer.data() + read.size - std::min(read.size, kConfirmBytes), std::min(read.size, kConfirmBytes));
    if (end.size() > kConfirmBytes) end.erase(0, end.size() - kConfirmBytes);
    at_end = read.at_end || read.size == 0;
    whole.fault = std::move(read.fault);
  }
  whole.end = hmac_sha256(key, end);
  return whole;
}

}  // namespace runtail
