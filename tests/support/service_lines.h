// Lines of services beside the runs: requests, pools, queues, caches, spans, conversations, documents, providers. And
// what must come out, counted while they are made.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace runtail::test {

struct ServiceCounts {
  // Counters by "family{label=value,...}" with labels in order of name; of a histogram its _count.
  std::map<std::string, double> samples;
  double spans = 0, chats = 0, documents = 0;  // rows
};

class ServiceLines {
 public:
  using Below = std::function<std::uint64_t(std::uint64_t bound)>;

  // One line in place of `line`, without newline. `number`: of the line, said once in its message and in its ids.
  void next(std::string& line, const std::string& time, std::uint64_t number, const Below& below);
  const ServiceCounts& counts() const { return counts_; }

 private:
  ServiceCounts counts_;
};

}  // namespace runtail::test
