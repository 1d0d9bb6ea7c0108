// Redacting redacted text changes nothing, and the gate hides nothing from the rules.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "redaction/redactor.h"
#include "redaction/ruleset.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace runtail;
  static Redactor redactor = Redactor::make({}).value();
  static const auto ruleset = make_ruleset({}).value();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string once = redactor.redact_text(text);
  if (redactor.redact_text(once) != once) std::abort();
  std::vector<Span> gated, all;
  ruleset->detectors->find(text, {}, gated, GateUse::kOn);
  ruleset->detectors->find(text, {}, all, GateUse::kOff);
  if (gated.size() != all.size()) std::abort();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (gated[i].begin != all[i].begin || gated[i].end != all[i].end || gated[i].kind != all[i].kind) std::abort();
  }
  return 0;
}
