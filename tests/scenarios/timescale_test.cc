// Debian 13's PostgreSQL 17 with its TimescaleDB (Apache edition), in a root directory of its own: the optional tables
// are hypertables, retention drops their chunks, everything else is as on PostgreSQL 15. Takes minutes: long scale
// only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/time.h"
#include "tests/support/log_writer.h"
#include "tests/support/scale.h"
#include "tests/support/scene.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A minimal Debian 13 from the mirror this machine installs from. Its user postgres has the number of ours, and what is
// below the folder of temporary files is seen inside, too.
constexpr char kMakeRoot[] = R"sh(
set -e
mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources)
mmdebstrap -q --variant=minbase --include=postgresql-17-timescaledb trixie "$1" "$mirror"
sed -i "s/^postgres:x:[0-9]*:[0-9]*:/postgres:x:$(id -u postgres):$(id -g postgres):/" "$1/etc/passwd"
sed -i "s/^postgres:x:[0-9]*:/postgres:x:$(id -g postgres):/" "$1/etc/group"
)sh";
constexpr char kEnterRoot[] = R"sh(
root=$1; shift
mount --bind "${TMPDIR:-/tmp}" "$root/tmp" && mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" &&
exec chroot "$root" "$@"
)sh";

class Timescale : public testing::Test {
 protected:
  void SetUp() override {
    if (!by_scale(false, true)) GTEST_SKIP() << "only with --long: a Debian 13 is installed for it";
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    if (std::getenv("TMPDIR")) GTEST_SKIP() << "needs /tmp for temporary files";
    if (!std::filesystem::exists("/usr/bin/mmdebstrap")) GTEST_SKIP() << "no mmdebstrap: apt-get install mmdebstrap";
    Command make;
    make.argv = {"sh", "-c", kMakeRoot, "make", root()};
    const Finished made = run_to_end(make);
    if (made.exit_code != 0) GTEST_SKIP() << "no Debian 13 to be had here: " << made.errors;
    cluster_ = std::make_unique<PostgresCluster>(ClusterOptions{
        .conf = {"shared_preload_libraries = 'timescaledb'", "timescaledb.telemetry_level = off"},
        .launcher = {"unshare", "--mount", "--propagation", "private", "sh", "-c", kEnterRoot, "enter", root()},
        .programs = "/usr/lib/postgresql/17/bin"});
  }
  std::string root() const { return directory_ / "root"; }
  std::string url(const std::string& user = "runtail") const { return cluster_->conninfo("etl") + " user=" + user; }
  Finished migrate(std::vector<std::string> more, const std::string& user = "runtail") const {
    Command command;
    command.argv = {RUNTAIL_BINARY, "migrate", "--url", url(user)};
    command.argv.insert(command.argv.end(), more.begin(), more.end());
    return run_to_end(command);
  }

  TempDir directory_;
  std::unique_ptr<PostgresCluster> cluster_;
};

TEST_F(Timescale, OptionalTablesAreHypertablesWhoseOldChunksGo) {
  // Not of template1, which TimescaleDB looks into now and then.
  const Sql sql(cluster_->create_database("etl", "template0"));
  std::printf("%s, TimescaleDB %s\n", sql.rows("SHOW server_version").at(0).c_str(),
              sql.rows("CREATE EXTENSION timescaledb; SELECT extversion || ', license ' || "
                       "current_setting('timescaledb.license') FROM pg_extension WHERE extname = 'timescaledb'")
                  .at(0)
                  .c_str());
  const Finished made = migrate({"--roles", "rt"});
  ASSERT_EQ(made.exit_code, 0) << made.errors;
  const std::string ours = " FROM timescaledb_information.hypertables WHERE hypertable_schema = 'observability'";
  EXPECT_THAT(sql.rows("SELECT hypertable_name || ' ' || owner" + ours + " ORDER BY 1"),
              ElementsAre("chat_messages rt_retention", "document_events rt_retention",
                          "metrics_aggregates rt_retention", "spans rt_retention", "traces rt_retention"));
  EXPECT_EQ(sql.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'observability.log_events'::regclass"), 34);

  // What its license refuses, and so nothing here relies on.
  EXPECT_THROW(sql.rows("ALTER TABLE observability.spans SET (timescaledb.compress)"), std::exception);
  EXPECT_THROW(sql.rows("SELECT add_retention_policy('observability.spans', interval '30 days')"), std::exception);

  // As the writer role writes them, and the retention role drops them.
  sql.rows("CREATE ROLE writes LOGIN IN ROLE rt_writer; CREATE ROLE drops LOGIN IN ROLE rt_retention");
  const Sql writer(url("writes"));
  writer.rows(
      "INSERT INTO observability.spans (id, ts, span_id, trace_id) SELECT gen_random_uuid(), "
      "now() - n * interval '1 day', repeat('a', 16), repeat('b', 32) FROM generate_series(0, 44) AS n");
  EXPECT_EQ(sql.number("SELECT count(*) FROM show_chunks('observability.spans')"), 45);
  const Finished kept = migrate({"--maintain"}, "drops");
  EXPECT_EQ(kept.exit_code, 0) << kept.errors;
  EXPECT_THAT(kept.output, HasSubstr("spans (chunk)"));
  EXPECT_EQ(sql.number("SELECT count(*) FROM observability.spans"), 31);
  EXPECT_THAT(migrate({"--maintain"}, "drops").output, HasSubstr("retention: nothing to remove"));

  // The rest is as ever.
  AgentProcess agent(tailing(directory_, url("writes")));
  LogFile log(directory_ / "etl.log");
  const std::string now = R"({"ts":")" + to_rfc3339(SystemClock().now()) + R"(","job_id":"orders","run_id":"r1",)";
  for (const char* id : {"1", "2"}) {
    log.append_line(
        now +
        R"("event":"span","duration_ms":5,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"abcdabcdabcdabc)" +
        id + R"("})");
  }
  log.append_line(now + R"("event":"run.finished","status":"success"})");
  ASSERT_TRUE(agent.start_healthy()) << agent.log();
  EXPECT_TRUE(wait_until([&] { return sql.log_events() == 3; })) << agent.log();
  EXPECT_EQ(sql.number("SELECT span_count FROM observability.traces"), 2);
  EXPECT_EQ(sql.number("SELECT count FROM observability.metrics_aggregates WHERE p50 IS NOT NULL"), 2);
  EXPECT_EQ(sql.number("SELECT count(*) FROM monitoring.job_runs WHERE status = 'SUCCESS'"), 1);
  agent.terminate();
  const Finished undone = migrate({"--down-to", "0"});
  EXPECT_EQ(undone.exit_code, 0) << undone.errors;
  EXPECT_EQ(sql.number("SELECT count(*)" + ours), 0);
}

}  // namespace
}  // namespace runtail::test
