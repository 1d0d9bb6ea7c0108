#include "tests/support/postgres_cluster.h"

#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "core/time.h"
#include "schema/migrate.h"
#include "schema/partitions.h"
#include "schema/pg.h"

namespace runtail::test {
namespace {

// With "/.s.PGSQL.5432.lock" behind it the path stays below the 108 bytes of a socket's address.
constexpr std::size_t kDirectoryLengthMax = 80;

std::filesystem::path make_directory() {
  const char* base = std::getenv("TMPDIR");
  std::string pattern = std::string(base && *base ? base : "/tmp") + "/runtail-pg-XXXXXX";
  if (pattern.size() > kDirectoryLengthMax) pattern = "/tmp/runtail-pg-XXXXXX";
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp " + pattern + ": is the folder writable?");
  ::chmod(pattern.c_str(), 0755);
  return pattern;
}

std::filesystem::path newest_programs() {
  int newest = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    if (std::filesystem::exists(entry.path() / "bin" / "initdb")) {
      newest = std::max(newest, std::atoi(entry.path().filename().c_str()));
    }
  }
  if (newest == 0) throw std::runtime_error("no PostgreSQL below /usr/lib/postgresql: apt-get install postgresql");
  return "/usr/lib/postgresql/" + std::to_string(newest) + "/bin";
}

void must(const Finished& finished, const std::string& what) {
  if (finished.exit_code != 0) throw std::runtime_error(what + ": " + finished.errors);
}

void exec_or_throw(const std::string& conninfo, const std::string& sql) {
  auto connection = PgConnection::connect(conninfo);
  if (!connection) throw std::runtime_error("connect: " + connection.error().message);
  if (auto done = connection->exec(sql); !done) throw std::runtime_error(sql + ": " + done.error().message);
}

}  // namespace

PostgresCluster::PostgresCluster(const ClusterOptions& options)
    : directory_(make_directory()),
      programs_(options.programs.empty() ? newest_programs() : std::filesystem::path(options.programs)),
      launcher_(options.launcher),
      fsync_(options.fsync) {
  if (::geteuid() == 0) {
    const passwd* owner = ::getpwnam("postgres");
    if (!owner || ::chown(directory_.c_str(), owner->pw_uid, owner->pw_gid) != 0) {
      throw std::runtime_error("give " + directory_.string() + " to user postgres: is there such a user?");
    }
  }
  const std::string data = directory_ / "data";
  Command make;
  if (options.primary) {
    make.argv = as_server_user({programs_ / "pg_basebackup", "-D", data, "-R", "--checkpoint=fast", "--no-sync", "-d",
                                options.primary->conninfo()});
  } else {
    make.argv = as_server_user(
        {programs_ / "initdb", "-D", data, "-U", "runtail", "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8"});
  }
  make.directory = directory_;
  must(run_to_end(make), make.argv.back());
  std::ofstream conf(data + "/postgresql.conf", std::ios::app);
  conf << "listen_addresses = ''\nunix_socket_directories = '" << directory_.string() << "'\n";
  if (!options.fsync) {
    // synchronous_commit stays on: without it acknowledged commits would vanish in an immediate stop.
    conf << "fsync = off\nfull_page_writes = off\nshared_buffers = 32MB\nwal_level = minimal\nmax_wal_senders = 0\n";
  }
  for (const std::string& line : options.conf) conf << line << '\n';
  conf.close();
  if (!conf) throw std::runtime_error("write " + data + "/postgresql.conf");
  start();
}

PostgresCluster::~PostgresCluster() {
  stop(Stop::kImmediate);
  if (std::getenv("RUNTAIL_TEST_KEEP")) {
    std::printf("kept: %s\n", directory_.c_str());
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

PostgresCluster& PostgresCluster::shared() {
  static PostgresCluster cluster;
  return cluster;
}

std::vector<std::string> PostgresCluster::as_server_user(std::vector<std::string> argv) const {
  // setpriv becomes the server by exec, so the pid is the postmaster's. Should the test die, an immediate stop.
  std::vector<std::string> all = launcher_;
  all.insert(all.end(), {"setpriv", "--pdeathsig", "QUIT"});
  if (::geteuid() == 0) all.insert(all.end(), {"--reuid", "postgres", "--regid", "postgres", "--init-groups"});
  all.push_back("--");
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

void PostgresCluster::start() {
  if (process_ && process_->running()) return;
  Command server;
  server.argv = as_server_user({programs_ / "postgres", "-D", directory_ / "data"});
  server.directory = directory_;
  server.output = directory_ / "output";
  server.errors = directory_ / "log";
  process_ = std::make_unique<ChildProcess>(server);
  const bool answers =
      wait_until([&] { return !process_->running() || PgConnection::connect(conninfo()).has_value(); });
  if (!answers || !process_->running()) {
    const std::string text = log();
    process_.reset();
    throw std::runtime_error("PostgreSQL does not start: " + text.substr(text.size() > 2000 ? text.size() - 2000 : 0));
  }
}

void PostgresCluster::stop(Stop how) {
  if (!process_) return;
  process_->signal(how == Stop::kFast ? SIGINT : SIGQUIT);
  process_->signal(SIGCONT);  // a test may have frozen it
  process_->wait();
  process_.reset();
}

void PostgresCluster::promote() { exec_or_throw(conninfo(), "SELECT pg_promote()"); }

pid_t PostgresCluster::pid() const { return process_ ? process_->pid() : -1; }

std::string PostgresCluster::log() const { return read_file(directory_ / "log"); }

std::string PostgresCluster::conninfo(const std::string& database) const {
  return "host=" + directory_.string() + " user=runtail dbname=" + database;
}

std::string PostgresCluster::create_database(const std::string& name, const std::string& template_name) {
  // A migrated one has thousands of files: copied twice as fast than written page by page, where a checkpoint is cheap.
  exec_or_throw(conninfo(), "CREATE DATABASE " + quote_identifier(name) + " TEMPLATE " +
                                quote_identifier(template_name) + (fsync_ ? "" : " STRATEGY file_copy"));
  return conninfo(name);
}

std::string PostgresCluster::create_migrated_database(const std::string& name) {
  const std::string template_name = "runtail_template";
  if (!template_made_) {
    auto connection = PgConnection::connect(create_database(template_name));
    if (!connection) throw std::runtime_error("connect to the template: " + connection.error().message);
    if (auto done = migrate_up(*connection, "observability"); !done) throw std::runtime_error(done.error().message);
    if (auto done = maintain_partitions(*connection, "observability", SystemClock().now()); !done) {
      throw std::runtime_error(done.error().message);
    }
    template_made_ = true;
  }
  return create_database(name, template_name);
}

}  // namespace runtail::test
