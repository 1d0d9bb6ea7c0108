// The journal as `journalctl -o export` writes it, as the lines `journalctl -o json` would give of it.
//
//   entry:  fields, then an empty line
//   field:  NAME=text\n   or   NAME\n u64 (little-endian) size, so many bytes of any kind, \n
// https://systemd.io/JOURNAL_EXPORT_FORMATS
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runtail {

// How every such file begins.
inline constexpr std::string_view kJournalExportBegins = "__CURSOR=";

// Threads: one. Takes the bytes as they come.
class JournalExport {
 public:
  // Appends the lines of the entries that became whole, each with its newline. A field given twice counts once. Fields
  // but MESSAGE that are binary or longer than 4 KiB are left out. The reason why it goes no further, or null.
  const char* add(std::string_view bytes, std::string& lines);
  // Between two entries.
  bool at_end() const { return state_ == State::kText && text_.empty() && entry_.empty() && fault_ == nullptr; }

 private:
  enum class State { kText, kSize, kBytes, kNewline };
  // Longer messages are longer than any line may be, and count as that.
  static constexpr std::size_t kMessageBytesMax = (16 << 20) + 1, kFieldBytesMax = 4096, kNameBytesMax = 64,
                               kFieldsMax = 1024;
  // The journal itself takes no more.
  static constexpr std::uint64_t kBytesMax = 768 << 20;

  void keep(std::string_view bytes);
  void end_of_line(std::string& lines);
  void put(std::string_view name, std::string_view value);

  State state_ = State::kText;
  std::string text_;                // of the line or the bytes at hand, as far as anybody wants it
  std::string name_;                // of the binary field at hand
  std::uint64_t left_ = 0;          // of its bytes
  std::string entry_;               // of the one at hand: {"A":"b"
  std::vector<std::string> names_;  // in it
  const char* fault_ = nullptr;
};

}  // namespace runtail
