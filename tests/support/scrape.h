// A metrics page as numbers.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace runtail::test {

using Labels = std::map<std::string, std::string>;

struct Sample {
  std::string name;
  Labels labels;
  double value = 0;
};

struct Scrape {
  std::vector<Sample> samples;

  // Sum over the samples of `name` that carry all of `labels`; 0 if there is none.
  double sum(std::string_view name, const Labels& labels = {}) const;
  // Value by "first|second" of the two labels; samples of the same pair are added.
  std::map<std::string, double> by(std::string_view name, const std::string& first, const std::string& second) const;
  std::map<std::string, double> by(std::string_view name, const std::string& label) const;
};

// Text format 0.0.4. Throws on a line that is neither comment nor sample.
Scrape parse_metrics(std::string_view page);

}  // namespace runtail::test
