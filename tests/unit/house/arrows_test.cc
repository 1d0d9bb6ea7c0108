// ARCHITECTURE.md says who may include whom; this reads every include and holds the tree to it. The checker itself is
// tried on small made-up files below, so a rule that no longer sees anything fails too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/house/source_tree.h"

namespace runtail::house {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// A folder includes itself and folders of a smaller rank: nothing sideways, nothing to the right.
const std::map<std::string, int, std::less<>> kRanks = {
    {"core", 0},   {"config", 1}, {"parsers", 2}, {"redaction", 2}, {"derive", 2}, {"schema", 2},
    {"buffer", 3}, {"sinks", 3},  {"history", 3}, {"alerts", 4},    {"server", 5}, {"agent", 6},
};

// Start of a third-party include, and the one folder that may name it.
struct Room {
  std::string_view include, folder;
  std::string_view file = "";    // the one outside that may name it, too: archives of log files are unpacked there
  std::string_view second = "";  // another folder that may
};
constexpr Room kRooms[] = {
    {"simdjson", "parsers"},
    {"re2/", "redaction"},
    {"rocksdb/", "buffer"},
    {"zstd", "buffer", "agent/packed_file.cc"},
    {"libpq", "schema"},
    {"postgres", "schema"},
    {"yaml-cpp/", "config"},
    {"prometheus/", "sinks"},
    {"openssl/", "core"},
    {"boost/asio", "agent", "", "server"},
    {"boost/beast", "agent", "", "server"},
    {"boost/json", "server"},
    {"CLI/", "agent"},
    {"spdlog/", "agent"},
    {"systemd/", "agent"},
    {"curl/", "alerts"},
};

// Words of input, output and clocks, which parsers, redaction and derive do without.
constexpr std::string_view kImpure[] = {
    "<fstream>", "<iostream>",        "<unistd.h>",    "<fcntl.h>",    "<sys/",         "<thread>",   "<random>",
    "::now(",    "_resolution_clock", "clock_gettime", "gettimeofday", "time(nullptr)", "time(NULL)", "getenv",
    "fopen(",    "std::cout",         "std::cerr",
};

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.find('/');
  return std::string(slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash));
}

// `#include <re2/re2.h>` -> "re2/re2.h".
std::optional<std::string> included(std::string_view line) {
  const std::size_t hash = line.find_first_not_of(" \t");
  if (hash == std::string_view::npos || line[hash] != '#') return std::nullopt;
  const std::size_t word = line.find_first_not_of(" \t", hash + 1);
  if (word == std::string_view::npos || !line.substr(word).starts_with("include")) return std::nullopt;
  const std::size_t open = line.find_first_of("<\"", word);
  if (open == std::string_view::npos) return std::nullopt;
  const std::size_t close = line.find_first_of(">\"", open + 1);
  if (close == std::string_view::npos) return std::nullopt;
  return std::string(line.substr(open + 1, close - open - 1));
}

// What the file does against the rules, each as "path:line: what and why".
std::vector<std::string> violations_of(const SourceFile& file) {
  std::vector<std::string> found;
  const std::string folder = folder_of(file.path);
  const auto own = kRanks.find(folder);
  if (own == kRanks.end() || !ends_with_any(file.path, {".h", ".cc"})) return found;
  const bool pure = folder == "parsers" || folder == "redaction" || folder == "derive";
  int number = 0;
  for (const std::string& line : lines_of(file.text)) {
    const std::string place = file.path + ":" + std::to_string(++number) + ": ";
    const std::string_view code = std::string_view(line).substr(0, line.find("//"));
    if (const std::optional<std::string> include = included(code)) {
      const std::string target = folder_of(*include);
      const auto other = kRanks.find(target);
      if (other != kRanks.end() && target != folder && other->second >= own->second) {
        found.push_back(place + folder + " includes " + *include + ", which is not to its left");
      }
      for (const Room& room : kRooms) {
        if (include->starts_with(room.include) && folder != room.folder && folder != room.second &&
            file.path != room.file) {
          found.push_back(place + *include + " belongs to " + std::string(room.folder) + " alone");
        }
      }
    }
    if (!pure) continue;
    for (const std::string_view word : kImpure) {
      if (code.find(word) != std::string_view::npos) {
        found.push_back(place + folder + " does no I/O and reads no clock, but says " + std::string(word));
      }
    }
  }
  return found;
}

TEST(Arrows, IncludesOfTheTreeGoLeftAndEachLibraryStaysInItsRoom) {
  std::vector<std::string> found;
  std::map<std::string, int> seen;
  for (const SourceFile& file : read_source_tree(RUNTAIL_SOURCE_DIR)) {
    if (ends_with_any(file.path, {".h", ".cc"})) ++seen[folder_of(file.path)];
    for (std::string& violation : violations_of(file)) found.push_back(std::move(violation));
  }
  EXPECT_THAT(found, IsEmpty());
  // The rule is empty where no file is read.
  for (const char* folder : {"core", "config", "parsers", "redaction", "derive", "schema", "buffer", "sinks", "history",
                             "alerts", "server", "agent"}) {
    EXPECT_GT(seen[folder], 0) << folder;
  }
}

TEST(Arrows, LeftwardIncludesAreFine) {
  EXPECT_THAT(
      violations_of({"agent/pipeline.cc", "#include \"buffer/buffer.h\"\n#include <boost/asio/io_context.hpp>\n"}),
      IsEmpty());
  EXPECT_THAT(violations_of({"buffer/a.cc", "#include \"buffer/b.h\"\n#include <rocksdb/db.h>\n#include <vector>\n"}),
              IsEmpty());
}

TEST(Arrows, AnIncludeToTheRightIsFound) {
  EXPECT_THAT(violations_of({"core/event.h", "\n#include \"agent/pipeline.h\"\n"}),
              ElementsAre(HasSubstr("core/event.h:2: core includes agent/pipeline.h")));
}

TEST(Arrows, AnIncludeSidewaysIsFound) {
  EXPECT_THAT(violations_of({"derive/deriver.cc", "#include \"parsers/parser.h\"\n"}), SizeIs(1));
  EXPECT_THAT(violations_of({"sinks/postgres.cc", "# include \"buffer/buffer.h\"\n"}), SizeIs(1));
  EXPECT_THAT(violations_of({"history/history.cc", "#include \"sinks/postgres.h\"\n"}), SizeIs(1));
}

TEST(Arrows, AThirdPartyHeaderOutsideItsRoomIsFound) {
  for (const Room& room : kRooms) {
    const std::string include = "#include <" + std::string(room.include) + "x.h>\n";
    const std::string elsewhere = room.folder == "config" ? "derive/a.cc" : "config/a.cc";
    EXPECT_THAT(violations_of({elsewhere, include}), SizeIs(1)) << include;
    EXPECT_THAT(violations_of({std::string(room.folder) + "/a.cc", include}), IsEmpty()) << include;
  }
}

TEST(Arrows, AClockOrAFileInAPureFolderIsFound) {
  EXPECT_THAT(violations_of({"derive/a.cc", "const auto now = std::chrono::system_clock::now();\n"}), SizeIs(1));
  EXPECT_THAT(violations_of({"parsers/a.cc", "#include <fstream>\n"}), SizeIs(1));
  EXPECT_THAT(violations_of({"redaction/a.cc", "#include <fcntl.h>\n"}), SizeIs(1));
  EXPECT_THAT(violations_of({"redaction/a.cc", "// never calls system_clock::now()\nTable::write(x);\n"}), IsEmpty());
  EXPECT_THAT(violations_of({"agent/a.cc", "const auto now = std::chrono::system_clock::now();\n"}), IsEmpty());
}

}  // namespace
}  // namespace runtail::house
