// docs/configuration-keys.md is made of the table of settings and of the comments beside their members.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <string>

#include "config/quantity.h"
#include "config/setting.h"
#include "tests/unit/house/source_tree.h"

namespace runtail::house {
namespace {

const std::filesystem::path kRoot = RUNTAIL_SOURCE_DIR;
const std::filesystem::path kPage = kRoot / "docs/configuration-keys.md";

struct MemberText {
  std::string type, comment;
};
using Struct = std::map<std::string, MemberText>;

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

// The structs of a header: member -> its type and the comment above or behind it.
std::map<std::string, Struct> structs_of(const std::string& header) {
  static const std::regex kStruct(R"(^struct (\w+) \{)");
  static const std::regex kDeclaration(R"(^  ([\w:<>, ]+?) (\w+)((?: = [^;]*|\{[^;]*\}|, [^;]*)?);(?: *// (.*))?$)");
  std::map<std::string, Struct> structs;
  Struct* current = nullptr;
  std::string above;
  for (const std::string& line : lines_of(header)) {
    std::smatch match;
    if (std::regex_search(line, match, kStruct)) {
      current = &structs[match[1]];
      above.clear();
    } else if (!current || line.starts_with("};")) {
      if (line.starts_with("};")) current = nullptr;
    } else if (line.starts_with("  // ")) {
      above += (above.empty() ? "" : " ") + line.substr(5);
    } else if (std::regex_match(line, match, kDeclaration)) {
      const std::string behind = match[4], comment = above.empty() ? behind : above;
      std::string names = match[2].str() + match[3].str();
      // "owner, service, dataset", each with or without a default.
      static const std::regex kName(R"((?:^|, )(\w+))");
      for (std::sregex_iterator name(names.begin(), names.end(), kName), end; name != end; ++name) {
        (*current)[(*name)[1]] = {match[1], comment};
      }
      above.clear();
    } else if (trimmed(line).empty()) {
      above.clear();
    }
  }
  return structs;
}

class Page {
 public:
  Page() : structs_(structs_of(read_text(kRoot / "config/definitions.h"))) {
    structs_.merge(structs_of(read_text(kRoot / "config/config.h")));
  }

  template <typename Section>
  void add(const std::string& title, const std::string& type, const std::string& environment) {
    text_ += "\n## " + title + "\n| key | default | range | means |\n|---|---|---|---|\n";
    Section section{};
    for (const Setting<Section>& setting : table<Section>()) {
      const Member member = setting.member(section);
      const bool is_list =
          std::visit([](auto* each) { return SectionList<std::remove_pointer_t<decltype(each)>>; }, member);
      text_ += "| `" + std::string(setting.path) + "` | " +
               (is_list ? "none" : "`" + shown(member, setting.limits) + "`") + " | " + range(setting.limits) + " | " +
               meaning(type, std::string(setting.path)) +
               (setting.alias ? " Also `" + std::string(setting.alias) + "`." : "") +
               (setting.secret ? " Never printed." : "") + " |\n";
    }
    if (!environment.empty()) text_ += "\n" + environment + "\n";
  }

  std::string text() const { return kHead + text_; }

 private:
  static inline const std::string kHead =
      "# Every key\n\nMade of the table of settings and the comments in `config/config.h`; a test writes it. In the "
      "environment a "
      "key is `RUNTAIL_` and its\npath in capitals: `buffer.directory` is `RUNTAIL_BUFFER_DIRECTORY`. What belongs "
      "together, with "
      "examples:\n[configuration](configuration.md); as a file to start from: "
      "[runtail.yaml](../config/runtail.yaml).\n";

  template <typename Section>
  static auto table() {
    if constexpr (std::is_same_v<Section, Config>) {
      return settings();
    } else {
      return settings_of<Section>();
    }
  }
  static std::string shown(const Member& member, const Limits& limits) {
    const std::string value = print_value(member, limits);
    return value.empty() ? "none" : value;
  }
  static std::string range(const Limits& limits) {
    if (limits.max == ~0ull) return "";
    const auto print = [&](std::uint64_t value) {
      switch (limits.unit) {
        case Limits::Unit::kBytes:
          return print_bytes(value);
        case Limits::Unit::kDuration:
          return print_duration(std::chrono::milliseconds(value));
        case Limits::Unit::kCount:
          break;
      }
      return std::to_string(value);
    };
    return std::string(limits.or_zero ? "0, or " : "") + print(limits.min) + " to " + print(limits.max);
  }
  // Follows "worker.pid_file" through the structs.
  std::string meaning(std::string type, std::string path) const {
    for (std::size_t dot; (dot = path.find('.')) != std::string::npos; path = path.substr(dot + 1)) {
      type = structs_.at(type).at(path.substr(0, dot)).type;
    }
    const auto found = structs_.at(type).find(path);
    EXPECT_NE(found, structs_.at(type).end()) << type << " has no " << path;
    return found == structs_.at(type).end() ? ""
                                            : std::regex_replace(found->second.comment, std::regex(R"(\|)"), "\\|");
  }

  std::map<std::string, Struct> structs_;
  std::string text_;
};

TEST(ConfigurationPage, ListsEveryKeyAsTheCodeHasIt) {
  Page page;
  page.add<Config>("Of the file", "Config", "");
  page.add<SourceConfig>(
      "Of a source: `sources`", "SourceConfig",
      "In the environment: `RUNTAIL_SOURCES_WORKER_INCLUDE` is `include` of the source named worker.");
  page.add<JobConfig>("Of a job: `jobs`", "JobConfig", "");
  page.add<QualityCheckConfig>("Of a check: `quality.checks`", "QualityCheckConfig", "");
  page.add<AlertChannelConfig>("Of a channel: `alerts.channels`", "AlertChannelConfig", "");
  page.add<AlertRuleConfig>("Of a rule: `alerts.rules`", "AlertRuleConfig", "");
  page.add<ApiKeyConfig>("Of a key: `api.keys`", "ApiKeyConfig", "");
  if (std::getenv("RUNTAIL_WRITE_SCHEMA")) std::ofstream(kPage) << page.text();
  EXPECT_EQ(read_text(kPage), page.text()) << "write it anew: RUNTAIL_WRITE_SCHEMA=1 unit_house";
}

TEST(ConfigurationPage, EveryKeySaysWhatItMeans) {
  for (const std::string& line : lines_of(read_text(kPage))) {
    EXPECT_FALSE(line.starts_with("| `") && line.ends_with("|  |")) << line;
  }
}

}  // namespace
}  // namespace runtail::house
