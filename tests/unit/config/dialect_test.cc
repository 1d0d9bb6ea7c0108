#include "config/dialect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runtail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

DialectSpec native() {
  for (DialectSpec& dialect : built_in_dialects()) {
    if (dialect.name == "native") return dialect;
  }
  ADD_FAILURE() << "no native dialect is built in";
  return {};
}

std::string error_of(const std::string& yaml) {
  const auto dialect = load_dialect(yaml, "native.yaml");
  return dialect ? "no error" : dialect.error().message;
}

TEST(NativeDialectTest, EveryContractFieldIsReadUnderItsOwnName) {
  const DialectSpec dialect = native();
  std::map<std::string, Field> named = dialect.fields;
  for (const auto& [kind, own] : dialect.own) named.insert(own.begin(), own.end());
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    const auto found = named.find(std::string(kFieldSpecs[i].name));
    ASSERT_NE(found, named.end()) << kFieldSpecs[i].name;
    EXPECT_EQ(found->second, static_cast<Field>(i)) << kFieldSpecs[i].name;
  }
}

TEST(NativeDialectTest, BothSpellingsOfTheContract) {
  const DialectSpec dialect = native();
  EXPECT_THAT(dialect.ts, ElementsAre("ts", "timestamp", "time", "@timestamp"));
  EXPECT_THAT(dialect.event, ElementsAre("event"));
  EXPECT_EQ(dialect.level.front(), "level");
  EXPECT_EQ(dialect.fields.at("message"), Field::kMsg);
  EXPECT_EQ(dialect.fields.at("environment"), Field::kEnv);
  EXPECT_EQ(dialect.fields.at("error.type"), Field::kErrorType);
  EXPECT_EQ(dialect.fields.at("error.message"), Field::kErrorMessage);
  EXPECT_EQ(dialect.fields.at("error.stack"), Field::kErrorStack);
}

TEST(NativeDialectTest, EveryKindOfEventHasItsOwnWord) {
  const DialectSpec dialect = native();
  for (int i = 1; i <= static_cast<int>(kLastLineKind); ++i) {
    const auto kind = static_cast<EventKind>(i);
    const auto found = dialect.events.find(std::string(to_string(kind)));
    ASSERT_NE(found, dialect.events.end()) << to_string(kind);
    EXPECT_EQ(found->second, kind);
  }
  EXPECT_FALSE(dialect.events.contains("plain"));
}

struct StatusCase {
  const char* word;
  RunStatus status;
  EndReason end_reason = EndReason::kNone;
  bool attempt_failed = false;
};

class NativeStatusTest : public testing::TestWithParam<StatusCase> {};

TEST_P(NativeStatusTest, WordMeans) {
  const DialectSpec dialect = native();
  const StatusCase& expected = GetParam();
  const auto found = dialect.statuses.find(fold_word(expected.word));
  ASSERT_NE(found, dialect.statuses.end());
  EXPECT_EQ(found->second.status, expected.status);
  EXPECT_EQ(found->second.end_reason, expected.end_reason);
  EXPECT_EQ(found->second.attempt_failed, expected.attempt_failed);
}

INSTANTIATE_TEST_SUITE_P(
    Words, NativeStatusTest,
    testing::Values(StatusCase{"queued", RunStatus::kQueued}, StatusCase{"PENDING", RunStatus::kQueued},
                    StatusCase{"accepted", RunStatus::kQueued}, StatusCase{"STARTED", RunStatus::kRunning},
                    StatusCase{"In Progress", RunStatus::kRunning}, StatusCase{"IN-PROGRESS", RunStatus::kRunning},
                    StatusCase{"up_for_reschedule", RunStatus::kRunning}, StatusCase{"OTHER", RunStatus::kRunning},
                    StatusCase{"up_for_retry", RunStatus::kRunning, EndReason::kNone, true},
                    StatusCase{"retrying", RunStatus::kRunning, EndReason::kNone, true},
                    StatusCase{"retry", RunStatus::kRunning, EndReason::kNone, true},
                    StatusCase{"SUCCESS", RunStatus::kSuccess}, StatusCase{"JobSucceeded", RunStatus::kSuccess},
                    StatusCase{"warn", RunStatus::kSuccess}, StatusCase{"Failed", RunStatus::kFailed},
                    StatusCase{"partial success", RunStatus::kFailed},
                    StatusCase{"timed out", RunStatus::kFailed, EndReason::kTimeout},
                    StatusCase{"zombie", RunStatus::kFailed, EndReason::kLost},
                    StatusCase{"OOMKilled", RunStatus::kFailed, EndReason::kOom},
                    StatusCase{"killed", RunStatus::kFailed, EndReason::kSignal},
                    StatusCase{"canceled", RunStatus::kCancelled},
                    StatusCase{"server terminated", RunStatus::kCancelled}, StatusCase{"no-op", RunStatus::kSkipped},
                    StatusCase{"upstream_failed", RunStatus::kSkipped}),
    [](const auto& tested) {
      std::string name = fold_word(tested.param.word);
      return name + std::to_string(tested.index);
    });

TEST(NativeDialectTest, PhaseWordsOfTheLifecycle) {
  const DialectSpec dialect = native();
  EXPECT_EQ(dialect.phase_events.at("queued"), EventKind::kRunQueued);
  EXPECT_EQ(dialect.phase_events.at("started"), EventKind::kRunStarted);
  EXPECT_EQ(dialect.phase_events.at("succeeded"), EventKind::kRunFinished);
  EXPECT_EQ(dialect.phase_events.at("failed"), EventKind::kRunFinished);
  for (const char* phase : {"task", "extract", "transform", "load", "dq"}) {
    EXPECT_FALSE(dialect.phase_events.contains(phase)) << phase;
  }
}

TEST(NativeDialectTest, WhatAWordMeansForTheRunFitsItsStatus) {
  const DialectSpec dialect = native();
  for (const auto& [word, meaning] : dialect.statuses) {
    const EventKind kind = dialect.phase_events.at(word);
    if (is_terminal(meaning.status)) {
      EXPECT_EQ(kind, EventKind::kRunFinished) << word;
    } else if (meaning.attempt_failed) {
      EXPECT_EQ(kind, EventKind::kAttemptFinished) << word;
    } else {
      EXPECT_EQ(kind, meaning.status == RunStatus::kQueued ? EventKind::kRunQueued : EventKind::kRunStarted) << word;
    }
  }
  EXPECT_EQ(dialect.phase_events.size(), dialect.statuses.size());
}

TEST(NativeDialectTest, LevelWords) {
  const DialectSpec dialect = native();
  EXPECT_EQ(dialect.levels.at(fold_word("WARNING")), Level::kWarn);
  EXPECT_EQ(dialect.levels.at("err"), Level::kError);
  EXPECT_EQ(dialect.levels.at("critical"), Level::kFatal);
  EXPECT_EQ(dialect.levels.at("notice"), Level::kInfo);
  EXPECT_EQ(dialect.levels.at("trace"), Level::kTrace);
}

TEST(DialectTest, FoldingMakesSpaceDashAndUnderscoreEqual) {
  EXPECT_EQ(fold_word("Up For-Retry"), "up_for_retry");
  EXPECT_EQ(fold_word("run.Started"), "run.started");
  EXPECT_EQ(fold_word("\xC3\x84"), "\xC3\x84");
}

TEST(DialectTest, AMistypedFieldNamesThePlaceAndTheNearestOne) {
  EXPECT_EQ(error_of("name: x\nfields:\n  mgs: [text]\n"),
            "native.yaml:3:3: fields.mgs: no contract field \"mgs\" (did you mean \"msg\"?)");
}

TEST(DialectTest, EveryMistakeIsReportedAtOnce) {
  const std::string error = error_of(
      "name: x\n"
      "ts: when\n"
      "fields: {msg: [text], table: [text]}\n"
      "events: {run.qeued: [a]}\n"
      "statuses:\n"
      "  - {status: sucess, words: [ok]}\n"
      "  - {status: failed, words: [OK, bad], reason: oom}\n"
      "  - {words: [gone]}\n"
      "levels: {INFO: [note, Note]}\n"
      "aliases: []\n"
      "name: y\n");
  EXPECT_EQ(error,
            "native.yaml:2:5: ts: expected a list: [one, two]\n"
            "native.yaml:3:31: fields.table: \"text\" already serves fields.msg\n"
            "native.yaml:4:10: events.run.qeued: no kind of event \"run.qeued\" (did you mean \"run.queued\"?)\n"
            "native.yaml:6:14: statuses[0].status: no such word \"sucess\" (did you mean \"success\"?)\n"
            "native.yaml:7:40: statuses[1].reason: unknown key\n"
            "native.yaml:7:30: statuses[1]: \"OK\" is listed twice (case, space, '-' and '_' do not count)\n"
            "native.yaml:8:5: statuses[2]: needs both `status` and `words`\n"
            "native.yaml:9:23: levels.INFO: \"Note\" is listed twice (case, space, '-' and '_' do not count)\n"
            "native.yaml:10:1: aliases: unknown key\n"
            "native.yaml:11:1: name: given twice; keep one");
}

TEST(DialectTest, BrokenYamlAndWrongShapesAreErrorsNotExceptions) {
  EXPECT_THAT(error_of("name: [x\n"), HasSubstr("native.yaml:2:1: not valid YAML"));
  EXPECT_THAT(error_of(""), HasSubstr("expected a map"));
  EXPECT_THAT(error_of("- name\n"), HasSubstr("native.yaml:1:1: dialect: expected a map"));
  EXPECT_THAT(error_of("fields: {}\n"), HasSubstr("name: missing"));
  EXPECT_THAT(error_of("name: x\nstatuses: {ok: success}\n"), HasSubstr("native.yaml:2:11: statuses: expected a list"));
  EXPECT_THAT(error_of("name: x\nfields: {msg: [[a]]}\n"), HasSubstr("fields.msg: expected a list of texts"));
  EXPECT_THAT(error_of("name: x\n---\nname: y\n"), HasSubstr("the document ends before this"));
}

}  // namespace
}  // namespace runtail
