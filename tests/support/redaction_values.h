// Made-up secrets and personal data with valid shapes and check digits, and harmless values around them. Token shapes
// are put together here at run time, so that no file of the repository holds one.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace runtail::test {

// The same seed gives the same values on every platform.
class RedactionValues {
 public:
  explicit RedactionValues(std::uint64_t seed);

  // One value of a kind: "email", "ssn", "jwt", "job", ... (redaction_values.cc lists them). Throws std::out_of_range
  // for a kind that is not known; a list of tests/testdata/redaction/words.txt is a kind too.
  std::string make(std::string_view kind);

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  std::string digits(std::size_t count);  // the first is not 0
  std::string letters(std::size_t count, std::string_view alphabet);
  const std::string& word(std::string_view list);

 private:
  std::mt19937_64 random_;
};

// The last digit, by Luhn, of a number that begins with `digits`.
char luhn_digit(std::string_view digits);

}  // namespace runtail::test
