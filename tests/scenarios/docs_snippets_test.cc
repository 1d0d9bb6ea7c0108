// What the documents tell people to type: verbs and options are there, and every snippet is read by its own tool.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::filesystem::path kRoot = RUNTAIL_SOURCE_DIR;

struct Snippet {
  std::string file, language, text;
};

Finished run(std::vector<std::string> argv) {
  Command command;
  command.argv = std::move(argv);
  return run_to_end(command);
}

std::vector<std::filesystem::path> documents() {
  std::vector<std::filesystem::path> pages = {kRoot / "README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(kRoot / "docs")) {
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  }
  return pages;
}

// Fenced blocks, and code between back quotes as language "inline".
std::vector<Snippet> snippets() {
  std::vector<Snippet> found;
  for (const std::filesystem::path& page : documents()) {
    std::ifstream in(page);
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("```")) {
        inside = !inside;
        if (inside) found.push_back({page.filename(), line.substr(3), ""});
      } else if (inside) {
        found.back().text += line + "\n";
      } else {
        static const std::regex kCode("`([^`]+)`");
        for (std::sregex_iterator match(line.begin(), line.end(), kCode), end; match != end; ++match)
          found.push_back({page.filename(), "inline", (*match)[1]});
      }
    }
  }
  return found;
}

std::vector<Snippet> snippets(const std::set<std::string>& languages) {
  std::vector<Snippet> chosen;
  for (Snippet& each : snippets()) {
    if (languages.contains(each.language)) chosen.push_back(std::move(each));
  }
  return chosen;
}

// "runtail VERB ..." up to what ends a command, its continued lines joined, comments left out.
std::vector<std::string> commands_in(std::string text) {
  text = std::regex_replace(text, std::regex("\\\\\n *"), " ");
  text = std::regex_replace(text, std::regex(" #[^\n]*"), "");
  static const std::regex kCommand(R"((?:^|[\s/;|&(!])(?:runtail|\$runtail|runtail-exec) ([a-z-][^\n|;&#)]*))");
  std::vector<std::string> commands;
  for (std::sregex_iterator match(text.begin(), text.end(), kCommand), end; match != end; ++match) {
    const bool is_exec = (*match)[0].str().find("runtail-exec") != std::string::npos;
    commands.push_back((is_exec ? "exec " : "") + (*match)[1].str());
  }
  return commands;
}

class Help {
 public:
  // Of a verb, or of a verb of a verb; "" if there is none.
  const std::string& of(const std::vector<std::string>& verbs) {
    auto [at, is_new] = known_.try_emplace(verbs);
    if (is_new) {
      std::vector<std::string> argv = {RUNTAIL_BINARY};
      argv.insert(argv.end(), verbs.begin(), verbs.end());
      argv.push_back("--help");
      if (const Finished asked = run(argv); asked.exit_code == 0) at->second = asked.output;
    }
    return at->second;
  }

 private:
  std::map<std::vector<std::string>, std::string> known_;
};

TEST(DocsSnippets, EveryVerbAndOptionThatIsNamedExists) {
  static const std::set<std::string> kOfVerbs = {"alerts", "buffer"};
  Help help;
  std::size_t commands = 0;
  for (const Snippet& snippet : snippets({"", "sh", "bash", "text", "ini", "inline", "yaml compose"})) {
    for (const std::string& command : commands_in(snippet.text)) {
      std::istringstream words(command);
      std::vector<std::string> verbs(1);
      words >> verbs[0];
      // "sudo -u runtail runtail check"
      if (verbs[0] == "runtail") words >> verbs[0];
      if (help.of(verbs).empty()) {
        ADD_FAILURE() << snippet.file << ": no verb " << verbs[0] << " in " << command;
        continue;
      }
      ++commands;
      std::string word;
      while (words >> word && word != "--") {
        if (kOfVerbs.contains(verbs[0]) && verbs.size() == 1 && word[0] != '-') {
          verbs.push_back(word);
          EXPECT_NE(help.of(verbs), "") << snippet.file << ": " << command;
        }
        if (!word.starts_with("--") || word.size() < 3) continue;
        const std::string option = word.substr(0, word.find_first_of("=`,.]'\""));
        EXPECT_THAT(help.of(verbs), HasSubstr(option)) << snippet.file << ": " << command;
      }
    }
  }
  EXPECT_GT(commands, 40u);
}

// Options in the rows of the command page belong to the row's verb.
TEST(DocsSnippets, OptionsInTheTableOfVerbsAreThoseOfTheVerb) {
  std::ifstream page(kRoot / "docs/cli.md");
  static const std::regex kRow(R"(^\| `runtail ([a-z]+)(?: ([a-z-]+))?)"), kOption("`(--[a-z-]+)");
  Help help;
  std::size_t options = 0;
  for (std::string line; std::getline(page, line);) {
    std::smatch row;
    if (!std::regex_search(line, row, kRow)) continue;
    std::vector<std::string> verbs = {row[1]};
    if (verbs[0] == "buffer" || verbs[0] == "alerts") verbs.push_back(row[2]);
    for (std::sregex_iterator match(line.begin(), line.end(), kOption), end; match != end; ++match, ++options)
      EXPECT_THAT(help.of(verbs), HasSubstr((*match)[1])) << line.substr(0, 40);
  }
  EXPECT_GT(options, 15u);
}

TEST(DocsSnippets, EveryConfigurationPassesCheck) {
  const auto configurations = snippets({"yaml"});
  const TempDir folder;
  std::size_t checked = 0;
  for (const Snippet& each : configurations) {
    if (each.file == "dialects.md") continue;
    std::ofstream(folder / "runtail.yaml") << each.text;
    const Finished check = run({RUNTAIL_BINARY, "check", "--config", folder / "runtail.yaml"});
    EXPECT_EQ(check.exit_code, 0) << each.file << "\n" << each.text << check.errors;
    ++checked;
  }
  EXPECT_GT(checked, 4u);
}

TEST(DocsSnippets, ShellPythonAndComposeAreWellFormed) {
  const TempDir folder;
  const std::map<std::string, std::vector<std::string>> tools = {{"sh", {"sh", "-n"}},
                                                                 {"bash", {"bash", "-n"}},
                                                                 {"python", {"python3", "-m", "py_compile"}},
                                                                 {"yaml compose", {"docker-compose", "-f"}}};
  std::map<std::string, int> seen;
  const bool has_compose = run({"sh", "-c", "command -v docker-compose"}).exit_code == 0;
  for (const auto& [language, tool] : tools) {
    if (language == "yaml compose" && !has_compose) continue;
    for (const Snippet& each : snippets({language})) {
      std::ofstream(folder / "snippet") << each.text;
      std::ofstream(folder / "runtail-password") << "x";
      std::vector<std::string> argv = tool;
      argv.push_back(folder / "snippet");
      if (language == "yaml compose") argv.insert(argv.end(), {"config", "-q"});
      const Finished read = run(argv);
      EXPECT_EQ(read.exit_code, 0) << each.file << "\n" << each.text << read.errors;
      ++seen[language];
    }
  }
  EXPECT_GT(seen["sh"], 0);
  EXPECT_GT(seen["bash"], 0);
  EXPECT_EQ(seen["yaml compose"], has_compose ? 1 : 0);
}

TEST(DocsSnippets, EveryQueryIsAnswered) {
  const Sql sql(PostgresCluster::shared().create_migrated_database("docs_snippets"));
  const auto queries = snippets({"sql"});
  for (const Snippet& each : queries) {
    std::string query = each.text;
    query.erase(query.find_last_not_of(" \n;") + 1);
    EXPECT_NO_THROW(sql.rows(query)) << each.file << "\n" << query;
  }
  EXPECT_GE(queries.size(), 4u);
}

// The drop-in of the README, on a worker's unit, as systemd reads it.
TEST(DocsSnippets, TheDropInWrapsAWorkersUnit) {
  const TempDir folder;
  const auto units = snippets({"ini"});
  ASSERT_FALSE(units.empty());
  for (const Snippet& each : units) {
    std::string unit = "[Unit]\nDescription=worker\n[Service]\nExecStart=/bin/true\n" + each.text;
    // What is installed elsewhere stands for the programs the snippet names.
    unit = std::regex_replace(unit, std::regex("/usr/bin/runtail-exec"), RUNTAIL_EXEC_BINARY);
    std::ofstream(folder / "worker.service") << unit;
    const Finished verified = run({"systemd-analyze", "verify", folder / "worker.service"});
    EXPECT_EQ(verified.errors.find("worker.service:"), std::string::npos) << verified.errors;
    EXPECT_EQ(verified.errors.find("not executable"), std::string::npos) << verified.errors;
  }
}

}  // namespace
}  // namespace runtail::test
