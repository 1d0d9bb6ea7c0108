// Backfill from what journalctl prints: as JSON and as an export, plain and packed, the same history.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/journal_files.h"
#include "tests/support/replay_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

void print_journal(const fs::path& journal, const std::string& format, const fs::path& into) {
  Command command;
  command.argv = {"journalctl", "--no-pager", "--all", "--file", journal, "-o", format};
  const Finished done = run_to_end(std::move(command));
  ASSERT_EQ(done.exit_code, 0) << done.errors;
  write_file(into, done.output);
}

TEST(ReplayJournal, ExportsAndJsonGiveTheSameHistory) {
  WorkloadOptions options;
  options.seed = seed();
  options.lines = by_scale(600, 30'000);
  options.event_runs = 0.5;
  Workload workload(options);
  const TempDir directory;
  const fs::path journal = directory / "etl.journal";
  {
    JournalFile file(journal);
    for (std::string line; workload.next(line);) {
      file.append({line});
      // Journals keep more than text, and a service may say several lines at once.
      const std::uint64_t number = workload.expected().lines;
      if (number % 60 == 1) file.append({"bytes \xFF\xFE that are no text, " + std::to_string(number)});
      if (number % 60 == 2) file.append({"Traceback (most recent call last):\n  File \"x\"\nValueError: no"});
      if (number % 60 == 3) file.append({std::string(9000, 'w')});
    }
    file.close();
  }
  std::vector<std::string> first;
  for (const std::string form : {"json", "json.gz", "export", "export.gz"}) {
    SCOPED_TRACE(form);
    ReplayScene scene;
    const fs::path printed = directory / ("printed." + form.substr(0, form.find('.')));
    print_journal(journal, printed.extension().string().substr(1), printed);
    fs::path given = printed;
    if (form.ends_with(".gz")) run_command({"gzip", "-f", printed});
    if (form.find('.') != std::string::npos) given += form.substr(form.find('.'));
    // A name says nothing.
    fs::rename(given, scene.logs / "etl.log");
    const auto done = scene.replay({"--full", scene.logs});
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
    scene.expect_balance(done);
    expect_runs(scene.sql, workload.expected());
    const auto rows = scene.sql.rows(
        "SELECT count(*) || ' ' || md5(string_agg(concat_ws('|', ts, level, message, raw_text, context), '/' ORDER BY "
        "ts, "
        "message COLLATE \"C\")) FROM observability.log_events");
    EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'bytes %'"),
              scene.sql.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'www%'"));
    if (first.empty()) first = rows;
    EXPECT_EQ(rows, first);
    const auto again = scene.replay({"--full", scene.logs});
    EXPECT_EQ(scene.number(again, "lines,duplicate"), scene.number(done, "lines,read"));
  }
}

// The beginning counts; the rest may come later.
TEST(ReplayJournal, AnExportThatIsCutGivesItsWholeEntries) {
  ReplayScene scene;
  const TempDir directory;
  {
    JournalFile file(directory / "etl.journal");
    for (int i = 0; i < 50; ++i) file.append({R"({"level":"ERROR","msg":"entry )" + std::to_string(i) + "\"}"});
    file.close();
  }
  print_journal(directory / "etl.journal", "export", directory / "export");
  const std::string whole = read_file(directory / "export");
  write_file(scene.logs / "etl.log", whole.substr(0, whole.rfind("MESSAGE=") + 20));
  auto done = scene.replay({scene.logs});
  EXPECT_EQ(done.exit_code, 1) << done.receipt;
  EXPECT_EQ(scene.number(done, "lines,stored"), 49) << done.receipt;
  EXPECT_EQ(scene.text(done, "files,0,state"), "incomplete");
  write_file(scene.logs / "etl.log", whole);
  done = scene.replay({scene.logs});
  EXPECT_EQ(done.exit_code, 0) << done.errors;
  EXPECT_EQ(scene.number(done, "lines,stored"), 1) << done.receipt;
  EXPECT_EQ(scene.number(done, "lines,duplicate"), 49) << done.receipt;
}

}  // namespace
}  // namespace runtail::test
