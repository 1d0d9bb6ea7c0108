// The same log bare, wrapped by docker, wrapped by the kubelet's runtimes, mixed with another tool's lines, and cut
// before its last line tells the same facts.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

#include "agent/dry_run.h"
#include "tests/support/container_lines.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> logs() {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(RUNTAIL_SOURCE_DIR) / "tests/testdata/dialects")) {
    if (entry.path().extension() == ".log") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

DryRunSummary told_by(const std::vector<std::string>& lines) {
  // Compiled once: it takes longer than all the lines.
  static const std::vector<DialectSpec> dialects = built_in_dialects();
  static const Redactor redactor = Redactor::make({}).value();
  DryRun run(Parser(dialects), redactor.clone(), {}, {});
  std::size_t next = 0;
  run.read("job", [&](std::string& line) {
    if (next == lines.size()) return false;
    line = lines[next++];
    if (line.ends_with('\n')) line.pop_back();
    return true;
  });
  return run.summary();
}

// What the lines say, but for times: of a line that states none they are its envelope's, or its neighbour's.
std::string facts_in(const DryRunSummary& summary) {
  const std::string json = to_json(summary);
  static const std::regex kTimes(R"("[a-z_]+_at":"[^"]*",?)");
  return std::regex_replace(json.substr(json.find("\"runs\":")), kTimes, "");
}

// Runs and datasets each by itself, sorted.
std::vector<std::string> facts_one_by_one(const DryRunSummary& summary) {
  std::vector<std::string> facts;
  for (const auto& [id, record] : summary.runs) {
    DryRunSummary one;
    one.runs = {{id, record}};
    facts.push_back(facts_in(one));
  }
  for (const auto& [name, dataset] : summary.datasets) {
    DryRunSummary one;
    one.datasets = {{name, dataset}};
    facts.push_back(facts_in(one));
  }
  std::sort(facts.begin(), facts.end());
  return facts;
}

TEST(PresentationsTest, AnEnvelopeChangesNoFact) {
  for (const fs::path& log : logs()) {
    const std::vector<std::string> lines = lines_of(log);
    std::vector<std::string> docker, cri;
    for (const std::string& line : lines) {
      for (std::string& piece : test::docker_pieces(line)) docker.push_back(std::move(piece));
      for (std::string& piece : test::cri_pieces(line)) cri.push_back(std::move(piece));
    }
    const std::string bare = facts_in(told_by(lines));
    EXPECT_EQ(facts_in(told_by(docker)), bare) << log;
    EXPECT_EQ(facts_in(told_by(cri)), bare) << log;
  }
}

// Tools that name no run share the process, so of two such only one is taken.
TEST(PresentationsTest, LinesOfAnotherToolBetweenThemChangeNoFact) {
  const std::vector<fs::path> all = logs();
  const fs::path other = fs::path(RUNTAIL_SOURCE_DIR) / "tests/testdata/dialects/dbt/info_1.10.log";
  const std::vector<std::string> others = lines_of(other);
  for (const fs::path& log : all) {
    if (log.parent_path().filename() == "dbt") continue;
    const std::vector<std::string> lines = lines_of(log);
    std::vector<std::string> mixed;
    for (std::size_t i = 0; i < std::max(lines.size(), others.size()); ++i) {
      if (i < lines.size()) mixed.push_back(lines[i]);
      if (i < others.size()) mixed.push_back(others[i]);
    }
    std::vector<std::string> apart = facts_one_by_one(told_by(lines));
    for (const std::string& fact : facts_one_by_one(told_by(others))) apart.push_back(fact);
    // Both may tell of one dataset.
    std::sort(apart.begin(), apart.end());
    apart.erase(std::unique(apart.begin(), apart.end()), apart.end());
    EXPECT_EQ(facts_one_by_one(told_by(mixed)), apart) << log;
  }
}

TEST(PresentationsTest, ALastLineThatIsCutTellsNothing) {
  for (const fs::path& log : logs()) {
    std::vector<std::string> lines = lines_of(log);
    const std::string last = lines.back();
    lines.pop_back();
    const std::string without = facts_in(told_by(lines));
    if (!last.starts_with('{')) continue;
    for (const std::size_t kept : {std::size_t{1}, last.size() / 2, last.size() - 1}) {
      std::vector<std::string> cut = lines;
      cut.push_back(last.substr(0, kept));
      EXPECT_EQ(facts_in(told_by(cut)), without) << log << " cut at " << kept;
    }
  }
}

}  // namespace
}  // namespace runtail
