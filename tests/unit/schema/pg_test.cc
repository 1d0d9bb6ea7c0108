#include "schema/pg.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/postgres_cluster.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

using std::chrono::milliseconds;
using test::PostgresCluster;
using test::TempDir;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

PgConnection must_connect(const std::string& conninfo, const PgOptions& options = {}) {
  auto connection = PgConnection::connect(conninfo, options);
  if (!connection) throw std::runtime_error(connection.error().message);
  return std::move(*connection);
}

class PgTest : public testing::Test {
 protected:
  std::string exec_error(const std::string& sql) {
    auto done = connection_.exec(sql);
    return done ? "none" : done.error().sqlstate;
  }
  std::string conninfo_ = PostgresCluster::shared().conninfo();
  PgConnection connection_ = must_connect(conninfo_);
};

TEST_F(PgTest, QueryGivesTextNullAndNumbers) {
  const std::optional<std::string> params[] = {"it's", std::nullopt, "42"};
  auto rows = connection_.query("SELECT $1::text, $2::text, $3::bigint, $3::int = 42", params);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->rows(), 1);
  EXPECT_EQ(rows->columns(), 4);
  EXPECT_EQ(rows->text(0, 0), "it's");
  EXPECT_TRUE(rows->is_null(0, 1));
  EXPECT_EQ(rows->integer(0, 2), 42);
  EXPECT_TRUE(rows->boolean(0, 3));
}

TEST_F(PgTest, WhatIsAskedASecondTimeIsPreparedOnlyWhereTold) {
  PgOptions options;
  options.prepare = true;
  auto preparing = must_connect(conninfo_, options);
  const std::string often = "SELECT $1::int + 1", once = "SELECT $1::int + 2";
  const std::optional<std::string> params[] = {"41"};
  for (PgConnection* connection : {&preparing, &connection_}) {
    for (int time = 0; time < 3; ++time) EXPECT_EQ(connection->query(often, params)->integer(0, 0), 42);
    EXPECT_EQ(connection->query(once, params)->integer(0, 0), 43);
  }
  const std::string look = "SELECT string_agg(statement, ';') FROM pg_prepared_statements";
  EXPECT_EQ(preparing.exec(look)->text(0, 0), often);
  EXPECT_TRUE(connection_.exec(look)->is_null(0, 0));
  // As behind a pooler: another session, where nobody prepared it.
  EXPECT_TRUE(preparing.exec("DEALLOCATE ALL"));
  EXPECT_EQ(preparing.query(often, params).error().sqlstate, "26000");
}

TEST_F(PgTest, NamesItselfAndAsksForUtf8) {
  auto rows = connection_.exec("SELECT current_setting('application_name'), current_setting('client_encoding')");
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->text(0, 0), "runtail");
  EXPECT_EQ(rows->text(0, 1), "UTF8");
  auto other = must_connect(conninfo_ + " application_name=mine");
  EXPECT_EQ(other.exec("SHOW application_name")->text(0, 0), "mine");
}

TEST_F(PgTest, ManyStatementsAreOneTransaction) {
  ASSERT_TRUE(connection_.exec("CREATE TEMP TABLE t (n int)"));
  EXPECT_EQ(exec_error("INSERT INTO t VALUES (1); INSERT INTO t VALUES (1/0)"), "22012");
  EXPECT_EQ(connection_.exec("SELECT count(*) FROM t")->integer(0, 0), 0);
}

TEST_F(PgTest, TransactionStatusFollowsTheServer) {
  using Transaction = PgConnection::Transaction;
  EXPECT_EQ(connection_.transaction(), Transaction::kIdle);
  ASSERT_TRUE(connection_.exec("BEGIN"));
  EXPECT_EQ(connection_.transaction(), Transaction::kOpen);
  EXPECT_EQ(exec_error("SELECT 1/0"), "22012");
  EXPECT_EQ(connection_.transaction(), Transaction::kFailed);
  ASSERT_TRUE(connection_.exec("ROLLBACK"));
  EXPECT_EQ(connection_.transaction(), Transaction::kIdle);
  connection_.close();
  connection_.close();
  EXPECT_EQ(connection_.transaction(), Transaction::kUnknown);
  EXPECT_FALSE(connection_.is_alive());
  EXPECT_EQ(exec_error("SELECT 1"), "");
}

TEST_F(PgTest, ErrorsNameTheConstraintButNeverTheValues) {
  ASSERT_TRUE(connection_.exec("CREATE TEMP TABLE t (n int CONSTRAINT n_is_small CHECK (n < 10), u uuid UNIQUE)"));
  auto refused = connection_.exec("INSERT INTO t VALUES (4711, null)");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().sqlstate, "23514");
  EXPECT_EQ(refused.error().constraint_name, "n_is_small");
  EXPECT_EQ(refused.error().table_name, "t");
  EXPECT_THAT(refused.error().message, Not(HasSubstr("4711")));

  const std::optional<std::string> params[] = {"hunter2\" or so"};
  auto bad = connection_.query("INSERT INTO t (u) VALUES ($1)", params);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().sqlstate, "22P02");
  EXPECT_THAT(bad.error().message,
              AllOf(HasSubstr("invalid input syntax"), Not(HasSubstr("hunter2")), Not(HasSubstr("or so"))));
}

TEST_F(PgTest, CopyWritesRowsAndCountsThem) {
  ASSERT_TRUE(connection_.exec("CREATE TEMP TABLE t (n int, s text)"));
  ASSERT_TRUE(connection_.copy_begin("COPY t FROM STDIN"));
  std::string rows;
  for (int n = 0; n < 100'000; ++n) rows += std::to_string(n) + "\tsome text to fill the row\n";
  ASSERT_TRUE(connection_.copy_write(rows));
  ASSERT_TRUE(connection_.copy_write("100000\tlast\n"));
  auto copied = connection_.copy_end();
  ASSERT_TRUE(copied) << copied.error().message;
  EXPECT_EQ(*copied, 100'001);
  EXPECT_EQ(connection_.exec("SELECT sum(n) FROM t")->integer(0, 0), 5'000'050'000);
}

TEST_F(PgTest, BinaryCopyCarriesEveryByte) {
  ASSERT_TRUE(connection_.exec("CREATE TEMP TABLE t (b bytea)"));
  ASSERT_TRUE(connection_.copy_begin("COPY t FROM STDIN (FORMAT binary)"));
  std::string bytes("PGCOPY\n\377\r\n\0", 11);
  bytes.append(8, '\0');                                 // flags, extension
  bytes.append(std::string("\0\1\0\0\0\3\0\n\377", 9));  // one column of three bytes
  bytes.append("\377\377");
  ASSERT_TRUE(connection_.copy_write(bytes));
  auto copied = connection_.copy_end();
  ASSERT_TRUE(copied) << copied.error().message;
  EXPECT_EQ(connection_.exec("SELECT encode(b, 'hex') FROM t")->text(0, 0), "000aff");
}

TEST_F(PgTest, ABadRowEndsTheCopyAndTheConnectionGoesOn) {
  ASSERT_TRUE(connection_.exec("CREATE TEMP TABLE t (n int)"));
  ASSERT_TRUE(connection_.copy_begin("COPY t FROM STDIN"));
  std::string rows = "1\nsecret\n";
  for (int n = 0; n < 500'000; ++n) rows += "7\n";
  ASSERT_TRUE(connection_.copy_write(rows));
  auto copied = connection_.copy_end();
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().sqlstate, "22P02");
  EXPECT_THAT(copied.error().message, Not(HasSubstr("secret")));
  EXPECT_EQ(connection_.exec("SELECT count(*) FROM t")->integer(0, 0), 0);
}

TEST_F(PgTest, CopyThatCannotBeginLeavesTheConnectionUsable) {
  auto begun = connection_.copy_begin("COPY no_such_table FROM STDIN");
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().sqlstate, "42P01");
  EXPECT_EQ(exec_error("SELECT 1"), "none");
}

TEST_F(PgTest, ClosingInTheMiddleOfACopyLeavesNothing) {
  ASSERT_TRUE(connection_.exec("CREATE TABLE half_copied (n int)"));
  ASSERT_TRUE(connection_.copy_begin("COPY half_copied FROM STDIN"));
  ASSERT_TRUE(connection_.copy_write("1\n"));
  connection_.close();
  auto again = must_connect(conninfo_);
  EXPECT_EQ(again.exec("SELECT count(*) FROM half_copied")->integer(0, 0), 0);
  ASSERT_TRUE(again.exec("DROP TABLE half_copied"));
}

TEST_F(PgTest, AFrozenServerIsGivenUpAfterTheAnswerTimeout) {
  PgOptions options;
  options.answer_timeout = milliseconds(50);
  auto connection = must_connect(conninfo_, options);
  auto slow = connection.exec("SELECT pg_sleep(600)");
  ASSERT_FALSE(slow);
  EXPECT_TRUE(slow.error().is_connection_failure());
  EXPECT_THAT(slow.error().message, HasSubstr("within 50 ms"));
  EXPECT_FALSE(connection.is_alive());
  ASSERT_TRUE(
      connection_.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'"));
}

TEST_F(PgTest, KilledBackendIsAConnectionFailure) {
  auto victim = must_connect(conninfo_);
  const std::string pid(victim.exec("SELECT pg_backend_pid()")->text(0, 0));
  ASSERT_TRUE(connection_.exec("SELECT pg_terminate_backend(" + pid + ", 60000)"));
  auto lost = victim.exec("SELECT 1");
  ASSERT_FALSE(lost);
  EXPECT_TRUE(lost.error().is_connection_failure()) << lost.error().sqlstate;
  EXPECT_FALSE(victim.is_alive());
}

TEST_F(PgTest, KnowsAStandbyFromAPrimary) { EXPECT_FALSE(connection_.is_in_recovery().value()); }

TEST(PgConnectTest, NobodyThereIsUnavailableAndNamesThePlace) {
  const TempDir nowhere;
  auto connection = PgConnection::connect("host=" + nowhere.path().string() + " dbname=x user=x password=hunter2");
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().sqlstate, "");
  EXPECT_THAT(connection.error().message, AllOf(HasSubstr(nowhere.path().string()), Not(HasSubstr("hunter2"))));
  EXPECT_EQ(to_error(connection.error(), "connect").code, ErrorCode::kUnavailable);
}

TEST(PgConnectTest, RefusalsCarryTheirSqlState) {
  auto connection = PgConnection::connect(PostgresCluster::shared().conninfo("no_such_database"));
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().sqlstate, "3D000");
  EXPECT_THAT(connection.error().message, AllOf(HasSubstr("no_such_database"), Not(HasSubstr("LOCATION"))));
  EXPECT_EQ(to_error(connection.error(), "connect").code, ErrorCode::kInvalidInput);
}

TEST(PgConnectTest, AnUnreadableConnectionStringIsNotShown) {
  auto connection = PgConnection::connect("host=db hunter2");
  ASSERT_FALSE(connection);
  EXPECT_THAT(connection.error().message, AllOf(HasSubstr("connection string"), Not(HasSubstr("hunter2"))));
}

TEST(PgConnectTest, ASilentHostDoesNotHideTheNext) {
  // Listens, and never answers.
  const TempDir directory;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = directory / ".s.PGSQL.5432";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 5), 0);
  PgOptions options;
  options.connect_timeout = milliseconds(100);

  const std::string silent = directory.path().string();
  auto alone = PgConnection::connect("user=runtail dbname=postgres host=" + silent, options);
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().message, AllOf(HasSubstr(silent), HasSubstr("within 100 ms")));
  options.connect_timeout = milliseconds(1000);
  const std::string both = silent + "," + PostgresCluster::shared().socket_directory().string();
  EXPECT_TRUE(PgConnection::connect("user=runtail dbname=postgres host=" + both, options));
  ::setenv("PGHOST", both.c_str(), 1);
  EXPECT_TRUE(PgConnection::connect("user=runtail dbname=postgres", options)) << "hosts of the environment";
  ::unsetenv("PGHOST");
  ::close(listener);
}

// As behind a load balancer with two addresses, or where a machine has an IPv6 address that nobody routes.
TEST(PgConnectTest, ASilentAddressOfAHostDoesNotHideTheNext) {
  const char* const silent = "127.0.44.1";
  const char* const good = "127.0.44.2";
  PostgresCluster cluster({.conf = {"listen_addresses = '" + std::string(good) + "'"}});
  std::ofstream(cluster.socket_directory() / "data" / "pg_hba.conf", std::ios::app) << "host all all all trust\n";
  ASSERT_TRUE(must_connect(cluster.conninfo()).exec("SELECT pg_reload_conf()"));
  // Listens, and never answers.
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(5432);
  ASSERT_EQ(::inet_pton(AF_INET, silent, &address.sin_addr), 1);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 5), 0);
  const TempDir directory;
  const std::string hosts = directory / "hosts";
  std::ofstream(hosts) << silent << " two.addresses\n" << good << " two.addresses\n";

  // A process of its own, as it sees another /etc/hosts.
  constexpr int kRefused = 77;
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount(hosts.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) != 0) {
      ::_exit(kRefused);
    }
    PgOptions options;
    options.connect_timeout = milliseconds(2000);
    ::_exit(PgConnection::connect("user=runtail dbname=postgres host=two.addresses", options) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ::close(listener);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kRefused) GTEST_SKIP() << "unshare or mount is refused here";
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the second address was not tried";
}

TEST(PgConnectTest, ThePasswordComesFromItsFileAtEachConnect) {
  PostgresCluster& cluster = PostgresCluster::shared();
  auto admin = must_connect(cluster.conninfo());
  ASSERT_TRUE(admin.exec("CREATE ROLE locked LOGIN PASSWORD 'hunter2'"));
  const std::filesystem::path hba = cluster.socket_directory() / "data" / "pg_hba.conf";
  const std::string before = test::read_file(hba);
  std::ofstream(hba, std::ios::trunc) << "local all locked scram-sha-256\n" << before;
  ASSERT_TRUE(admin.exec("SELECT pg_reload_conf()"));
  const std::string conninfo = "user=locked dbname=postgres host=" + cluster.socket_directory().string();
  const TempDir directory;
  PgOptions options;
  options.password_file = directory / "password";

  auto missing = PgConnection::connect(conninfo, options);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr(options.password_file.string()));
  std::ofstream(options.password_file) << "wrong\n";
  ASSERT_TRUE(test::wait_until([&] {
    auto refused = PgConnection::connect(conninfo, options);
    return !refused && refused.error().sqlstate == "28P01";
  }));
  std::ofstream(options.password_file) << "hunter2\n";
  EXPECT_TRUE(PgConnection::connect(conninfo, options));
  std::ofstream(hba, std::ios::trunc) << before;
  ASSERT_TRUE(admin.exec("SELECT pg_reload_conf()"));
}

TEST(PgErrorTest, TellsWhatMayPassFromWhatSomebodyMustMend) {
  const auto code = [](const char* state) { return to_error(PgError(state, "m"), "write").code; };
  for (const char* state :
       {"", "08006", "40001", "40P01", "53300", "55P03", "57014", "57P01", "25006", "25P03", "58030"}) {
    EXPECT_EQ(code(state), ErrorCode::kUnavailable) << state;
  }
  for (const char* state : {"28P01", "3D000", "42501", "42P01", "22P02", "23514", "55000", "40002"}) {
    EXPECT_EQ(code(state), ErrorCode::kInvalidInput) << state;
  }
  EXPECT_EQ(to_error(PgError("42P01", "no table"), "write").message, "write: no table (SQLSTATE 42P01)");
}

TEST(PgQuoteTest, QuotesWhatCannotBeAParameter) {
  EXPECT_EQ(quote_identifier("od\"d"), "\"od\"\"d\"");
  auto connection = must_connect(PostgresCluster::shared().conninfo());
  for (const std::string text : {"plain", "it's", "back\\slash'", "\\"}) {
    EXPECT_EQ(connection.exec("SELECT " + quote_literal(text))->text(0, 0), text);
  }
}

}  // namespace
}  // namespace runtail
