#include "agent/known_files.h"

#include <algorithm>
#include <cstring>

namespace runtail {
namespace {

// A copy has no older time than its original's birth; a file that merely begins alike and was rotated away before has.
bool may_come_from(const FileBytes& copy, const FileBytes& original, bool if_unknown) {
  const auto mine = copy.facts(), its = original.facts();
  if (!mine || !its || its->born_ns == 0) return if_unknown;
  // gzip, zstd and logrotate give their copy the original's time, cut to seconds.
  return mine->mtime_ns + 1'000'000'000 > its->born_ns;
}

constexpr std::chrono::nanoseconds kCutKept = std::chrono::hours(1);

}  // namespace

KnownFiles::KnownFiles(const HashKey& key, std::vector<Position> positions) : key_(key) {
  for (const Position& position : positions) remember(position);
}

void KnownFiles::remember(const Position& position) {
  std::vector<Position>& alike = by_head_[{position.file.stream, position.file.file_key}];
  const auto same = [&](const Position& known) { return known.file == position.file; };
  if (const auto found = std::find_if(alike.begin(), alike.end(), same); found != alike.end()) {
    *found = position;
  } else {
    alike.push_back(position);
  }
  TimePoint& newest = newest_[position.file.stream];
  newest = std::max(newest, position.first_seen);
}

std::optional<TimePoint> KnownFiles::newest(const std::string& stream) const {
  const auto found = newest_.find(stream);
  return found == newest_.end() ? std::nullopt : std::optional(found->second);
}

KnownFiles::Identified KnownFiles::identify(FileBytes& bytes, ReadBuffer& buffer, const std::string& stream,
                                            std::uint64_t line_bytes_max, Circumstances seen, const OpenAs& open_as) {
  using Answer = Identified::Answer;
  const BytesRead read = bytes.read_at(buffer.data(), buffer.size(), 0);
  if (read.size == 0) {
    if (read.is_cut && seen.is_over) return {Answer::kNever, {}, 0, "it ends before the first byte of the archive"};
    const bool never = read.is_whole || (!read.fault.empty() && bytes.is_packed());
    return {never ? Answer::kNever : Answer::kNotYet, {}, 0, read.fault};
  }
  const std::string_view head(buffer.data(), read.size);
  std::size_t end = head.find('\n');
  if (end == std::string_view::npos) {
    const bool is_all = seen.is_over || read.is_whole || (!read.fault.empty() && bytes.is_packed());
    if (head.size() <= line_bytes_max && !is_all) return {};
    end = head.size();
  }
  // A first line too long to hold is known by as much of it as a line may have.
  const std::size_t head_size = std::min<std::size_t>(end, line_bytes_max);
  const Bytes16 key = hmac16(key_, head.substr(0, head_size));
  std::vector<Position>& alike = by_head_[{stream, key}];
  std::sort(alike.begin(), alike.end(), [](const Position& a, const Position& b) { return a.emitted < b.emitted; });
  Identified made{Answer::kNew, {}, 0, ""};
  made.position.file = {stream, key, 0};
  for (const Position& known : alike) {
    made.position.file.generation = std::max(made.position.file.generation, known.file.generation + 1);
  }

  // From the shortest to the longest, so that a packed file is unpacked once; the longest that fits is the one.
  std::vector<const Position*> fitting;
  for (const Position& known : alike) {
    const std::size_t size = std::min<std::uint64_t>(TailedFile::kConfirmBytes, known.emitted);
    std::string before(size, '\0');
    const BytesRead tail = bytes.read_at(before.data(), size, known.emitted - size);
    if (tail.size == size) {
      // Of one just met nothing was read yet.
      const bool fits = known.emitted > 0 ? hmac_sha256(key_, before) == known.confirm : open_as(known.file) != nullptr;
      if (fits) fitting.push_back(&known);
      continue;
    }
    // Shorter than that one was read: it may be a copy of it, or its archive, that is still being written.
    if (tail.is_cut && !seen.is_over) return {};
    if (seen.is_live) continue;
    FileBytes* const original = open_as(known.file);
    const std::uint64_t length = bytes.length();
    if (original && !may_come_from(bytes, *original, false)) continue;
    if (original && was_cut(*original, known, head_size, buffer)) return {};  // the next look at that one will say so
    const std::uint64_t tail_at = length - std::min<std::uint64_t>(length, size);
    const bool is_copy =
        original ? is_in(bytes, *original, tail_at, buffer) : is_copy_of_cut(bytes, known.file, buffer);
    // A copy is looked at just when its original is cut: between the two looks above, too.
    if (!is_copy && original && was_cut(*original, known, head_size, buffer)) return {};
    if (!is_copy) continue;
    if (seen.is_growing) return {};
    made.read_elsewhere = length;
    return made;
  }
  for (auto at = fitting.rbegin(); at != fitting.rend(); ++at) {
    FileBytes* const original = open_as((*at)->file);
    if (!original) return {Answer::kKnown, **at, 0, ""};
    // A copy beside the file it was made from, as copytruncate and gzip make it: it waits. Once the original starts
    // anew or is let go, the copy is the file, and what was not read yet is read from it.
    if (seen.is_live || !may_come_from(bytes, *original, true)) continue;
    // Asked twice: it may be cut between the two looks.
    const auto cut = [&] { return was_cut(*original, **at, head_size, buffer); };
    if (cut() || is_in(bytes, *original, (*at)->emitted, buffer) || cut()) return {};
  }
  return made;
}

// `file` holds something else than when it was read as `known`.
bool KnownFiles::was_cut(FileBytes& file, const Position& known, std::size_t head_size, ReadBuffer& buffer) const {
  const std::uint64_t confirmed = std::min<std::uint64_t>(TailedFile::kConfirmBytes, known.emitted);
  const std::size_t size = known.emitted > 0 ? confirmed : head_size;
  const BytesRead read = file.read_at(buffer.data(), size, known.emitted - confirmed);
  const std::string_view bytes(buffer.data(), read.size);
  if (read.size < size) return true;
  return known.emitted > 0 ? hmac_sha256(key_, bytes) != known.confirm : hmac16(key_, bytes) != known.file.file_key;
}

void KnownFiles::remember_cut(const FileIdentity& file, std::deque<Checkpoint> checkpoints,
                              const FileBytes::Facts& facts) {
  std::erase_if(cut_, [&](const auto& each) { return facts.mtime_ns - each.second.cut_ns > kCutKept.count(); });
  cut_[file] = {std::move(checkpoints), facts.born_ns, facts.mtime_ns};
}

// `bytes` was made while `file` was still whole, and the same stands where its blocks ended.
bool KnownFiles::is_copy_of_cut(FileBytes& bytes, const FileIdentity& file, ReadBuffer& buffer) const {
  const auto found = cut_.find(file);
  const auto facts = bytes.facts();
  if (found == cut_.end() || !facts) return false;
  const Cut& cut = found->second;
  // Of an archive the birth says when it was packed.
  const bool is_in_time = facts->born_ns >= cut.born_ns && (bytes.is_packed() || facts->born_ns <= cut.cut_ns);
  if (facts->born_ns != 0 && cut.born_ns != 0 && !is_in_time) return false;
  bool any = false;
  for (const Checkpoint& each : cut.checkpoints) {
    const std::size_t size = std::min<std::uint64_t>(TailedFile::kConfirmBytes, each.offset);
    const BytesRead read = bytes.read_at(buffer.data(), size, each.offset - size);
    if (read.size < size) break;
    if (hmac_sha256(key_, std::string_view(buffer.data(), size)) != each.confirm) return false;
    any = true;
  }
  return any;
}

// As far as one look shows, all of `copy` from `offset` on stands at the same place in `original`.
bool KnownFiles::is_in(FileBytes& copy, FileBytes& original, std::uint64_t offset, ReadBuffer& buffer) {
  const std::size_t half = buffer.size() / 2;
  const BytesRead mine = copy.read_at(buffer.data(), half, offset);
  const BytesRead its = original.read_at(buffer.data() + half, half, offset);
  return its.size >= mine.size && std::memcmp(buffer.data(), buffer.data() + half, mine.size) == 0;
}

}  // namespace runtail
