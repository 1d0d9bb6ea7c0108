// A network of its own for a server, joined to the test's by a virtual cable that can swallow every packet in silence:
// no reset, no "unreachable", as when a firewall drops a connection or a machine vanishes.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace runtail::test {

class ServerNetwork {
 public:
  // Nothing where namespaces or virtual cables are refused; `why` then says so.
  static std::unique_ptr<ServerNetwork> make(std::string& why);
  ServerNetwork(const ServerNetwork&) = delete;
  ServerNetwork& operator=(const ServerNetwork&) = delete;
  ~ServerNetwork();  // takes network and cable away

  const std::string& address() const { return there_; }        // the server's
  const std::string& client_address() const { return here_; }  // ours, as the server sees it
  std::vector<std::string> launcher() const;                   // before a server's command line; execs it
  void cut();
  void mend();

 private:
  ServerNetwork();
  // false: it failed, why_ has its words.
  bool run(std::vector<std::string> argv);
  bool set_up();
  // To which cards the two ends send.
  bool send_to(int their_end, int our_end);

  std::string name_, here_, there_, our_end_, server_end_, why_;
};

}  // namespace runtail::test
