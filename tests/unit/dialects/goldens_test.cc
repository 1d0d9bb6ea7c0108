// What whole logs of tools give, folded: each tests/testdata/dialects/<tool>/<case>.log has its <case>.want.json.
// RUNTAIL_WRITE_WANT=1 writes those anew, to be read before they are kept.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "agent/dry_run.h"
#include "core/event_json.h"
#include "parsers/parser.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::vector<fs::path> cases() {
  std::vector<fs::path> found;
  const fs::path root = fs::path(RUNTAIL_SOURCE_DIR) / "tests/testdata/dialects";
  if (!fs::exists(root)) return found;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() == ".log") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

Redactor redactor() {
  static const Redactor kRedactor = *Redactor::make({});
  return kRedactor.clone();
}

std::string summary_of(const std::vector<std::string>& lines, const DryRun::Visit& visit = {}) {
  DeriverSettings settings;
  settings.environment = "prod";
  static const std::vector<DialectSpec> kDialects = built_in_dialects();
  DryRun run(Parser(kDialects), redactor(), settings, {}, visit);
  std::size_t next = 0;
  run.read("job", [&](std::string& line) {
    if (next == lines.size()) return false;
    line = lines[next++];
    return true;
  });
  return to_json(run.summary());
}

// The folded facts, then a line for each event.
std::string told_by(const std::vector<std::string>& lines) {
  std::string events;
  const std::vector<std::string> kinds = redactor().kinds();
  const std::string summary = summary_of(lines, [&](const DryRun::Line& line) {
    events += std::to_string(line.number) + " " + std::string(line.dialect) + " ";
    events += line.is_row ? "row" : line.dropped.empty() ? "fact" : "dropped as " + std::string(line.dropped);
    if (line.event) {
      events += " ";
      append_event_json(events, *line.event, kinds);
    }
    events += '\n';
  });
  return summary + '\n' + events;
}

// Nothing but what runs, datasets and checks came to be.
std::string facts_in(const std::string& summary) { return summary.substr(summary.find("\"runs\":")); }

TEST(GoldensTest, EveryCaseGivesWhatItsFileSays) {
  ASSERT_FALSE(cases().empty());
  for (const fs::path& log : cases()) {
    const fs::path want = fs::path(log).replace_extension(".want.json");
    const std::string told = told_by(lines_of(log));
    if (std::getenv("RUNTAIL_WRITE_WANT")) std::ofstream(want, std::ios::binary) << told;
    EXPECT_EQ(told, content_of(want)) << log;
  }
}

// What a log must not keep is marked in the cases as canary-...
TEST(GoldensTest, NothingOfABodyIsLeft) {
  std::size_t canaries = 0;
  for (const fs::path& log : cases()) {
    canaries += content_of(log).find("canary-") != std::string::npos;
    EXPECT_EQ(told_by(lines_of(log)).find("canary-"), std::string::npos) << log;
  }
  EXPECT_GT(canaries, 0u);
}

// traps.txt says where each thing that is easily read wrong is shown.
TEST(GoldensTest, EveryTrapHasItsCaseAndEveryCaseItsTrap) {
  const fs::path source(RUNTAIL_SOURCE_DIR), root = source / "tests/testdata/dialects";
  std::set<fs::path> named;
  for (const std::string& line : lines_of(root / "traps.txt")) {
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t bar = line.rfind(" | ");
    ASSERT_NE(bar, std::string::npos) << line;
    const std::string file = line.substr(bar + 3);
    const fs::path path = (file.starts_with("tests/") ? source : root) / file;
    EXPECT_TRUE(fs::is_regular_file(path)) << line;
    named.insert(path);
  }
  EXPECT_GT(named.size(), 60u);
  for (const fs::path& log : cases()) EXPECT_TRUE(named.contains(log)) << log << " shows no trap of traps.txt";
}

// Printed twice, as OpenLineage's console transport and `dagster api execute_run` do, and in any order.
TEST(GoldensTest, OrderAndRepetitionOfEventsOfOpenLineageAndDagsterChangeNothing) {
  std::size_t seen = 0;
  for (const fs::path& log : cases()) {
    const std::string tool = log.parent_path().filename();
    if (tool != "openlineage" && tool != "dagster") continue;
    ++seen;
    std::vector<std::string> lines = lines_of(log);
    const std::string once = facts_in(summary_of(lines));
    std::vector<std::string> twice = lines;
    twice.insert(twice.end(), lines.rbegin(), lines.rend());
    EXPECT_EQ(facts_in(summary_of(twice)), once) << log;
    std::reverse(lines.begin(), lines.end());
    EXPECT_EQ(facts_in(summary_of(lines)), once) << log;
  }
  EXPECT_GE(seen, 2u);
}

TEST(GoldensTest, ASparkApplicationHasFailedIfOneOfItsJobsDidWhateverComesLast) {
  const fs::path folder = fs::path(RUNTAIL_SOURCE_DIR) / "tests/testdata/dialects/spark_events";
  for (const auto& [name, status] : {std::pair("3.5_relayed_a_job_failed.log", "failed"),
                                     std::pair("3.5_relayed_all_jobs_succeeded.log", "success")}) {
    std::vector<std::string> lines = lines_of(folder / name);
    for (int turn = 0; turn < 2; ++turn, std::reverse(lines.begin(), lines.end())) {
      const std::string summary = summary_of(lines);
      EXPECT_NE(summary.find(R"("run_id":"r7","job_id":"daily","dialect":)"), std::string::npos) << summary;
      const std::string run = summary.substr(summary.find(R"("run_id":"r7")"), 200);
      EXPECT_NE(run.find(std::string(R"("status":")") + status + '"'), std::string::npos) << run;
    }
  }
}

}  // namespace
}  // namespace runtail
