// Any bytes as a bearer token: none is taken but one that the verifier itself has minted, whole and unchanged.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "server/access_token.h"

namespace {

using namespace runtail;

void demand(bool holds) {
  if (!holds) std::abort();
}

TokenVerifier make_verifier() {
  const std::string path = "/tmp/runtail-fuzz-key-" + std::to_string(::getpid());
  std::ofstream(path) << "0123456789abcdef0123456789abcdef";
  ApiConfig config;
  config.keys.push_back({"k1", "HS256", path});
  auto verifier = TokenVerifier::make(config);
  ::unlink(path.c_str());
  demand(verifier.has_value());
  return std::move(*verifier);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TokenVerifier verifier = make_verifier();
  const TimePoint now{std::chrono::hours(500'000)};
  static const std::string good = verifier.mint({"fuzz", {"obs.read"}, {}, std::chrono::hours(1)}, "k1", now).value();
  demand(verifier.verify(good, now).has_value());
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  demand(!verifier.verify(bytes, now) || bytes == good);
  // The same in the place of each part of a good one.
  const std::size_t first = good.find('.'), second = good.rfind('.');
  for (const std::string& forged :
       {std::string(bytes) + good.substr(first), good.substr(0, first + 1) + std::string(bytes) + good.substr(second),
        good.substr(0, second + 1) + std::string(bytes)}) {
    demand(!verifier.verify(forged, now) || forged == good);
  }
  return 0;
}
