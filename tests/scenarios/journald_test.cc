// The journal as a source, on real journals: what journald and journal-remote write arrives once, whatever happens to
// agent, reader and files; what was vacuumed unread is counted.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <random>

#include "agent/journal_frame.h"
#include "tests/support/journal_files.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

std::string numbered(int number) { return R"({"level":"INFO","msg":"seq=)" + std::to_string(number) + " some text\"}"; }

AgentSetup following(const TempDir& directory, const std::string& journal, const std::string& more,
                     const std::string& postgres_url) {
  AgentSetup setup;
  setup.directory = directory.path();
  setup.sources = {{"etl", "", "type: journald, journal_directory: \"" + journal + "\"" + more}};
  setup.postgres_url = postgres_url;
  return setup;
}

// Process ids of the agent's journal readers.
std::vector<pid_t> readers_of(const AgentProcess& agent) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (read_file(entry.path() / "cmdline") != std::string("runtail\0journal-reader\0", 23)) continue;
    const std::string stat = read_file(entry.path() / "stat");
    const std::size_t behind_name = stat.rfind(')');
    if (behind_name == std::string::npos) continue;
    const std::string parent = std::to_string(std::stoi(stat.substr(behind_name + 4)));
    if (read_file("/proc/" + parent + "/cmdline").find(agent.config_path()) != std::string::npos) {
      found.push_back(std::stoi(name));
    }
  }
  return found;
}

class Journald : public testing::Test {
 protected:
  Journald() : sql_(PostgresCluster::shared().create_migrated_database("journald_" + std::to_string(++scenes_))) {
    std::filesystem::create_directory(journal_);
  }
  void follow(const std::string& more = "", const std::string& journal = "") {
    const std::string url = PostgresCluster::shared().conninfo("journald_" + std::to_string(scenes_));
    agent_ =
        std::make_unique<AgentProcess>(following(directory_, journal.empty() ? journal_.string() : journal, more, url));
    ASSERT_TRUE(agent_->start_healthy()) << agent_->log();
  }
  void write(JournalFile& file, int entries) {
    for (int i = 0; i < entries; ++i) file.append({numbered(next_++)});
  }
  void expect_all_once() {
    EXPECT_TRUE(wait_delivered(sql_, *agent_, static_cast<std::uint64_t>(next_)))
        << sql_.log_events() << " of " << next_ << "\n"
        << agent_->log();
    expect_every_line_once(sql_, static_cast<std::uint64_t>(next_));
    EXPECT_EQ(agent_->metric("runtail_lost_entries_total"), 0);
    EXPECT_EQ(agent_->metric("runtail_ledger_imbalance"), 0);
  }
  static inline int scenes_ = 0;
  TempDir directory_;
  std::filesystem::path journal_ = directory_ / "journal";
  Sql sql_;
  std::unique_ptr<AgentProcess> agent_;
  int next_ = 0;
};

TEST_F(Journald, TheAgentKilledUnderWritingLosesNothingAndRepeatsNothing) {
  std::mt19937_64 random(seed());
  JournalFile file(journal_ / "a.journal");
  follow();
  for (int kill = 0; kill < by_scale(5, 100); ++kill) {
    write(file, 500);
    const int sure = next_ - 300;
    ASSERT_TRUE(wait_until([&] { return sql_.log_events() >= sure; })) << agent_->log();
    let_pass(std::chrono::microseconds(random() % 30'000));
    agent_->kill9();
    write(file, 200);
    ASSERT_TRUE(agent_->start_healthy()) << agent_->log();
  }
  expect_all_once();
  EXPECT_EQ(sql_.number("SELECT count(*) FROM observability.source_files WHERE stream NOT LIKE '%/runtail/self'"), 1);
  EXPECT_EQ(
      sql_.number(
          "SELECT upper(range_merge(covered)) FROM observability.source_files WHERE stream NOT LIKE '%/runtail/self'"),
      2 * (next_ + 1))
      << "two for each entry";
}

TEST_F(Journald, TheReaderAbortedUnderWritingIsStartedAgainAndNothingComesTwice) {
  JournalFile file(journal_ / "a.journal");
  follow();
  for (int kill = 0; kill < by_scale(5, 20); ++kill) {
    write(file, 2000);
    std::vector<pid_t> readers;
    ASSERT_TRUE(wait_until([&] { return (readers = readers_of(*agent_)).size() == 1; })) << readers.size();
    ::kill(readers[0], kill % 2 == 0 ? SIGABRT : SIGKILL);
    ASSERT_TRUE(wait_until([&] { return readers_of(*agent_) != readers; }));
  }
  expect_all_once();
  EXPECT_NE(agent_->log().find("the journal reader was ended by signal 6 (Aborted) and is started again"),
            std::string::npos)
      << agent_->log();
  EXPECT_TRUE(wait_until([&] { return agent_->get("/readyz").status == 200; })) << agent_->get("/readyz").body;
  agent_->kill9();
  EXPECT_TRUE(wait_until([&] { return readers_of(*agent_).empty(); }));
}

TEST_F(Journald, TheReaderEndsWithTheAgentHoweverThatEnds) {
  JournalFile file(journal_ / "a.journal");
  write(file, 10);
  follow();
  expect_all_once();
  const std::vector<pid_t> readers = readers_of(*agent_);
  ASSERT_EQ(readers.size(), 1u);
  const auto is_gone = [&] {
    const std::string stat = read_file("/proc/" + std::to_string(readers[0]) + "/stat");
    return stat.empty() || stat.find(") Z") != std::string::npos;
  };
  agent_->kill9();
  EXPECT_TRUE(wait_until(is_gone, Deadline(5000)));
}

TEST_F(Journald, ALostBufferIsMadeGoodFromTheDatabasesPositions) {
  JournalFile file(journal_ / "a.journal");
  write(file, 1000);
  follow();
  expect_all_once();
  agent_->kill9();
  std::filesystem::remove_all(agent_->buffer());
  write(file, 500);
  ASSERT_TRUE(agent_->start_healthy()) << agent_->log();
  EXPECT_TRUE(wait_delivered(sql_, *agent_, static_cast<std::uint64_t>(next_))) << agent_->log();
  expect_every_line_once(sql_, static_cast<std::uint64_t>(next_));
  EXPECT_EQ(agent_->lines_read(), 500);
}

TEST_F(Journald, UnitsTextsOfSeveralLinesAnyBytesAndTimesArriveAsTheyAre) {
  const std::int64_t began = JournalFile::an_hour_ago();
  JournalFile file(journal_ / "a.journal", '1', began);
  file.append({"Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nValueError: bad"});
  file.append({"not asked for", "other.service"});
  file.append({std::string("bytes \xff\xfe and \0 zero", 22)});
  for (const char* line : {"Traceback (most recent call last):", "  File \"b.py\", line 2, in <module>", "    go()",
                           "KeyError: 'x'", "plain text"}) {
    file.append({line, "etl@7.service", "55"});
  }
  follow(", units: [etl.service, etl@7.service], job_id: orders");
  ASSERT_TRUE(wait_until([&] { return sql_.log_events() >= 4; })) << agent_->log();
  const auto rows = sql_.rows(
      "SELECT concat_ws(' ', message, raw_text, error_stack), context::text FROM observability.log_events ORDER BY ts");
  ASSERT_EQ(rows.size(), 4u) << testing::PrintToString(rows);
  EXPECT_NE(rows[0].find("ValueError: bad"), std::string::npos) << rows[0];
  EXPECT_NE(rows[0].find("\"journal.unit\": \"etl.service\""), std::string::npos) << rows[0];
  EXPECT_NE(rows[1].find("bytes"), std::string::npos) << rows[1];
  EXPECT_NE(rows[2].find("b.py"), std::string::npos) << rows[2];
  EXPECT_NE(rows[2].find("KeyError"), std::string::npos) << rows[2];
  EXPECT_NE(rows[2].find("\"journal.unit\": \"etl@7.service\""), std::string::npos) << rows[2];
  EXPECT_NE(rows[3].find("plain text"), std::string::npos) << rows[3];
  EXPECT_EQ(sql_.number("SELECT (extract(epoch FROM min(ts)) * 1000000)::bigint FROM observability.log_events"),
            began + 1'001'000);
  EXPECT_EQ(agent_->lines_read(), 7);
}

TEST_F(Journald, AnotherBootAndAnotherFileGoOn) {
  const std::int64_t began = JournalFile::an_hour_ago();
  {
    JournalFile first(journal_ / "a.journal", '1', began);
    write(first, 300);
  }
  follow();
  expect_all_once();
  {
    JournalFile second(journal_ / "a.journal", '2', began + 600'000'000);
    write(second, 300);
    expect_all_once();
  }
  JournalFile other(journal_ / "b.journal", '3', began + 1'200'000'000);
  write(other, 300);
  expect_all_once();
  agent_->kill9();
  write(other, 100);
  ASSERT_TRUE(agent_->start_healthy()) << agent_->log();
  expect_all_once();
  EXPECT_EQ(sql_.number("SELECT count(*) FROM observability.source_files WHERE stream NOT LIKE '%/runtail/self'"), 2);
}

TEST_F(Journald, AMissingJournalIsNamedAndReadOnceItIsThere) {
  follow();
  const std::string reason = "no journal files in " + journal_.string();
  ASSERT_TRUE(wait_until([&] { return agent_->get("/readyz").body.find(reason) != std::string::npos; }))
      << agent_->get("/readyz").body;
  EXPECT_EQ(agent_->get("/readyz").status, 503);
  JournalFile file(journal_ / "a.journal");
  write(file, 10);
  expect_all_once();
  EXPECT_TRUE(wait_until([&] { return agent_->get("/readyz").status == 200; })) << agent_->get("/readyz").body;
}

TEST_F(Journald, AnUnreadableJournalIsNamedWithTheGroupThatHelps) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can become somebody who may not read";
  {
    JournalFile file(journal_ / "a.journal");
    write(file, 1);
  }
  std::filesystem::permissions(directory_.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(journal_, std::filesystem::perms(0755));
  JournalRequest request;
  request.directory = journal_;
  std::ofstream(directory_ / "request", std::ios::binary) << encode_request(request);
  Command command;
  command.argv = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", RUNTAIL_BINARY, "journal-reader"};
  command.input = directory_ / "request";
  const Finished told = run_to_end(command);
  EXPECT_NE(told.output.find("a.journal: Permission denied; add runtail's user to the group systemd-journal"),
            std::string::npos)
      << told.output << told.errors;
}

// With journald itself: it rotates, and files go while they are read.
class OwnJournald : public Journald {
 protected:
  OwnJournald() : journald_(directory_.path()) {}
  void SetUp() override {
    if (!journald_.refusal().empty()) GTEST_SKIP() << journald_.refusal();
  }
  void send(int entries) {
    for (int i = 0; i < entries; ++i) journald_.send(numbered(next_++));
  }
  // journald writes entries of its own too.
  std::int64_t ours() const {
    return sql_.number("SELECT count(*) FROM observability.log_events WHERE message LIKE 'seq=%'");
  }
  std::int64_t twice() const {
    return sql_.number(
        "SELECT count(*) - count(DISTINCT message) FROM observability.log_events WHERE message LIKE 'seq=%'");
  }
  PrivateJournald journald_;
};

TEST_F(OwnJournald, RotatedAndVacuumedWhileItIsReadLosesNothingThatWasThere) {
  follow("", journald_.journal());
  for (int turn = 0; turn < by_scale(8, 100); ++turn) {
    send(100);
    ASSERT_TRUE(wait_until([&] { return ours() == next_; })) << ours() << " of " << next_ << "\n" << agent_->log();
    journald_.rotate();
    send(20);
    const auto archived = journald_.archived_files();
    for (const auto& file : archived) std::filesystem::remove(file);
    if (turn % 4 == 3) {
      agent_->kill9();
      send(30);
      ASSERT_TRUE(agent_->start_healthy()) << agent_->log();
    }
  }
  ASSERT_TRUE(wait_until([&] { return ours() == next_; })) << ours() << " of " << next_ << "\n" << agent_->log();
  EXPECT_EQ(twice(), 0);
  EXPECT_EQ(agent_->metric("runtail_ledger_imbalance"), 0);
}

TEST_F(OwnJournald, VacuumedUnreadIsCountedAndNamedAndTheRestArrives) {
  follow("", journald_.journal());
  send(50);
  ASSERT_TRUE(wait_until([&] { return ours() == next_; })) << agent_->log();
  agent_->kill9();
  send(40);
  journald_.rotate();  // the file with the last entry read, and 40 unread ones
  send(60);
  journald_.rotate();
  send(70);
  for (const auto& file : journald_.archived_files()) std::filesystem::remove(file);
  ASSERT_TRUE(agent_->start_healthy()) << agent_->log();
  ASSERT_TRUE(wait_until([&] { return ours() == 50 + 70; })) << ours() << "\n" << agent_->log();
  send(10);
  ASSERT_TRUE(wait_until([&] { return ours() == 50 + 70 + 10; })) << ours() << "\n" << agent_->log();
  EXPECT_EQ(twice(), 0);
  EXPECT_GE(agent_->metric("runtail_lost_entries_total", {{"source", "etl"}, {"reason", "vacuumed"}}), 100);
  EXPECT_LE(agent_->metric("runtail_lost_entries_total"), 100 + 20) << "journald's own entries are among them";
  EXPECT_NE(agent_->log().find("were vacuumed before they were read"), std::string::npos) << agent_->log();
  // It is told once.
  const double lost = agent_->metric("runtail_lost_entries_total");
  agent_->kill9();
  ASSERT_TRUE(agent_->start_healthy()) << agent_->log();
  send(10);
  ASSERT_TRUE(wait_until([&] { return ours() == 50 + 70 + 20; })) << ours() << "\n" << agent_->log();
  EXPECT_EQ(agent_->metric("runtail_lost_entries_total"), lost);
}

TEST_F(OwnJournald, FilesGoWhileTheReaderIsFarBehindAndEachEntryArrivesOrIsCounted) {
  std::mt19937_64 random(seed());
  follow("", journald_.journal());
  // What is there from now on was there to be read, whenever the reader comes to look.
  ASSERT_TRUE(wait_until([&] { return agent_->get("/readyz").status == 200; })) << agent_->get("/readyz").body;
  std::vector<pid_t> readers;
  for (int turn = 0; turn < by_scale(15, 200); ++turn) {
    if (turn % 5 == 2) {
      ASSERT_TRUE(wait_until([&] { return (readers = readers_of(*agent_)).size() == 1; }));
      ::kill(readers[0], SIGSTOP);
    } else if (turn % 5 == 4) {
      ::kill(readers[0], SIGCONT);
    }
    send(static_cast<int>(random() % 400));
    journald_.rotate();
    const auto archived = journald_.archived_files();
    for (std::size_t i = 0; i + 1 < archived.size(); ++i) std::filesystem::remove(archived[i]);
  }
  journald_.send(R"({"level":"INFO","msg":"the end"})");
  ASSERT_TRUE(wait_until([&] {
    return sql_.number("SELECT count(*) FROM observability.log_events WHERE message = 'the end'") == 1;
  })) << agent_->log();
  EXPECT_EQ(twice(), 0);
  const double lost = agent_->metric("runtail_lost_entries_total");
  const std::int64_t missing = next_ - ours();
  EXPECT_GT(missing, 0) << "nothing was shown";
  EXPECT_LE(static_cast<double>(missing), lost)
      << testing::PrintToString(sql_.rows(
             "SELECT n, next FROM (SELECT n, lead(n) OVER (ORDER BY n) AS next FROM (SELECT substring(message FROM "
             "'seq=([0-9]+)')::int AS n FROM observability.log_events WHERE message LIKE 'seq=%') AS a) AS b "
             "WHERE next <> n + 1"))
      << '\n'
      << agent_->log();
  EXPECT_LE(lost, static_cast<double>(missing) + 3 * by_scale(15, 200)) << "journald's own entries";
  std::printf("%d entries sent, %lld vacuumed unread\n", next_, static_cast<long long>(missing));
}

TEST_F(OwnJournald, AWorkerUnderSystemdCatIsReadLineByLineAndItsTraceIsOneEvent) {
  follow("", journald_.journal());
  journald_.run_under_cat(
      "/usr/bin/python3 -u -c 'import sys; print(\"{\\\"level\\\":\\\"INFO\\\",\\\"msg\\\":\\\"seq=0 hello\\\"}\", "
      "flush=True); int(\"x\")' || true");
  ASSERT_TRUE(wait_until([&] {
    return sql_.number(
               "SELECT count(*) FROM observability.log_events "
               "WHERE concat_ws(' ', message, raw_text, error_stack) LIKE '%Traceback%ValueError%'") == 1;
  })) << agent_->log();
  EXPECT_EQ(ours(), 1);
}

}  // namespace
}  // namespace runtail::test
