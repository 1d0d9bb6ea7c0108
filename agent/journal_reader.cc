#include "agent/journal_reader.h"

#include <poll.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <system_error>

#include "agent/journal_header.h"
#include "core/exit_code.h"

namespace runtail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kWriteBytes = 64 << 10;
// What is not asked for moves the position seldom: each time costs the agent a write.
constexpr std::uint64_t kPassedEntries = 8'192;
constexpr std::chrono::seconds kPassedEvery{60};
// inotify says when something comes; looking is the truth.
constexpr int kLookEveryMs = 1000;
// After so many readers that died where this one begins, the place is passed over.
constexpr std::uint32_t kDeathsMax = 3;

// Where an entry stands, out of its cursor: "s=<numbering>;i=<number>;b=<boot>;m=...;t=<microseconds>;x=...".
struct Place {
  Numbering numbering{};
  std::uint64_t number = 0;
  std::string_view boot;  // hex, into the cursor
  std::uint64_t at = 0;   // microseconds since 1970
};

std::string_view member_of(std::string_view cursor, char name) {
  while (!cursor.empty()) {
    const std::string_view member = cursor.substr(0, cursor.find(';'));
    if (member.size() > 2 && member[0] == name && member[1] == '=') return member.substr(2);
    cursor.remove_prefix(std::min(cursor.size(), member.size() + 1));
  }
  return {};
}

bool parse_hex(std::string_view hex, std::uint64_t& value) {
  const auto [end, failure] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
  return failure == std::errc() && end == hex.data() + hex.size() && !hex.empty();
}

std::optional<Place> place_of(std::string_view cursor) {
  Place place;
  const std::string_view id = member_of(cursor, 's');
  if (id.size() != 2 * place.numbering.size()) return std::nullopt;
  for (std::size_t i = 0; i < place.numbering.size(); ++i) {
    std::uint64_t byte = 0;
    if (!parse_hex(id.substr(2 * i, 2), byte)) return std::nullopt;
    place.numbering[i] = static_cast<std::uint8_t>(byte);
  }
  place.boot = member_of(cursor, 'b');
  if (!parse_hex(member_of(cursor, 'i'), place.number) || !parse_hex(member_of(cursor, 't'), place.at)) {
    return std::nullopt;
  }
  return place;
}

// A journal that moves from memory to disk copies its entries under another numbering: boot, times and content stay.
bool is_same_entry(std::string_view a, std::string_view b) {
  constexpr std::string_view kMembers = "bmtx";
  return std::all_of(kMembers.begin(), kMembers.end(), [&](char name) {
    return !member_of(a, name).empty() && member_of(a, name) == member_of(b, name);
  });
}

std::string hex_of(std::uint64_t value) {
  char text[16];
  return {text, std::to_chars(text, text + sizeof text, value, 16).ptr};
}

std::string text_of(int negative_errno) { return std::error_code(-negative_errno, std::generic_category()).message(); }

// Why there is nothing to read, for a person; "" if a journal file is there and may be read.
std::string why_nothing(const std::string& directory) {
  const JournalFiles found = find_journal_files(directory);
  std::string refused = found.refused;
  for (const std::filesystem::path& file : found.files) {
    if (access(file.c_str(), R_OK) == 0) return "";
    refused = file.string();
  }
  if (!refused.empty()) {
    return "cannot read " + refused + ": Permission denied; add runtail's user to the group systemd-journal";
  }
  std::string places;
  for (const std::string& root : found.roots) places += (places.empty() ? "" : " and ") + root;
  return "no journal files in " + places +
         "; is systemd-journald running, and does journal_directory name where it writes?";
}

class JournalReader {
 public:
  JournalReader(const JournalRequest& request, int input, int output)
      : request_(request), input_(input), output_(output) {
    for (const JournalRequest::Known& known : request.known) {
      if (known.next == 0) continue;  // there is no entry 0
      last_[known.numbering] = known.next - 1;
      if (!known.begun) not_begun_.insert(known.numbering);
      if (request.deaths >= kDeathsMax) passed_over_.insert(known.numbering);
    }
  }

  int run() {
    if (!open()) return kExitOk;  // told
    while (true) {
      const int found = sd_journal_next(journal_.get());
      if (found < 0) return die("read the journal", found);
      if (found == 0 ? !rest() : !take()) return exit_code_;
    }
  }

 private:
  enum class Between {
    kOthers,  // numbers of entries in journals of users: they count with the system's
    kVacuumed,
    kUnreadable
  };
  struct LookBack {
    std::uint64_t last = 0;
    bool present = false;  // the entry `last` was found
  };
  struct Close {
    void operator()(sd_journal* journal) const { sd_journal_close(journal); }
  };

  bool open() {
    sd_journal* journal = nullptr;
    const int opened = request_.directory.empty() ? sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY)
                                                  : sd_journal_open_directory(&journal, request_.directory.c_str(), 0);
    journal_.reset(journal);
    std::string fault = why_nothing(request_.directory);
    if (fault.empty() && opened < 0) fault = "open the journal: " + text_of(opened);
    if (fault.empty()) {
      // One byte more than we take: so what is longer shows.
      sd_journal_set_data_threshold(journal, request_.line_bytes_max + sizeof "MESSAGE=");
      // The watch is made before the first look, so nothing comes unseen.
      const int watched = sd_journal_get_fd(journal), sought = seek_start();
      if (watched < 0) fault = "watch the journal: " + text_of(watched);
      if (sought < 0) fault = "seek in the journal: " + text_of(sought);
    }
    if (fault.empty()) return true;
    JournalFrame frame;
    frame.type = JournalFrameType::kFault;
    frame.text = fault;
    append_frame(out_, frame);
    flush();
    return false;
  }

  int seek_start() {
    sd_journal* journal = journal_.get();
    const auto oldest = static_cast<std::uint64_t>(std::max<std::int64_t>(0, to_micros(request_.oldest)));
    const auto place = place_of(request_.cursor);
    if (place) {
      boots_.emplace(place->boot);
      at_ = place->at;
      is_in_order_ = false;
    }
    if (request_.deaths >= kDeathsMax) {
      // Further each time, up to two weeks.
      const std::uint64_t step = 1000ull << std::min(request_.deaths - kDeathsMax, 30u);
      return sd_journal_seek_realtime_usec(journal, (place ? place->at : oldest) + step);
    }
    if (place) {
      if (sd_journal_seek_cursor(journal, request_.cursor.c_str()) >= 0 && sd_journal_next(journal) > 0) {
        char* found = nullptr;
        const bool is_there = sd_journal_test_cursor(journal, request_.cursor.c_str()) > 0 ||
                              (sd_journal_get_cursor(journal, &found) >= 0 && is_same_entry(found, request_.cursor));
        std::free(found);
        if (is_there) return 0;
      }
      // The entry is gone, so the place found need not be the right one: a clock may have been set back since. What was
      // read is known by number.
      return sd_journal_seek_head(journal);
    }
    const bool has_begun = not_begun_.size() < last_.size();
    return has_begun ? sd_journal_seek_head(journal) : sd_journal_seek_realtime_usec(journal, oldest);
  }

  // The entry reading stands on. False: the reader has to end.
  bool take() {
    char* given = nullptr;
    if (sd_journal_get_cursor(journal_.get(), &given) < 0) return true;  // the next number shows that one is missing
    cursor_ = given;
    std::free(given);
    const auto place = place_of(cursor_);
    if (!place) return true;

    const auto known = last_.find(place->numbering);
    const std::uint64_t last = known == last_.end() ? 0 : known->second;
    if (place->number <= last) {
      const auto back = look_backs_.find(place->numbering);
      if (back != look_backs_.end() && back->second.last == place->number) back->second.present = true;
      return true;
    }
    const bool is_first = known == last_.end() || not_begun_.contains(place->numbering);
    if (is_first && to_micros(request_.oldest) > static_cast<std::int64_t>(place->at)) {
      if (known != last_.end()) known->second = place->number;  // what is missing before it was as old
      return true;
    }
    const bool is_new_machine = known == last_.end() && !is_in_order_ && !boots_.contains(place->boot);
    if (place->number != last + 1 && (known != last_.end() || is_new_machine)) {
      if (passed_over_.contains(place->numbering)) {
        tell_missing(*place, last + 1, place->number, false);
      } else if (const auto back = look_backs_.find(place->numbering);
                 back == look_backs_.end() || back->second.last != last) {
        look_backs_[place->numbering] = {last, false};
        return look_back(*place, last);
      } else if (known != last_.end()) {
        const Between between = back->second.present ? between_of(*place, last) : Between::kVacuumed;
        if (between != Between::kOthers) {
          tell_missing(*place, last + 1, place->number, between == Between::kUnreadable);
        }
      }
    }
    passed_over_.erase(place->numbering);
    not_begun_.erase(place->numbering);
    last_[place->numbering] = place->number;
    at_ = place->at;
    if (!boots_.contains(place->boot)) boots_.emplace(place->boot);
    give(*place);
    return out_.size() < kWriteBytes || flush();
  }

  // Every numbering is looked through from where it was read to; the others from about now. All files that are there
  // now are looked at.
  bool look_back(const Place& place, std::uint64_t last) {
    if (const int changed = sd_journal_process(journal_.get()); changed < 0) {
      die("watch the journal", changed);
      return false;
    }
    std::string cursor = cursor_.substr(0, cursor_.find(';'));
    cursor += ";i=" + hex_of(std::max<std::uint64_t>(last, 1)) +
              ";t=" + hex_of(std::min(at_ == 0 ? place.at : at_, place.at));
    const int sought = sd_journal_seek_cursor(journal_.get(), cursor.c_str());
    if (sought < 0) die("seek in the journal", sought);
    return sought >= 0;
  }

  // What became of the entries behind `last`, which was found, and before `place`, which follows it: what files say
  // that are there now. Journald takes the oldest first, so where the file of `last` is left, nothing behind it was
  // taken before we looked back.
  Between between_of(const Place& place, std::uint64_t last) {
    const auto holds_both = [&](const JournalRange& file) {
      return file.numbering == place.numbering && file.first <= last && place.number <= file.last;
    };
    const auto has_holes = [](const JournalRange& file, std::uint64_t holes) {
      return file.count + holes <= file.last - file.first + 1;
    };
    const auto verdict = [&](const JournalRange& file) {
      return has_holes(file, place.number - last - 1) ? Between::kOthers : Between::kUnreadable;
    };
    // Where journals of users are, this is asked for each of their entries.
    std::filesystem::path& usual = file_of_[place.numbering];
    if (const auto file = journal_range(usual); file && holds_both(*file)) return verdict(*file);
    const auto is_between = [&](std::uint64_t number) { return last < number && number < place.number; };
    bool is_last_there = false, are_others = false;
    for (const JournalRange& file : journal_ranges(request_.directory)) {
      if (file.numbering != place.numbering || file.count == 0) continue;
      if (holds_both(file)) {
        usual = file.path;
        return verdict(file);
      }
      if (is_between(file.first) || is_between(file.last)) return Between::kUnreadable;
      is_last_there = is_last_there || (file.first <= last && last <= file.last);
      are_others = are_others || has_holes(file, 2);  // one may be an entry that is being written
    }
    return is_last_there && are_others ? Between::kOthers : Between::kVacuumed;
  }

  void tell_missing(const Place& place, std::uint64_t from, std::uint64_t until, bool unreadable) {
    JournalFrame frame;
    frame.type = JournalFrameType::kMissing;
    frame.numbering = place.numbering;
    frame.number = from;
    frame.until = until;
    frame.unreadable = unreadable;
    append_frame(out_, frame);
    // Known together with a position behind it, whoever is asked for.
    passed_ = kPassedEntries;
  }

  void give(const Place& place) {
    JournalFrame frame;
    frame.numbering = place.numbering;
    frame.number = place.number;
    frame.cursor = cursor_;
    if (is_asked_for()) {
      frame.type = JournalFrameType::kEntry;
      frame.at = from_micros(static_cast<std::int64_t>(place.at));
      // Each answer lives until the next question.
      const std::string unit(unit_of_entry()), pid(value_of("_PID"));
      const void* data = nullptr;
      std::size_t size = 0;
      const int got = sd_journal_get_data(journal_.get(), "MESSAGE", &data, &size);
      if (got >= 0 && size >= strlen("MESSAGE=")) {
        frame.unit = unit;
        frame.pid = pid;
        frame.text = std::string_view(static_cast<const char*>(data), size).substr(strlen("MESSAGE="));
        frame.length = frame.text.size();
        frame.too_long = frame.length > request_.line_bytes_max;
        if (frame.too_long) frame.text = {};
        append_frame(out_, frame);
        passed_ = 0;
        passed_at_ = Clock::now();
        is_caught_up_ = false;
        return;
      }
      if (got < 0 && got != -ENOENT) tell_missing(place, place.number, place.number + 1, true);
    }
    passed_cursor_ = cursor_;
    if (++passed_ > kPassedEntries) tell_passed();
  }

  void tell_passed() {
    const auto place = place_of(passed_cursor_);
    if (!place) return;
    JournalFrame frame;
    frame.type = JournalFrameType::kPassed;
    frame.numbering = place->numbering;
    frame.number = place->number;
    frame.cursor = passed_cursor_;
    append_frame(out_, frame);
    passed_ = 0;
    passed_at_ = Clock::now();
  }

  // "" where there is none.
  std::string_view value_of(const char* field) {
    const void* data = nullptr;
    std::size_t size = 0;
    if (sd_journal_get_data(journal_.get(), field, &data, &size) < 0) return {};
    const std::string_view all(static_cast<const char*>(data), size);
    return all.substr(std::min(all.size(), all.find('=') + 1));
  }
  std::string_view unit_of_entry() {
    const std::string_view unit = value_of("_SYSTEMD_UNIT");
    const std::string_view of_user = unit.starts_with("user@") ? value_of("_SYSTEMD_USER_UNIT") : std::string_view{};
    return of_user.empty() ? value_of("_SYSTEMD_UNIT") : of_user;
  }

  bool is_one_of_units(std::string_view unit) const {
    return std::find(request_.units.begin(), request_.units.end(), unit) != request_.units.end();
  }
  // What the unit's processes wrote, and what the service manager and root's services say about it, as `journalctl -u`.
  bool is_asked_for() {
    if (request_.units.empty()) return true;
    return is_one_of_units(value_of("_SYSTEMD_UNIT")) || is_one_of_units(value_of("_SYSTEMD_USER_UNIT")) ||
           (value_of("_PID") == "1" && is_one_of_units(value_of("UNIT"))) ||
           (value_of("_UID") == "0" && is_one_of_units(value_of("OBJECT_SYSTEMD_UNIT")));
  }

  // Everything there is was looked at. False: the agent is gone.
  bool rest() {
    look_backs_.clear();
    is_in_order_ = false;
    if (passed_ > 0 && Clock::now() - passed_at_ >= kPassedEvery) tell_passed();
    if (!is_caught_up_) {
      is_caught_up_ = true;
      JournalFrame frame;
      frame.type = JournalFrameType::kCaughtUp;
      append_frame(out_, frame);
    }
    if (!flush()) return false;
    pollfd fds[] = {{input_, 0, 0},
                    {sd_journal_get_fd(journal_.get()), static_cast<short>(sd_journal_get_events(journal_.get())), 0}};
    if (poll(fds, 2, kLookEveryMs) < 0 && errno != EINTR) return false;
    if ((fds[0].revents & (POLLHUP | POLLERR)) != 0) return false;
    // New, rotated and vacuumed files: libsystemd adds and drops them and keeps the place.
    if (const int changed = sd_journal_process(journal_.get()); changed < 0) {
      die("watch the journal", changed);
      return false;
    }
    return true;
  }

  bool flush() {
    for (std::string_view rest = out_; !rest.empty();) {
      const ssize_t written = write(output_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    out_.clear();
    return true;
  }

  int die(const char* what, int negative_errno) {
    flush();
    fprintf(stderr, "runtail journal-reader: %s: %s\n", what, text_of(negative_errno).c_str());
    return exit_code_ = kExitIncomplete;
  }

  const JournalRequest& request_;
  const int input_, output_;
  std::unique_ptr<sd_journal, Close> journal_;
  int exit_code_ = kExitOk;

  std::map<Numbering, std::uint64_t> last_;             // number of the last entry read or passed
  std::map<Numbering, LookBack> look_backs_;            // since it was last caught up
  std::map<Numbering, std::filesystem::path> file_of_;  // being written, probably
  std::set<Numbering> passed_over_;                     // numberings whose next entry may follow a damaged place
  std::set<Numbering> not_begun_;                       // known by the number of their first entry only
  std::set<std::string, std::less<>> boots_;            // of which something was read
  bool is_in_order_ = true;                             // reading since the oldest entry asked for: nothing lies behind
  std::uint64_t at_ = 0;                                // time of the last entry read; 0: none
  std::string cursor_;                                  // of the entry reading stands on

  std::uint64_t passed_ = 0;  // entries since a frame told the position
  std::string passed_cursor_;
  Clock::time_point passed_at_ = Clock::now();
  bool is_caught_up_ = false;
  std::string out_;
};

}  // namespace

int read_journal(const JournalRequest& request, int input, int output) {
  return JournalReader(request, input, output).run();
}

}  // namespace runtail
