// Random histories of a log against a list of what was written to it: each unit is read once, in order, whatever
// happens to the files and to the agent, or its bytes are counted, where they were cut off unread.
#include <deque>
#include <random>

#include "tests/support/scale.h"
#include "tests/unit/agent/file_scene.h"

namespace runtail {
namespace {

enum class Style { kPlain, kDocker, kCri, kTraces };

class FileSourceModel : public test::FileScene {
 protected:
  void begin(std::uint64_t seed) {
    random_.seed(seed);
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) std::filesystem::remove(entry);
    durable_.clear();
    by_file_.clear();
    written_.clear();
    rotated_.clear();
    archives_.clear();
    got_.clear();
    unfinished_.clear();
    orphans_ = 0;
    number_ = rotations_ = began_in_ = 0;
    pieces_ = is_fresh_cut_ = false;
    to_lose_ = lost();
    style_ = static_cast<Style>(random_() % 4);
    is_linked_ = random_() % 8 == 0;
    if (is_linked_) link("target-0", "etl.log");
    settings_.open_files_max = random_() % 4 == 0 ? 6 : 512;
    now_ = clock_.now();
    restart();
  }
  std::uint64_t any(std::uint64_t count) { return random_() % count; }
  bool live_is_empty() { return !exists("etl.log") || std::filesystem::file_size(path("etl.log")) == 0; }

  // ---- what the worker does ----

  std::string wrapped(std::string_view text, bool is_piece, std::string_view output) {
    if (style_ == Style::kDocker) return test::docker(text, is_piece, output);
    if (style_ == Style::kCri) return test::cri(text, is_piece, output);
    return std::string(text) + "\n";
  }
  bool has_pieces() const { return style_ == Style::kDocker || style_ == Style::kCri; }

  std::string new_unit() {
    written_.push_back("{\"n\":" + std::to_string(number_++) + "}");
    return written_.back();
  }
  void write_line(std::string_view output = "stdout") { write("etl.log", wrapped(new_unit(), false, output)); }
  void write_trace() {
    const std::string n = std::to_string(number_++);
    written_.push_back("Traceback (most recent call last):\n  File \"etl.py\", line " + n + ", in load\nError: no " +
                       n);
    write("etl.log", written_.back() + "\n");
  }
  void write_some() {
    finish_line();
    // Equal heads on purpose; after a cut that nobody looked at, they could not be told apart.
    if (live_is_empty() && !is_fresh_cut_ && !pieces_) {
      written_.push_back("{\"head\":1}");
      write("etl.log", wrapped(written_.back(), false, "stdout"));
      write_line();
    }
    is_fresh_cut_ = false;
    for (std::uint64_t n = 1 + any(4); n > 0; --n) {
      const std::uint64_t what = any(6);
      if (what == 0 && style_ == Style::kTraces) {
        write_trace();
      } else if (what < 3 && has_pieces() && !live_is_empty()) {
        write_piece();
      } else {
        write_line(pieces_ ? "stderr" : "stdout");
      }
    }
    if (style_ != Style::kDocker && style_ != Style::kCri && any(3) == 0 && !live_is_empty()) {
      unfinished_ = new_unit();
      write("etl.log", std::string_view(unfinished_).substr(0, 3));
    }
  }
  void write_piece() {
    const std::string n = std::to_string(number_);
    if (!pieces_) {
      write("etl.log", wrapped("{\"n\":[", true, "stdout"));
    } else if (any(2)) {
      write("etl.log", wrapped("0,", true, "stdout"));
      middle_ += "0,";
      return;
    } else {
      write("etl.log", wrapped(n + "]}", false, "stdout"));
      written_.push_back("{\"n\":[" + middle_ + n + "]}");
      ++number_;
      middle_.clear();
    }
    pieces_ = !pieces_;
  }
  void finish_line() {
    if (unfinished_.empty()) return;
    write("etl.log", unfinished_.substr(3) + "\n");
    unfinished_.clear();
  }
  void finish_pieces() {
    while (pieces_) write_piece();
  }

  // ---- what happens to the files ----

  void rotate() {
    if (!exists("etl.log") || is_linked_) return;
    // The files of a unit are all open until it is whole.
    if (!pieces_) began_in_ = rotations_;
    if (settings_.open_files_max < 10 && rotations_ > began_in_ + 2) finish_pieces();
    if (!unfinished_.empty()) {
      *std::find(written_.rbegin(), written_.rend(), unfinished_) = unfinished_.substr(0, 3);
      unfinished_.clear();
    }
    const std::string to = "etl.log." + std::to_string(++rotations_);
    rename("etl.log", to);
    rotated_.push_back(to);
    if (any(2)) write("etl.log", "");
  }
  void pack_one() {
    if (rotated_.empty()) return;
    // A unit over two files is read before one of them is packed: an archive is no place to go on from.
    if (pieces_) return;
    if (has_pieces()) collect();
    const std::string name = rotated_.front();
    rotated_.pop_front();
    const std::string suffix = any(2) ? ".gz" : ".zst";
    const std::string packed = suffix == ".gz" ? test::gzip(content(name)) : test::zstd(content(name));
    if (any(2)) {
      pack(name, suffix);
    } else {
      write(name + suffix, std::string_view(packed).substr(0, any(packed.size() + 1)));
      archives_[name] = {name + suffix, packed};
    }
  }
  void finish_archives() {
    for (const auto& [name, archive] : archives_) {
      rewrite(archive.first, archive.second);
      remove(name);
    }
    archives_.clear();
  }
  void copy_and_truncate() {
    if (live_is_empty() || is_linked_) return;
    finish_line();
    finish_pieces();
    // Container runtimes rename: of a copy nobody knows which file it came after.
    const bool is_all_read = has_pieces() || any(2) == 0;
    if (is_all_read) collect_all();
    const std::string to = "etl.log." + std::to_string(++rotations_);
    bool is_shorter = false;
    if (!has_pieces() && (!is_all_read || any(2))) {
      copy("etl.log", to);
      rotated_.push_back(to);
      // What is written and read before the cut, the copy has not. A start in between would not know it any more.
      if (is_all_read && any(2)) {
        write_line();
        collect();
        is_shorter = true;
      }
    }
    if (any(2) && is_all_read) collect();
    rewrite("etl.log", "");
    is_fresh_cut_ = true;
    if (is_shorter) collect_all();
    if (any(2)) collect();
  }
  // What was seen by its size and not read is lost, to the byte.
  void cut_unread() {
    if (live_is_empty() || is_linked_ || settings_.open_files_max < 10) return;
    finish_line();
    finish_pieces();
    collect_all();
    const std::size_t kept = written_.size();
    const auto size = std::filesystem::file_size(path("etl.log"));
    for (std::uint64_t n = 1 + any(3); n > 0; --n) write_line();
    to_lose_ += static_cast<double>(std::filesystem::file_size(path("etl.log")) - size);
    written_.resize(kept);
    source_->scan(now_);
    rewrite("etl.log", "");
    is_fresh_cut_ = true;
    collect();
  }
  void remove_live() {
    if (live_is_empty() || is_linked_) return;
    finish_line();
    finish_pieces();
    collect_all();
    remove("etl.log");
  }
  void switch_link() {
    if (!is_linked_) return;
    finish_line();
    finish_pieces();
    collect_all();
    link("target-" + std::to_string(++rotations_), "etl.log");
  }

  // ---- what happens to the agent ----

  void collect() {
    // With few files open, others come when time has gone by.
    for (int turns = settings_.open_files_max > 6 ? 1 : 2 + rotations_ / 2; turns > 0; --turns) {
      for (std::string& text : read_all()) got_.push_back(std::move(text));
      wait(std::chrono::milliseconds(1));
    }
  }
  // With what only time makes whole: nobody can find it again when the file is gone.
  void collect_all() {
    collect();
    wait(std::chrono::seconds(40));  // the clock may have gone back by 30
    collect();
  }
  void stop_and_start() {
    if (any(2)) {
      source_->scan(now_);
      for (std::string& text : read(static_cast<int>(any(4)))) got_.push_back(std::move(text));
    }
    any(3) == 0 ? restart_from_database() : restart();
  }
  void turn_clock() {
    // Pieces are given up after their time, and a trace may end.
    const int seconds = pieces_ ? static_cast<int>(any(3)) : static_cast<int>(any(120)) - 30;
    // Never far behind the clock of the file system: a file written in the future is taken for one being written.
    now_ = std::max(now_ + std::chrono::seconds(seconds), clock_.now() - std::chrono::seconds(30));
  }

  void step() {
    switch (any(16)) {
      case 0:
      case 1:
        return rotate();
      case 2:
        return pack_one();
      case 3:
        return finish_archives();
      case 4:
        return copy_and_truncate();
      case 5:
        return any(4) ? switch_link() : any(2) ? remove_live() : cut_unread();
      case 6:
      case 7:
        return stop_and_start();
      case 8:
      case 9:
      case 10:
        return collect();
      case 11:
        return turn_clock();
      default:
        return write_some();
    }
  }
  void finish() {
    finish_line();
    finish_pieces();
    finish_archives();
    for (int looks = 0; looks < 8; ++looks) {
      collect();
      wait(std::chrono::seconds(20));
    }
  }

  static bool is_in_order(const Texts& texts) {
    int last = -1;
    for (const std::string& text : texts) {
      const std::size_t digits = text.find_first_of("0123456789");
      if (!text.starts_with("{\"n\":") || text[5] == '[' || digits == std::string::npos) continue;
      const int number = std::stoi(text.substr(digits));
      if (number <= last) return false;
      last = number;
    }
    return true;
  }

  std::mt19937_64 random_;
  Style style_ = Style::kPlain;
  bool is_linked_ = false, pieces_ = false, is_fresh_cut_ = false;
  int number_ = 0, rotations_ = 0, began_in_ = 0;
  double to_lose_ = 0;  // bytes
  std::string unfinished_, middle_;
  Texts written_, got_;
  std::deque<std::string> rotated_;                                      // oldest first
  std::map<std::string, std::pair<std::string, std::string>> archives_;  // in the making: by what is packed
};

TEST_F(FileSourceModel, EveryUnitIsReadOnceWhateverHappens) {
  const std::uint64_t seed = test::seed();
  const std::uint64_t histories = test::by_scale<std::uint64_t>(50, 1000);
  for (std::uint64_t history = 0; history < histories; ++history) {
    begin(seed + history);
    for (int steps = 0; steps < 60; ++steps) step();
    finish();
    std::sort(written_.begin(), written_.end());
    std::sort(got_.begin(), got_.end());
    Texts missing, surplus;
    std::set_difference(written_.begin(), written_.end(), got_.begin(), got_.end(), std::back_inserter(missing));
    std::set_difference(got_.begin(), got_.end(), written_.begin(), written_.end(), std::back_inserter(surplus));
    ASSERT_EQ(std::make_pair(missing, surplus), std::make_pair(Texts{}, Texts{}))
        << "again with RUNTAIL_TEST_SEED=" << seed + history << ", the first history";
    ASSERT_EQ(orphans_, 0u) << "again with RUNTAIL_TEST_SEED=" << seed + history;
    ASSERT_EQ(lost(), to_lose_) << "again with RUNTAIL_TEST_SEED=" << seed + history;
    for (const auto& [file, texts] : by_file_) {
      ASSERT_TRUE(is_in_order(texts)) << "again with RUNTAIL_TEST_SEED=" << seed + history;
    }
    ASSERT_FALSE(HasFailure()) << "again with RUNTAIL_TEST_SEED=" << seed + history;
  }
}

}  // namespace
}  // namespace runtail
