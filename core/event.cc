#include "core/event.h"

namespace runtail {

std::string_view to_string(ContractViolation violation) {
  static constexpr std::string_view kNames[kContractViolationCount] = {"ts",     "level", "msg",   "job_id",
                                                                       "run_id", "type",  "status"};
  return kNames[static_cast<std::size_t>(violation)];
}

}  // namespace runtail
