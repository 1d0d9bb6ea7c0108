// Framing over several files and lives: units are the same wherever reading stops and starts.
#include "tests/unit/parsers/framing_scene.h"

namespace runtail::test {
namespace {

// ---- over files and restarts ----

TEST(Framing, PiecesGoOnInTheNextFileAndTracesDoNot) {
  Feed first, second;
  first.lines({cri("x"), cri("{\"a\":", "P"), cri("Error: x", "F", "stderr")});
  std::vector<Unit> out;
  first.framing.finish_traces(out);
  keep(out, first.units);
  EXPECT_EQ(first.texts(), (Texts{"x", "Error: x"}));
  second.framing.carry_over(first.framing);
  EXPECT_TRUE(second.framing.has_open());
  EXPECT_TRUE(second.framing.has_carried());
  EXPECT_EQ(second.framing.oldest_open(), 0u);
  second.lines({cri("    at y (x.js:1:1)", "F", "stderr"), cri("1}"), cri("{}")});
  EXPECT_EQ(second.texts(), (Texts{"    at y (x.js:1:1)", R"({"a":1})", "{}"}));
  EXPECT_TRUE(second.units[1].carried);
  EXPECT_EQ(second.units[1].offset, first.units[0].end);
  EXPECT_FALSE(second.units[2].carried);
  EXPECT_FALSE(second.framing.has_carried());
}

TEST(Framing, CarriedPiecesWaitForTheirRestToo) {
  Feed first, second;
  first.line(cri("{\"a\":", "P"));
  second.framing.carry_over(first.framing);
  second.after(seconds(31)).lines({cri("1}"), cri("{}")});
  EXPECT_EQ(second.texts(), (Texts{"<orphan>", "<orphan>", "{}"}));
  EXPECT_TRUE(second.units[0].carried);
}

TEST(Framing, SkippedLinesRebuildWhatIsOpen) {
  const Texts all = {docker("{\"a\":"), docker("err\n", "stderr"), docker("Error: x\n", "stderr"), docker("1}\n"),
                     docker("{}\n", "stderr")};
  Feed before;
  for (std::size_t i = 0; i < 3; ++i) before.line(all[i]);
  ASSERT_EQ(before.texts(), (Texts{"err"}));
  ASSERT_EQ(before.framing.oldest_open(), 0u);
  Feed again;
  again.framing.skip_to(before.offset);
  for (std::size_t i = 0; i < 2; ++i) again.line(all[i]).after(seconds(0));
  EXPECT_FALSE(again.framing.due());
  for (std::size_t i = 2; i < 5; ++i) again.line(all[i]);
  EXPECT_EQ(again.texts(), (Texts{R"({"a":1})", "Error: x", "{}"}));
}

TEST(Framing, WhatIsFlushedAfterARestartIsGivenOut) {
  const std::string piece = docker("{\"a\":"), other = docker("err\n", "stderr");
  Feed again;
  again.framing.skip_to(piece.size() + other.size() + 2);
  again.lines({piece, other}).after(seconds(30));
  EXPECT_EQ(again.texts(), (Texts{"<orphan>"}));
}

// A worker of two outputs whose lines, pieces and traces interleave, in one of the envelopes or nested in two.
class Writer {
 public:
  explicit Writer(std::mt19937_64& random) : random_(random) {}

  std::vector<std::string> lines(std::size_t count) {
    shape_ = pick(kNested + 1);
    std::vector<std::string> all;
    while (all.size() < count) {
      const bool is_error = pick(2) != 0;
      std::vector<std::string>& waiting = waiting_[is_error];
      if (waiting.empty()) {
        for (const std::string& text : next_text()) wrap(text, is_error, waiting);
        std::reverse(waiting.begin(), waiting.end());
      }
      all.push_back(waiting.back());
      waiting.pop_back();
      if (pick(40) == 0) all.push_back("plain Error: between");
      if (pick(60) == 0) all.push_back("");
      if (shape_ != kNested && pick(60) == 0) waiting.clear();  // the rest is never written
    }
    return all;
  }

 private:
  std::size_t pick(std::size_t below) { return random_() % below; }

  std::vector<std::string> next_text() {
    static const std::vector<std::vector<std::string>> kTexts = {
        {R"({"level":"info","msg":"loaded","rows":[1,2,3]})"},
        {R"({"level":"info","msg":"a rather longer line that is often cut in pieces","x":{"y":"z"}})"},
        {"INFO nothing of note"},
        {""},
        {"ValueError: alone"},
        {"Traceback (most recent call last):", "  File \"a.py\", line 1", "    f()", "KeyError: 'x'", "",
         "During handling of the above exception, another exception occurred:", "",
         "Traceback (most recent call last):", "  File \"a.py\", line 3", "RuntimeError: y"},
        {"java.lang.IllegalStateException: x", "\tat a.B.c(B.java:1)", "Caused by: java.io.IOException: y",
         "\tat a.B.d(B.java:2)", "\t... 3 more"},
        {"panic: x", "", "goroutine 1 [running]:", "main.main()", "\t/app/main.go:3 +0x20"},
        {"    at nowhere (x.js:1:1)", "Caused by: java.io.IOException: late", "\tat a.B.d(B.java:2)"}};
    return kTexts[pick(kTexts.size())];
  }

  void wrap(const std::string& text, bool is_error, std::vector<std::string>& into) {
    const std::string_view stream = is_error ? "stderr" : "stdout";
    if (shape_ == 0) {
      into.push_back(text);
      return;
    }
    const std::string id = std::to_string(++id_);
    std::size_t at = 0;
    int ordinal = 0;
    do {
      const std::size_t size = pick(3) == 0 ? 1 + pick(20) : text.size();
      const bool last = at + size >= text.size();
      const std::string piece = text.substr(at, size);
      at += size;
      ++ordinal;
      if (shape_ == 1) {
        into.push_back(docker(last ? piece + "\n" : piece, stream));
      } else if (shape_ == 2) {
        into.push_back(cri(piece, last ? "F" : "P", stream));
      } else if (shape_ == 3) {
        into.push_back("{\"source\":\"" + std::string(stream) +
                       "\",\"container_id\":\"c\",\"partial_message\":\"true\"," + "\"partial_id\":\"" + id +
                       "\",\"partial_ordinal\":\"" + std::to_string(ordinal) + "\",\"partial_last\":\"" +
                       (last ? "true" : "false") + "\",\"log\":" + json_string(piece) + "}");
      } else {
        const std::string inner = docker(last ? piece + "\n" : piece, stream);
        const std::size_t cut = pick(2) == 0 ? 0 : pick(inner.size());
        if (cut > 0) into.push_back(cri(inner.substr(0, cut), "P", stream));
        into.push_back(cri(inner.substr(cut), "F", stream));
      }
    } while (at < text.size());
  }

  std::mt19937_64& random_;
  static constexpr std::size_t kNested = 4;
  std::size_t shape_ = 0;
  int id_ = 0;
  std::vector<std::string> waiting_[2];
};

struct Source {
  std::vector<std::string> lines;
  std::vector<std::uint64_t> offsets;  // one more than lines
  std::vector<bool> pause;             // a long silence before this line
};

void play(Framing& framing, const Source& source, std::size_t from, std::size_t to, std::size_t lived,
          std::vector<Kept>& units) {
  for (std::size_t i = from; i < to; ++i) {
    std::vector<Unit> out;
    framing.begin_block();
    const TimePoint now = from_micros(1'700'000'000'000'000) + static_cast<int>(i) * seconds(100);
    // A silence in an earlier life is not lived through again.
    if (source.pause[i] && i >= lived) framing.flush_due(now, out);
    framing.add(source.offsets[i], source.offsets[i + 1] - source.offsets[i], source.lines[i], now, out);
    keep(out, units);
  }
}

TEST(Framing, TheSameLinesGiveTheSameUnitsWhereverReadingStopsAndStarts) {
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < test::by_scale(400, 20'000); ++round) {
    Source source;
    source.lines = Writer(random).lines(20 + random() % 120);
    source.offsets.push_back(0);
    for (const std::string& line : source.lines) {
      source.offsets.push_back(source.offsets.back() + line.size() + 1);
      source.pause.push_back(random() % 30 == 0);
    }
    FramingSettings settings;
    settings.trace_lines_max = 2 + random() % 12;
    settings.unit_bytes_max = 20 + random() % 200;

    std::vector<Kept> whole, pieced;
    Framing uninterrupted(settings);
    play(uninterrupted, source, 0, source.lines.size(), 0, whole);
    std::vector<Unit> out;
    uninterrupted.finish(out);
    keep(out, whole);
    std::uint32_t lines = 0;
    for (const Kept& unit : whole) lines += unit.lines;
    ASSERT_EQ(lines, source.lines.size()) << "each line is in one unit";

    std::size_t at = 0, resume = 0;
    while (true) {
      Framing framing(settings);
      if (at != 0) {
        framing.skip_to(source.offsets[at]);
        framing.begin_in_the_dark();
      }
      const std::size_t to = std::min(source.lines.size(), at + 1 + random() % 40);
      play(framing, source, resume, to, at, pieced);
      at = to;
      if (at == source.lines.size()) {
        out.clear();
        framing.finish(out);
        keep(out, pieced);
        break;
      }
      const std::uint64_t oldest = framing.has_open() ? framing.oldest_open() : source.offsets[at];
      const auto found = std::lower_bound(source.offsets.begin(), source.offsets.end(), oldest);
      ASSERT_EQ(*found, oldest);
      resume = static_cast<std::size_t>(found - source.offsets.begin());
      ASSERT_LE(resume, at);
    }
    for (std::size_t i = 0; i < std::min(whole.size(), pieced.size()); ++i) {
      ASSERT_EQ(pieced[i], whole[i]) << "round " << round << ", unit " << i;
    }
    ASSERT_EQ(pieced.size(), whole.size()) << "round " << round;
  }
}

}  // namespace
}  // namespace runtail::test
