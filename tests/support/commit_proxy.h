// Stands between a client and PostgreSQL on a unix socket, and cuts the line around a COMMIT.
// Reads just enough of the frontend/backend protocol (version 3) to see the boundaries of messages, the text of queries
// ('Q' and 'P') and the tag of CommandComplete ('C').
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace runtail::test {

class CommitProxy {
 public:
  enum class Cut {
    kBeforeServer,  // COMMIT never reaches the server: the transaction is rolled back
    kAfterServer,   // the server committed, its answer never reaches the client
  };

  // Listens in `directory` as PostgreSQL would; connect with host=<directory>. `server_socket` is the real socket file.
  CommitProxy(std::filesystem::path directory, std::filesystem::path server_socket);
  ~CommitProxy();
  CommitProxy(const CommitProxy&) = delete;
  CommitProxy& operator=(const CommitProxy&) = delete;

  // The next COMMIT meets this; one at a time.
  void cut_next(Cut cut) { armed_ = cut == Cut::kBeforeServer ? 1 : 2; }
  int cuts() const { return cuts_; }
  // Of those, in transactions that wrote run facts alone, and log lines alone.
  int cuts_of_facts() const { return cuts_of_facts_; }
  int cuts_of_lines() const { return cuts_of_lines_; }
  int commits() const { return commits_; }  // COMMITs the server answered

 private:
  struct Connection;
  void run();
  bool forward_from_client(Connection& connection);  // false: the connection is over
  bool forward_from_server(Connection& connection);
  void count_cut(const Connection& connection);

  const std::filesystem::path server_socket_;
  int listener_ = -1;
  int wake_[2] = {-1, -1};     // a pipe; closed to end the thread
  std::atomic<int> armed_{0};  // 0 nothing, 1 before, 2 after
  std::atomic<int> cuts_{0}, cuts_of_facts_{0}, cuts_of_lines_{0}, commits_{0};
  std::vector<std::unique_ptr<Connection>> connections_;  // of the thread
  std::thread thread_;
};

}  // namespace runtail::test
