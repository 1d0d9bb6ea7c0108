// The documents against the code they describe: what a page lists is what the binary has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/dialect.h"
#include "config/load.h"
#include "core/exit_code.h"
#include "core/field.h"
#include "core/metric.h"
#include "core/words.h"
#include "parsers/dialect_examples.h"
#include "tests/unit/house/source_tree.h"

namespace runtail::house {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const std::filesystem::path kRoot = RUNTAIL_SOURCE_DIR;

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t`");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t`") - first + 1));
}

// Cells of the rows of every Markdown table in `text`, back quotes and blanks taken off.
std::vector<std::vector<std::string>> table_rows(std::string_view text) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& line : lines_of(text)) {
    if (!line.starts_with("|")) continue;
    std::vector<std::string> cells;
    std::size_t from = 1;
    for (std::size_t bar = line.find('|', from); bar != std::string::npos; bar = line.find('|', from)) {
      cells.push_back(trimmed(std::string_view(line).substr(from, bar - from)));
      from = bar + 1;
    }
    rows.push_back(std::move(cells));
  }
  return rows;
}

// Paths between parentheses of [text](path), without anchors and web addresses.
std::vector<std::string> links_of(const std::string& text) {
  static const std::regex kLink(R"(\]\(([^)#\s]+)(#[^)]*)?\))");
  std::vector<std::string> links;
  for (std::sregex_iterator match(text.begin(), text.end(), kLink), end; match != end; ++match) {
    const std::string target = (*match)[1];
    if (target.find("://") == std::string::npos && !target.starts_with("mailto:")) links.push_back(target);
  }
  return links;
}

// Bodies of the fenced blocks of one language.
std::vector<std::string> blocks_of(std::string_view text, std::string_view language) {
  std::vector<std::string> blocks;
  bool inside = false;
  for (const std::string& line : lines_of(text)) {
    if (inside && line.starts_with("```")) {
      inside = false;
    } else if (inside) {
      blocks.back() += line + "\n";
    } else if (line == "```" + std::string(language)) {
      inside = true;
      blocks.emplace_back();
    }
  }
  return blocks;
}

TEST(Docs, MetricsPageListsEveryFamilyWithItsTypeAndLabels) {
  std::map<std::string, std::string> documented;  // name -> "type labels"
  for (const std::vector<std::string>& row : table_rows(read_text(kRoot / "docs/metrics.md"))) {
    if (row.size() < 4 ||
        (!row[0].starts_with("trialsync_") && !row[0].starts_with("runtail_") && !row[0].starts_with("process_"))) {
      continue;
    }
    EXPECT_TRUE(documented.emplace(row[0], row[1] + " " + row[2]).second) << row[0] << " is listed twice";
    EXPECT_FALSE(row[3].empty()) << row[0] << " says nothing";
  }
  std::map<std::string, std::string> real;
  for (const MetricFamilySpec& family : metric_families()) {
    real.emplace(family.name, std::string(to_string(family.type)) + " " +
                                  (family.labels.empty() ? "-" : std::string(family.labels)));
  }
  EXPECT_EQ(documented, real);
}

TEST(Docs, LogContractNamesEveryFieldAndEveryEvent) {
  const std::string page = read_text(kRoot / "docs/log-contract.md");
  for (const FieldSpec& field : kFieldSpecs) {
    EXPECT_THAT(page, HasSubstr("`" + std::string(field.name) + "`")) << "field not on the page";
  }
  for (int kind = static_cast<int>(EventKind::kRunQueued); kind <= static_cast<int>(kLastLineKind); ++kind) {
    EXPECT_THAT(page, HasSubstr("`" + std::string(to_string(static_cast<EventKind>(kind))) + "`"));
  }
}

TEST(Docs, ReadmeAndCommandPageGiveTheExitCodes) {
  for (const char* name : {"README.md", "docs/cli.md"}) {
    std::set<std::string> listed;
    for (const std::vector<std::string>& row : table_rows(read_text(kRoot / name))) {
      if (!row.empty() && !row[0].empty() && row[0].find_first_not_of("0123456789") == std::string::npos) {
        listed.insert(row[0]);
      }
    }
    for (const int code : {kExitOk, kExitIncomplete, kExitUsage, kExitConfig, kExitUnreachable, kExitFindings,
                           kExitExecFailed, kExitNotExecutable, kExitNotFound}) {
      EXPECT_TRUE(listed.contains(std::to_string(code))) << name << " does not explain exit code " << code;
    }
  }
}

TEST(Docs, EverySampleConfigurationLoads) {
  std::size_t samples = 0;
  for (const SourceFile& file : read_source_tree(kRoot)) {
    if (!file.path.ends_with(".md") || file.path == "docs/dialects.md") continue;
    for (const std::string& block : blocks_of(file.text, "yaml")) {
      ++samples;
      const LoadedConfig loaded =
          load_config(block, file.path, [](const std::string&) -> std::optional<std::string> { return std::nullopt; });
      for (const ConfigProblem& problem : loaded.problems) ADD_FAILURE() << to_string(problem) << "\nin\n" << block;
    }
  }
  EXPECT_GE(samples, 2u);
}

TEST(Docs, EverySampleDialectDoesWhatItsExamplesSay) {
  const std::vector<std::string> samples = blocks_of(read_text(kRoot / "docs/dialects.md"), "yaml");
  ASSERT_THAT(samples, Not(IsEmpty()));
  for (const std::string& sample : samples) {
    const auto dialect = load_dialect(sample, "docs/dialects.md");
    ASSERT_TRUE(dialect) << dialect.error().message;
    ASSERT_THAT(dialect->examples, Not(IsEmpty()));
    std::vector<DialectSpec> all = built_in_dialects();
    all.push_back(*dialect);
    Parser parser(all);
    EXPECT_THAT(failed_examples(parser, *dialect), IsEmpty());
  }
}

TEST(Docs, TheConfigurationOfTheReadmeHasTenLines) {
  const std::vector<std::string> blocks = blocks_of(read_text(kRoot / "README.md"), "yaml");
  ASSERT_THAT(blocks, SizeIs(1));
  EXPECT_LE(lines_of(blocks[0]).size(), 10u);
}

TEST(Docs, EveryLinkBetweenDocumentsLeadsSomewhere) {
  std::size_t links = 0;
  for (const SourceFile& file : read_source_tree(kRoot)) {
    if (!file.path.ends_with(".md")) continue;
    for (const std::string& link : links_of(file.text)) {
      ++links;
      EXPECT_TRUE(std::filesystem::exists((kRoot / file.path).parent_path() / link)) << file.path << " -> " << link;
    }
  }
  EXPECT_GT(links, 10u);
}

// Files named in the "test" column exist: a requirement is not shown by a test that was never written.
TEST(Docs, RequirementsAndFaultsNameTestsThatExist) {
  static const std::regex kTest(R"(tests/[A-Za-z0-9_/.-]+_test\.cc)");
  std::size_t named = 0;
  for (const char* name : {"docs/requirements.md", "docs/reliability.md", "docs/threat-model.md", "ARCHITECTURE.md"}) {
    const std::string page = read_text(kRoot / name);
    for (std::sregex_iterator match(page.begin(), page.end(), kTest), end; match != end; ++match) {
      ++named;
      EXPECT_TRUE(std::filesystem::exists(kRoot / match->str())) << name << " names " << match->str();
    }
  }
  EXPECT_GT(named, 10u);
}

TEST(Docs, ThePageReadersSeeTheirCases) {
  EXPECT_THAT(table_rows("text\n| `a` | b |\n|---|---|\n"),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("---", "---")));
  EXPECT_THAT(links_of("[a](docs/a.md#x) [b](https://example.org/) ![c](c.png)"), ElementsAre("docs/a.md", "c.png"));
  EXPECT_THAT(blocks_of("```yaml\na: 1\n```\n```\nno\n```\n", "yaml"), ElementsAre("a: 1\n"));
}

}  // namespace
}  // namespace runtail::house
