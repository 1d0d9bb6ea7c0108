#include "tests/support/pooler.h"

#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "schema/pg.h"

namespace runtail::test {
namespace {

constexpr const char* kProgram = "/usr/sbin/pgbouncer";

}  // namespace

bool Pooler::is_installed() { return std::filesystem::exists(kProgram); }

Pooler::Pooler(const PostgresCluster& cluster, const std::vector<std::string>& settings) {
  // As root it becomes the server's user, who writes its socket and its log.
  std::filesystem::permissions(directory_.path(), std::filesystem::perms(0777));
  std::ofstream conf(directory_ / "pgbouncer.ini");
  conf << "[databases]\n* = host=" << cluster.socket_directory().string() << " user=runtail\n[pgbouncer]\n"
       << "pool_mode = transaction\nauth_type = any\nlisten_port = 5432\nunix_socket_dir = "
       << directory_.path().string() << '\n'
       << "logfile = " << (directory_ / "log").string() << '\n';
  if (::geteuid() == 0) conf << "user = postgres\n";
  for (const std::string& line : settings) conf << line << '\n';
  conf.close();
  start();
}

Pooler::~Pooler() { stop(); }

void Pooler::start() {
  if (process_ && process_->running()) return;
  Command command;
  command.argv = {kProgram, "-q", directory_ / "pgbouncer.ini"};
  process_ = std::make_unique<ChildProcess>(command);
  const bool answers =
      wait_until([&] { return !process_->running() || PgConnection::connect(conninfo("postgres")).has_value(); });
  if (!answers || !process_->running()) throw std::runtime_error("PgBouncer does not start: " + log());
}

void Pooler::stop() {
  if (!process_) return;
  process_->signal(SIGKILL);
  process_->wait();
  process_.reset();
  std::filesystem::remove(directory_ / ".s.PGSQL.5432");
}

std::string Pooler::conninfo(const std::string& database) const {
  return "host=" + directory_.path().string() + " user=runtail dbname=" + database;
}

std::string Pooler::log() const { return read_file(directory_ / "log"); }

}  // namespace runtail::test
