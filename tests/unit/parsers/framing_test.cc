#include "tests/unit/parsers/framing_scene.h"

namespace runtail::test {
namespace {

// ---- plain lines ----

TEST(Framing, PlainLinesPassAsTheyAre) {
  Feed feed;
  feed.lines({R"({"msg":"a"})", "INFO text", "", R"({"log":"cut)", "\xff\xfe{"});
  EXPECT_EQ(feed.texts(), (Texts{R"({"msg":"a"})", "INFO text", "", R"({"log":"cut)", "\xff\xfe{"}));
  EXPECT_EQ(feed.units[1].offset, 12u);
  EXPECT_EQ(feed.units[1].end, 22u);
  EXPECT_FALSE(feed.framing.has_open());
  EXPECT_FALSE(feed.framing.due());
}

TEST(Framing, NoneAndNoTracesIsAPassThrough) {
  FramingSettings settings;
  settings.envelope = Envelope::kNone;
  settings.join_traces = false;
  Feed feed(settings);
  feed.lines({docker("a\n"), cri("b", "P"), "Traceback (most recent call last):"});
  EXPECT_EQ(feed.texts(), (Texts{docker("a\n"), cri("b", "P"), "Traceback (most recent call last):"}));
  EXPECT_EQ(feed.units[0].output, Output::kUnknown);
}

TEST(Framing, ALineOverTheLimitIsTooLong) {
  FramingSettings settings;
  settings.unit_bytes_max = 10;
  Feed feed(settings);
  feed.lines({"0123456789", "0123456789x", "Error: 890123"}).too_long(100).line("y").finish();
  EXPECT_EQ(feed.texts(), (Texts{"0123456789", "<too long>", "<too long>", "<too long>", "y"}));
  EXPECT_EQ(feed.units[3].end - feed.units[3].offset, 100u);
  EXPECT_EQ(feed.units[1].text, "");
}

// ---- pieces ----

TEST(Framing, DockerPiecesAreJoinedPerOutput) {
  Feed feed;
  feed.lines({docker("{\"msg\":", "stdout", "01"), docker("oops\n", "stderr", "02"), docker("\"x\"", "stdout", "03")});
  EXPECT_EQ(feed.texts(), (Texts{"oops"}));
  EXPECT_TRUE(feed.framing.has_open());
  EXPECT_EQ(feed.framing.oldest_open(), 0u);
  feed.line(docker("}\n", "stdout", "04"));
  EXPECT_EQ(feed.texts(), (Texts{"oops", R"({"msg":"x"})"}));
  const Kept& joined = feed.units[1];
  EXPECT_EQ(joined.offset, 0u);
  EXPECT_EQ(joined.end, feed.offset);
  EXPECT_EQ(joined.lines, 3u);
  EXPECT_EQ(joined.output, Output::kStdout);
  EXPECT_EQ(to_rfc3339(joined.time.value()), "2026-03-01T00:00:01.500000Z");
  EXPECT_EQ(feed.units[0].output, Output::kStderr);
  EXPECT_FALSE(feed.framing.has_open());
}

TEST(Framing, CriPiecesEndWithFEvenIfItIsEmpty) {
  Feed feed;
  feed.lines({cri("ab", "P"), cri("cd", "P:x"), cri("other", "F", "stderr"), cri("ef"), cri("gh", "P"), cri(""),
              cri(""), cri("ij")});
  EXPECT_EQ(feed.texts(), (Texts{"other", "abcdef", "gh", "", "ij"}));
}

TEST(Framing, ACharacterCutBetweenCriPiecesIsWholeAgain) {
  Feed feed;
  feed.lines({cri("caf\xc3", "P"), cri("\xa9")});
  EXPECT_EQ(feed.texts(), (Texts{"caf\xc3\xa9"}));
}

TEST(Framing, ACharacterDockerReplacedDoesNotDisturb) {
  Feed feed;
  feed.lines({docker("caf\xef\xbf\xbd"), docker("\xef\xbf\xbd ok\n")});
  EXPECT_EQ(feed.texts(), (Texts{"caf\xef\xbf\xbd\xef\xbf\xbd ok"}));
}

TEST(Framing, JournaldPiecesAreJoinedPerContainer) {
  const auto entry = [](std::string_view text, std::string_view container, bool more) {
    return "{\"MESSAGE\":" + json_string(text) + ",\"__REALTIME_TIMESTAMP\":\"1772323202000000\",\"CONTAINER_ID\":\"" +
           std::string(container) + "\"" + (more ? ",\"CONTAINER_PARTIAL_MESSAGE\":\"true\"" : "") + "}";
  };
  Feed feed;
  feed.lines({entry("a", "1", true), entry("x", "2", true), entry("b", "1", false), entry("y", "2", false)});
  EXPECT_EQ(feed.texts(), (Texts{"ab", "xy"}));
  EXPECT_EQ(to_micros(feed.units[0].time.value()), 1772323202000000);
}

TEST(Framing, FluentPiecesAreJoinedToTheLast) {
  Feed feed;
  feed.lines({fluent_piece("a", "i", 1, false), fluent_piece("b", "i", 2, false), fluent_piece("c", "i", 3, true),
              fluent("d", "")});
  EXPECT_EQ(feed.texts(), (Texts{"abc", "d"}));
}

TEST(Framing, FluentPiecesWithoutABeginningAreOneOrphan) {
  Feed feed;
  feed.lines({fluent_piece("b\":1", "i", 2, false), fluent_piece("}", "i", 3, true), fluent_piece("z", "j", 7, true),
              fluent("d", "")});
  EXPECT_EQ(feed.texts(), (Texts{"<orphan>", "<orphan>", "d"}));
  EXPECT_EQ(feed.units[0].lines, 2u);
  EXPECT_EQ(feed.units[0].text, "");
}

TEST(Framing, AMissingPieceMakesTheUnitAnOrphan) {
  Feed feed;
  feed.lines({fluent_piece("a", "i", 1, false), fluent_piece("c", "i", 3, true), fluent("d", "")});
  EXPECT_EQ(feed.texts(), (Texts{"<orphan>", "d"}));
}

TEST(Framing, WhereEveryPieceIsFlaggedANewIdOrANewlineEndsTheText) {
  const auto flagged = [](std::string_view log, std::string_view id) {
    return fluent(log, ",\"partial_message\":\"true\",\"partial_id\":\"" + std::string(id) + "\"");
  };
  Feed feed;
  feed.lines({flagged("a", "i"), flagged("b", "i"), flagged("c", "j"), flagged("d\n", "j"), flagged("e", "k"),
              fluent("f", "")});
  EXPECT_EQ(feed.texts(), (Texts{"ab", "cd", "e", "f"}));
}

TEST(Framing, PiecesThatSayMoreFollowsAreCutWhereANewIdBegins) {
  Feed feed;
  feed.lines({fluent_piece("a", "i", 1, false), fluent_piece("b", "j", 1, false), fluent_piece("}", "j", 2, true)});
  EXPECT_EQ(feed.texts(), (Texts{"<orphan>", "b}"}));
}

TEST(Framing, PiecesOfUnnamedContainersAreToldApartByTheirId) {
  const auto piece = [](std::string_view log, std::string_view id, int ordinal, bool last) {
    return "{\"log\":" + json_string(log) + ",\"source\":\"stdout\",\"partial_message\":\"true\",\"partial_id\":\"" +
           std::string(id) + "\",\"partial_ordinal\":\"" + std::to_string(ordinal) + "\",\"partial_last\":\"" +
           (last ? "true" : "false") + "\"}";
  };
  Feed feed;
  feed.lines(
      {piece("a", "i", 1, false), piece("x", "j", 1, false), piece("b", "i", 2, true), piece("y", "j", 2, true)});
  EXPECT_EQ(feed.texts(), (Texts{"ab", "xy"}));
}

TEST(Framing, EnvelopesArePeeledThreeDeepInAnyNesting) {
  Feed feed;
  feed.lines({cri(docker(fluent("deep", "") + "\n", "stderr")), docker(cri(docker(docker("four\n") + "\n")) + "\n"),
              docker(cri("ab", "P") + "\n"), docker(cri("cd", "F") + "\n")});
  EXPECT_EQ(feed.texts(), (Texts{"deep", docker("four\n"), "abcd"}));
  EXPECT_EQ(feed.units[0].output, Output::kStdout) << "the innermost layer that says it";
  EXPECT_EQ(feed.units[2].lines, 2u);
}

TEST(Framing, PiecesOfTwoLayersAreJoinedInBoth) {
  const std::string inner_first = docker("{\"a\":"), inner_last = docker("1}\n", "stdout", "09");
  Feed feed;
  feed.lines({cri(inner_first.substr(0, 20), "P"), cri(inner_first.substr(20)), cri(inner_last.substr(0, 5), "P"),
              cri("err", "F", "stderr"), cri(inner_last.substr(5))});
  EXPECT_EQ(feed.texts(), (Texts{"err", R"({"a":1})"}));
  EXPECT_EQ(feed.units[1].lines, 4u);
  EXPECT_EQ(feed.units[1].offset, 0u);
  EXPECT_EQ(to_rfc3339(feed.units[1].time.value()), "2026-03-01T00:00:02.500000Z");
}

TEST(Framing, TheInnermostTimeWinsAndAnOuterOneFillsIn) {
  Feed feed;
  feed.lines({"2026-03-01T00:00:07Z stdout F " + docker("x\n", "stdout", "03"),
              "2026-03-01T00:00:07Z stdout F " + fluent("y", "")});
  EXPECT_EQ(to_rfc3339(feed.units[0].time.value()), "2026-03-01T00:00:03.500000Z");
  EXPECT_EQ(to_rfc3339(feed.units[1].time.value()), "2026-03-01T00:00:07.000000Z");
}

TEST(Framing, JoinedPiecesOverTheLimitAreTooLongAndKeepTheirRange) {
  FramingSettings settings;
  settings.unit_bytes_max = 8;
  Feed feed(settings);
  feed.lines({cri("12345", "P"), cri("12345", "P"), cri("12345", "P"), cri("1"), cri("next")});
  EXPECT_EQ(feed.texts(), (Texts{"<too long>", "next"}));
  EXPECT_EQ(feed.units[0].lines, 4u);
  EXPECT_EQ(feed.units[0].offset, 0u);
  EXPECT_EQ(feed.units[0].end, feed.units[1].offset);
}

TEST(Framing, WhatIsOverTheLimitIsNotHeld) {
  const auto in_use = [] {
    const struct mallinfo2 memory = mallinfo2();
    return memory.uordblks + memory.hblkhd;
  };
  FramingSettings settings;
  settings.unit_bytes_max = 10'000;
  Feed feed(settings);
  const std::string piece = cri(std::string(9'000, 'x'), "P");
  feed.line(piece);
  const std::size_t before = in_use();
  for (int i = 0; i < 1000; ++i) feed.line(piece);
  EXPECT_LT(in_use(), before + 100'000);
  EXPECT_EQ(feed.finish().texts(), (Texts{"<too long>"}));
}

TEST(Framing, ALineTooLongToBeHeldBreaksWhatIsOpen) {
  Feed feed;
  feed.lines({cri("{\"a\":", "P"), cri("Error: x", "F", "stderr")}).too_long(50).lines({cri("1}"), cri("b")});
  EXPECT_EQ(feed.texts(), (Texts{"Error: x", "<too long>", "<orphan>", "b"}));
}

TEST(Framing, PiecesWhoseRestDoesNotComeAreOrphans) {
  Feed feed;
  feed.line(cri("{\"type\":\"RECORD\",", "P"));
  EXPECT_EQ(feed.framing.due(), feed.now + seconds(30));
  feed.after(seconds(29));
  EXPECT_EQ(feed.texts(), Texts{});
  feed.after(seconds(1));
  EXPECT_EQ(feed.texts(), (Texts{"<orphan>"}));
  EXPECT_EQ(feed.units[0].text, "");
  EXPECT_FALSE(feed.framing.has_open());
}

TEST(Framing, TheLateRestOfAnOrphanIsAnOrphanAndTheNextLineIsNot) {
  Feed feed;
  feed.line(cri("{\"type\":\"RECORD\",", "P"))
      .after(seconds(31))
      .lines({cri("\"record\":{\"a\":1}}"), cri("{\"b\":2}")});
  EXPECT_EQ(feed.texts(), (Texts{"<orphan>", "<orphan>", "{\"b\":2}"}));
  Feed restarted_worker;
  restarted_worker.line(cri("{\"type\":\"RECORD\",", "P")).after(seconds(31)).lines({cri("{\"b\":2}")});
  EXPECT_EQ(restarted_worker.texts(), (Texts{"<orphan>", "{\"b\":2}"})) << "a whole line is not the rest of anything";
}

TEST(Framing, TheEndOfTheSourceLeavesOpenPiecesAsOrphans) {
  Feed feed;
  feed.lines({docker("{\"a\""), docker("ValueError: x\n", "stderr")}).finish();
  EXPECT_EQ(feed.texts(), (Texts{"<orphan>", "ValueError: x"}));
}

TEST(Framing, BeyondTheOpenUnitsTheOldestIsGivenOut) {
  Feed feed;
  for (std::size_t i = 0; i <= Framing::kOpenUnitsMax; ++i) {
    feed.line("{\"log\":\"a\",\"source\":\"stdout\",\"container_id\":\"" + std::to_string(i) +
              "\",\"partial_message\":\"true\",\"partial_last\":\"false\"}");
  }
  ASSERT_EQ(feed.texts(), (Texts{"<orphan>"}));
  EXPECT_EQ(feed.units[0].offset, 0u);
  feed.finish();
  EXPECT_EQ(feed.units.size(), Framing::kOpenUnitsMax + 1);
}

TEST(Framing, AnEnvelopeThatDoesNotParseIsTakenAsItIs) {
  FramingSettings settings;
  settings.envelope = Envelope::kDocker;
  Feed feed(settings);
  const std::string cut = docker("{\"a\":1}\n").substr(0, 30);
  feed.lines({docker("a"), cut, "NUL \x01", docker("b\n")});
  EXPECT_EQ(feed.texts(), (Texts{cut, "NUL \x01", "ab"}));
}

TEST(Framing, HostileLinesAreTakenAsTheyAre) {
  const std::string deep = "{\"log\":" + std::string(100'000, '[');
  const std::string escapes = R"({"log":"\ud800\u","stream":"stdout","time":"x"})";
  Feed feed;
  feed.lines({deep, escapes, "{\"log\":\"" + std::string(50'000, '\\')});
  EXPECT_EQ(feed.units.size(), 3u);
  EXPECT_EQ(feed.units[0].text, deep);
  EXPECT_EQ(feed.units[1].text, escapes);
}

// ---- where the beginning is unknown ----

TEST(Framing, InTheDarkTheRestOfAJsonLineIsAnOrphanOnEachOutput) {
  Feed feed;
  feed.framing.begin_in_the_dark();
  feed.lines({docker("rs\":{\"a\":1},\"type\":\"RECORD\"}\n"), docker("1}", "stderr"), docker("}\n", "stderr"),
              docker("{\"b\":2}\n"), docker("}\n")});
  EXPECT_EQ(feed.texts(), (Texts{"<orphan>", "<orphan>", "{\"b\":2}", "}"}));
}

TEST(Framing, InTheDarkAGoodFirstLineStays) {
  for (const std::string text : {"INFO loaded {5} rows", "{\"type\":\"RECORD\"}", "[1,2]", "", "done {a: 1}"}) {
    Feed feed;
    feed.framing.begin_in_the_dark();
    feed.line(docker(text + "\n"));
    EXPECT_EQ(feed.texts(), (Texts{text}));
  }
  Feed plain;
  plain.framing.begin_in_the_dark();
  EXPECT_EQ(plain.line("}").texts(), (Texts{"}"})) << "a line without envelope is never a piece";
}

// ---- traces ----

const std::initializer_list<std::string> kTrace = {"Traceback (most recent call last):", "  File \"a.py\", line 1",
                                                   "ValueError: x"};
const std::string kJoinedTrace = "Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: x";

TEST(Framing, ATraceIsOneUnitFromItsFirstByte) {
  Feed feed;
  feed.line("INFO before").lines(kTrace);
  EXPECT_EQ(feed.texts(), (Texts{"INFO before"}));
  EXPECT_EQ(feed.framing.oldest_open(), 12u);
  const std::uint64_t end = feed.offset;
  feed.line("INFO after");
  EXPECT_EQ(feed.texts(), (Texts{"INFO before", kJoinedTrace, "INFO after"}));
  EXPECT_EQ(feed.units[1].offset, 12u);
  EXPECT_EQ(feed.units[1].end, end);
  EXPECT_EQ(feed.units[1].lines, 3u);
}

TEST(Framing, JsonNeverBelongsToATraceAndEndsIt) {
  Feed feed;
  feed.lines(kTrace).line(R"({"msg":"Error: at x"})").line("    at late (x.js:1:1)");
  EXPECT_EQ(feed.texts(), (Texts{kJoinedTrace, R"({"msg":"Error: at x"})", "    at late (x.js:1:1)"}));
}

TEST(Framing, TracesOfTwoOutputsDoNotMix) {
  Feed feed;
  feed.lines({docker("Error: a\n"), docker("Error: b\n", "stderr"), docker("    at a (x.js:1:1)\n"),
              docker("    at b (x.js:1:1)\n", "stderr"), docker("{}\n"), docker("{}\n", "stderr")});
  EXPECT_EQ(feed.texts(), (Texts{"Error: a\n    at a (x.js:1:1)", "{}", "Error: b\n    at b (x.js:1:1)", "{}"}));
  EXPECT_EQ(feed.units[0].output, Output::kStdout);
  EXPECT_EQ(feed.units[0].lines, 2u);
}

TEST(Framing, ALineOfATraceMayComeInPieces) {
  Feed feed;
  feed.lines({cri("Traceback (most recent ", "P"), cri("call last):"), cri("  File", "P"), cri(" \"a.py\", line 1"),
              cri("ValueError: x"), cri("{}")});
  EXPECT_EQ(feed.texts(), (Texts{kJoinedTrace, "{}"}));
  EXPECT_EQ(feed.units[0].lines, 5u);
}

TEST(Framing, APossibleFirstLineIsHeldForTheNextOrTheWait) {
  Feed feed;
  feed.line("ValueError: x");
  EXPECT_EQ(feed.texts(), Texts{});
  feed.line("INFO next");
  EXPECT_EQ(feed.texts(), (Texts{"ValueError: x", "INFO next"}));
  feed.line("ValueError: y").after(milliseconds(999));
  EXPECT_EQ(feed.units.size(), 2u);
  EXPECT_EQ(feed.framing.due(), feed.now + milliseconds(1));
  feed.after(milliseconds(1));
  EXPECT_EQ(feed.texts().back(), "ValueError: y");
  EXPECT_FALSE(feed.framing.due());
}

TEST(Framing, ALineAfterATimedFlushIsAUnitOfItsOwn) {
  Feed feed;
  feed.lines({"Error: x", "    at a (x.js:1:1)"}).after(seconds(1)).line("    at b (x.js:2:1)").after(seconds(5));
  EXPECT_EQ(feed.texts(), (Texts{"Error: x\n    at a (x.js:1:1)", "    at b (x.js:2:1)"}));
}

TEST(Framing, ATraceWaitsFromItsLastLine) {
  Feed feed;
  feed.line("Error: x").after(milliseconds(600)).line("    at a (x.js:1:1)").after(milliseconds(600));
  EXPECT_EQ(feed.texts(), Texts{});
  feed.after(milliseconds(400));
  EXPECT_EQ(feed.units.size(), 1u);
}

TEST(Framing, ATraceOverTheLineLimitIsGivenOutAndTheNextLineIsItsOwn) {
  FramingSettings settings;
  settings.trace_lines_max = 3;
  Feed feed(settings);
  feed.lines({"Error: x", "    at a (x.js:1:1)", "    at b (x.js:1:1)", "    at c (x.js:1:1)", "    at d (x.js:1:1)"});
  EXPECT_EQ(feed.texts(), (Texts{"Error: x\n    at a (x.js:1:1)\n    at b (x.js:1:1)", "    at c (x.js:1:1)",
                                 "    at d (x.js:1:1)"}));
}

TEST(Framing, ATraceOverTheByteLimitIsGivenOutAsItStands) {
  FramingSettings settings;
  settings.unit_bytes_max = 30;
  Feed feed(settings);
  feed.lines({"Error: x", "    at a (x.js:1:1)", "    at b (x.js:1:1)"}).finish();
  EXPECT_EQ(feed.texts(), (Texts{"Error: x\n    at a (x.js:1:1)", "    at b (x.js:1:1)"}));
  EXPECT_FALSE(feed.units[0].too_long);
}

TEST(Framing, ABlankLineBehindATraceIsNotPartOfItsText) {
  Feed feed;
  feed.lines(kTrace).lines({"", "INFO next"});
  EXPECT_EQ(feed.texts(), (Texts{kJoinedTrace, "INFO next"}));
  EXPECT_EQ(feed.units[0].lines, 4u);
}

TEST(Framing, OpenUnitsAreGivenOutTogetherOnceAllAreDue) {
  Feed feed;
  feed.line(docker("Error: x\n", "stderr")).line(docker("{\"a\":")).after(seconds(2));
  EXPECT_EQ(feed.texts(), Texts{}) << "resume could not pass the trace while the older piece is open";
  feed.line(docker("1}\n")).after(milliseconds(0));
  EXPECT_EQ(feed.texts(), (Texts{R"({"a":1})", "Error: x"}));
}

TEST(Framing, AnOverdueUnitDoesNotWaitForOthersForever) {
  Feed feed;
  feed.line(docker("Error: x\n", "stderr"));
  for (int i = 0; i < 62; ++i) feed.line(docker("Error: y\n")).after(milliseconds(500));
  const auto texts = feed.texts();
  EXPECT_EQ(std::count(texts.begin(), texts.end(), "Error: x"), 1);
}

TEST(Framing, AnOverdueUnitGoesOnlyWithALineSoThatItEndsInWhatIsCovered) {
  Feed feed;
  feed.line(docker("Error: x\n", "stderr")).line(docker("{\"a\":["));
  for (int i = 0; i < 6; ++i) feed.after(seconds(5)).line(docker("0,"));
  feed.framing.begin_block();
  feed.after(seconds(2));
  EXPECT_EQ(feed.texts(), Texts{}) << "overdue, but no byte more was read";
  EXPECT_GT(feed.framing.due(), feed.now) << "nobody is woken for it again and again";
  feed.line(docker("1]}\n", "stdout")).after(seconds(0));
  EXPECT_EQ(feed.texts(), (Texts{R"({"a":[0,0,0,0,0,0,1]})", "Error: x"}));
}

TEST(Framing, PiecesOfManyTogetherAreBoundedTheOldestAreSetAside) {
  FramingSettings settings;
  settings.unit_bytes_max = 1 << 20;
  Feed feed(settings);
  const auto piece = [](int container, int ordinal, std::string_view text) {
    std::string line = fluent_piece(text, "id", ordinal, ordinal == 2);
    return line.replace(line.find("\"c1\""), 4, "\"c" + std::to_string(container) + "\"");
  };
  for (int i = 0; i < 12; ++i) feed.line(piece(i, 1, std::string(900'000, 'x'))).after(milliseconds(1));
  for (int i = 0; i < 12; ++i) feed.line(piece(i, 2, "end"));
  ASSERT_EQ(feed.units.size(), 12u);
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(feed.units[i].too_long, i < 3) << i;
}

TEST(Framing, AClockSetForwardEndsNoWait) {
  Feed feed;
  feed.line("Error: x").line(docker("{\"a\":"));
  feed.framing.clock_stepped(std::chrono::hours(24));
  feed.after(std::chrono::hours(24));
  EXPECT_EQ(feed.texts(), Texts{});
  feed.line(docker("1}\n"));
  EXPECT_EQ(feed.texts().back(), R"({"a":1})");
}

TEST(Framing, AClockSetBackDoesNotHoldUnits) {
  Feed feed;
  feed.line("Error: x").after(-std::chrono::hours(1)).after(seconds(1));
  EXPECT_EQ(feed.texts(), (Texts{"Error: x"}));
}

}  // namespace
}  // namespace runtail::test
