#include "tests/support/server_network.h"

#include <unistd.h>

#include <stdexcept>
#include <utility>

#include "tests/support/child_process.h"

namespace runtail::test {
namespace {

// Last digit of a card's address.
constexpr int kOurs = 1, kTheirs = 2, kNobody = 9;

std::string hardware_address(int last) { return "02:00:00:00:00:0" + std::to_string(last); }

}  // namespace

ServerNetwork::ServerNetwork() {
  // 198.18.0.0/15 is set aside for tests of networks; of it four addresses of this process's own.
  const auto pid = static_cast<unsigned>(::getpid());
  const std::string block = "198.18." + std::to_string(pid >> 6 & 0xFF) + '.';
  const unsigned first = (pid & 0x3F) << 2;
  here_ = block + std::to_string(first + 1);
  there_ = block + std::to_string(first + 2);
  name_ = "runtail-" + std::to_string(pid);
  our_end_ = "rt" + std::to_string(pid) + 'a';
  server_end_ = "rt" + std::to_string(pid) + 'b';
}

ServerNetwork::~ServerNetwork() {
  run({"ip", "link", "del", our_end_});
  run({"ip", "netns", "del", name_});
}

bool ServerNetwork::run(std::vector<std::string> argv) {
  Command command;
  command.argv = std::move(argv);
  const Finished finished = run_to_end(command);
  if (finished.exit_code != 0) why_ = command.argv[0] + ' ' + command.argv[1] + ": " + finished.errors;
  return finished.exit_code == 0;
}

bool ServerNetwork::set_up() {
  const auto in_there = [this](std::vector<std::string> argv) {
    std::vector<std::string> all = launcher();
    all.insert(all.end(), argv.begin(), argv.end());
    return run(std::move(all));
  };
  return run({"ip", "netns", "add", name_}) &&
         run({"ip", "link", "add", our_end_, "address", hardware_address(kOurs), "type", "veth", "peer", "name",
              server_end_, "address", hardware_address(kTheirs), "netns", name_}) &&
         run({"ip", "addr", "add", here_ + "/30", "dev", our_end_}) && run({"ip", "link", "set", our_end_, "up"}) &&
         in_there({"ip", "addr", "add", there_ + "/30", "dev", server_end_}) &&
         in_there({"ip", "link", "set", server_end_, "up"}) && in_there({"ip", "link", "set", "lo", "up"}) &&
         send_to(kTheirs, kOurs);
}

std::unique_ptr<ServerNetwork> ServerNetwork::make(std::string& why) {
  if (::geteuid() != 0) {
    why = "a network namespace needs root";
    return nullptr;
  }
  std::unique_ptr<ServerNetwork> network(new ServerNetwork);
  if (network->set_up()) return network;
  why = "no network of its own here: " + network->why_;
  return nullptr;
}

std::vector<std::string> ServerNetwork::launcher() const { return {"nsenter", "--net=/run/netns/" + name_}; }

bool ServerNetwork::send_to(int their_end, int our_end) {
  std::vector<std::string> back = launcher();
  back.insert(back.end(), {"ip", "neigh", "replace", here_, "lladdr", hardware_address(our_end), "dev", server_end_,
                           "nud", "permanent"});
  return run({"ip", "neigh", "replace", there_, "lladdr", hardware_address(their_end), "dev", our_end_, "nud",
              "permanent"}) &&
         run(std::move(back));
}

void ServerNetwork::cut() {
  // Frames for a card nobody has are sent and received like all others, and passed over: no sender can tell.
  if (!send_to(kNobody, kNobody)) throw std::runtime_error(why_);
}

void ServerNetwork::mend() {
  if (!send_to(kTheirs, kOurs)) throw std::runtime_error(why_);
}

}  // namespace runtail::test
