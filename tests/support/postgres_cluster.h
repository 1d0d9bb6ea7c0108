// A real PostgreSQL of a test's own, below a temporary folder, on a unix socket only: nothing clashes, nothing stays.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/child_process.h"

namespace runtail::test {

class PostgresCluster;

struct ClusterOptions {
  // Off: commits survive the death of every process, but not of the machine. On: stock settings, for figures.
  bool fsync = false;
  std::vector<std::string> conf = {};      // lines added to postgresql.conf, the last of a name wins
  std::vector<std::string> launcher = {};  // before the server's command line; must exec it: {"nsenter", "--net=..."}
  // Where initdb and postgres are; "" for the newest that is installed. As the launcher sees it.
  std::string programs = {};
  // Begin as a standby of this one: a copy of its data that follows it. It must outlive this, with wal_level = replica.
  const PostgresCluster* primary = nullptr;
};

// Runs as the user postgres when the test runs as root (PostgreSQL refuses root), else as the test's own user.
// Throws std::runtime_error with the end of the server's log. Dies with the test, however that ends.
class PostgresCluster {
 public:
  enum class Stop { kFast /* open transactions are rolled back */, kImmediate /* like a crash: recovery at start */ };

  explicit PostgresCluster(const ClusterOptions& options = {});  // about a second
  ~PostgresCluster();
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;

  // One for the whole test process, with fsync off. Call it first from the main thread.
  static PostgresCluster& shared();

  void start();                       // returns when it answers; harmless when it runs
  void stop(Stop how = Stop::kFast);  // returns when its last process is gone; harmless when it is stopped
  pid_t pid() const;                  // of the postmaster; -1 when stopped
  void promote();                     // a standby becomes a primary; returns when it takes writes

  std::string conninfo(const std::string& database = "postgres") const;
  const std::filesystem::path& socket_directory() const { return directory_; }  // readable by every user
  std::string log() const;                                                      // what the server wrote

  // Nobody may be connected to the template. Gives the new database's conninfo.
  std::string create_database(const std::string& name, const std::string& template_name = "template1");
  // A database with runtail's schema, partitions and identity key in it: copied from one that is migrated once.
  std::string create_migrated_database(const std::string& name);

 private:
  std::vector<std::string> as_server_user(std::vector<std::string> argv) const;

  std::filesystem::path directory_;  // its socket is here, its data in data/
  std::filesystem::path programs_;   // /usr/lib/postgresql/15/bin
  std::unique_ptr<ChildProcess> process_;
  const std::vector<std::string> launcher_;
  const bool fsync_;
  bool template_made_ = false;
};

}  // namespace runtail::test
