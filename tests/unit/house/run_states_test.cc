// docs/run-states.md against the code: every row of its tables and every arrow of its drawing is tried.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/run_state.h"
#include "derive/deriver.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"
#include "tests/unit/house/source_tree.h"

namespace runtail::house {
namespace {

using testing::SizeIs;

const std::string kPage = read_text(std::filesystem::path(RUNTAIL_SOURCE_DIR) / "docs/run-states.md");

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" `");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" `") - first + 1);
}

// Rows of the table whose first header cell is `head`, without headers.
std::vector<std::vector<std::string>> table(const std::string& head) {
  std::vector<std::vector<std::string>> rows;
  bool inside = false;
  for (const std::string& line : lines_of(kPage)) {
    if (line.starts_with("| " + head + " |")) inside = true;
    if (!inside) continue;
    if (!line.starts_with("|")) break;
    std::vector<std::string>& cells = rows.emplace_back();
    for (std::size_t from = 1, bar; (bar = line.find('|', from)) != std::string::npos; from = bar + 1) {
      cells.push_back(trimmed(line.substr(from, bar - from)));
    }
  }
  if (rows.size() < 2) return {};
  rows.erase(rows.begin() + 1);  // the line below the headers
  return rows;
}

const std::vector<std::string> kStates = {"queued", "running", "inferred", "exit", "log"};

RunFact fact_of(const std::string& state, int attempt, int second) {
  RunFact fact;
  fact.status = state == "queued" ? RunStatus::kQueued : state == "running" ? RunStatus::kRunning : RunStatus::kFailed;
  fact.verdict_source = state == "inferred" ? VerdictSource::kInferred
                        : state == "exit"   ? VerdictSource::kExit
                                            : VerdictSource::kLog;
  fact.attempt = attempt;
  fact.at = from_micros(second * 1'000'000);
  fact.job_id = "job";
  return fact;
}

// What a fact does to a run that knows another: "moves", "stays" or "if later".
std::string effect(const std::string& known, int known_attempt, const std::string& next) {
  const auto moves = [&](int second) {
    RunState run;
    run.apply(fact_of(known, known_attempt, 5));
    const Stamp before = run.state.stamp;
    run.apply(fact_of(next, 2, second));
    return run.state.stamp != before;
  };
  const bool when_later = moves(9), when_earlier = moves(1);
  return when_later && when_earlier ? "moves" : when_later ? "if later" : when_earlier ? "if earlier" : "stays";
}

TEST(RunStates, EachLineOfThePageSaysWhatThePageSays) {
  Parser parser(built_in_dialects());
  Redactor redactor = *Redactor::make({});
  const Deriver deriver{DeriverSettings{}};
  const EventIds ids(FileIdentity{"stream", {}, 0});
  const auto rows = table("line");
  ASSERT_GE(rows.size(), 20u);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    ASSERT_THAT(rows[i], SizeIs(4));
    const std::string line = R"({"ts":"2026-03-01T00:00:00Z","job_id":"j","run_id":"r",)" + rows[i][0] + "}";
    Derived derived;
    deriver.derive(redactor.redact(parser.parse(line)), {&ids, 0, "j", 4}, derived);
    ASSERT_TRUE(derived.run) << line;
    const auto word = [](const std::optional<RunStatus>& status) {
      return status ? std::string(to_string(*status)) : std::string("-");
    };
    EXPECT_EQ(word(derived.run->status), rows[i][1]) << "run: " << line;
    EXPECT_EQ(word(derived.run->attempt_status), rows[i][2]) << "attempt: " << line;
    EXPECT_EQ(derived.run->has_task ? word(derived.run->task_status) : "-", rows[i][3]) << "task: " << line;
  }
}

TEST(RunStates, RanksAreThoseOfThePage) {
  const auto rows = table("status");
  ASSERT_GE(rows.size(), 2u);
  for (int status = 0; status <= static_cast<int>(RunStatus::kSkipped); ++status) {
    for (int source = 0; source <= static_cast<int>(VerdictSource::kInferred); ++source) {
      const auto run_status = static_cast<RunStatus>(status);
      const auto verdict_source = static_cast<VerdictSource>(source);
      std::vector<std::string> ranks;
      for (std::size_t i = 1; i < rows.size(); ++i) {
        const bool same_status =
            rows[i][0] == to_string(run_status) || (rows[i][0] == "a verdict" && is_terminal(run_status));
        if (same_status && (rows[i][1] == "any" || rows[i][1] == to_string(verdict_source)))
          ranks.push_back(rows[i][2]);
      }
      EXPECT_EQ(ranks, std::vector{std::to_string(state_rank(run_status, verdict_source))})
          << to_string(run_status) << ' ' << to_string(verdict_source);
    }
  }
}

TEST(RunStates, TransitionsAreThoseOfThePage) {
  const auto rows = table("known");
  ASSERT_THAT(rows, SizeIs(kStates.size() + 3));
  ASSERT_EQ(std::vector(rows[0].begin() + 1, rows[0].end()), kStates);
  std::map<std::string, std::vector<std::string>> documented;
  for (std::size_t i = 1; i < rows.size(); ++i) documented[rows[i][0]] = {rows[i].begin() + 1, rows[i].end()};
  for (const std::string& known : kStates) {
    for (std::size_t next = 0; next < kStates.size(); ++next) {
      EXPECT_EQ(documented.at(known).at(next), effect(known, 2, kStates[next])) << known << " -> " << kStates[next];
      EXPECT_EQ(documented.at("any, of a lower attempt").at(next), effect(known, 1, kStates[next]));
      EXPECT_EQ(documented.at("any, of a higher attempt").at(next), effect(known, 3, kStates[next]));
    }
  }
}

TEST(RunStates, TheDrawingHasEveryArrowAndNoOther) {
  std::set<std::string> drawn, real;
  static const std::regex kArrow(R"(^ +(\w+) --> (\w+)(: (.*))?$)");
  for (const std::string& line : lines_of(kPage)) {
    std::smatch match;
    if (std::regex_match(line, match, kArrow) && match[4] != "next attempt") {
      drawn.insert(match[1].str() + " to " + match[2].str());
    }
  }
  for (const std::string& known : kStates) {
    for (const std::string& next : kStates) {
      if (known != next && effect(known, 2, next) != "stays") real.insert(known + " to " + next);
    }
  }
  EXPECT_EQ(drawn, real);
}

}  // namespace
}  // namespace runtail::house
