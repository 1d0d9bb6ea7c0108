// Debian's PgBouncer in transaction mode before a test's PostgreSQL, on a unix socket of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/postgres_cluster.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {

class Pooler {
 public:
  static bool is_installed();
  // `settings`: lines added to [pgbouncer]. `cluster` outlives this. Throws with the pooler's log.
  explicit Pooler(const PostgresCluster& cluster, const std::vector<std::string>& settings = {});
  ~Pooler();

  void start();  // returns when it answers; harmless when it runs
  void stop();   // at once: whatever goes through it is cut off; harmless when it is stopped
  std::string conninfo(const std::string& database) const;
  std::string log() const;

 private:
  const TempDir directory_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace runtail::test
