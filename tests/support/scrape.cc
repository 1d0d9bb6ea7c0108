#include "tests/support/scrape.h"

#include <algorithm>
#include <stdexcept>

namespace runtail::test {
namespace {

Sample parse_sample(std::string_view line) {
  Sample sample;
  const std::size_t name_end = line.find_first_of("{ ");
  if (name_end == std::string_view::npos || name_end == 0) {
    throw std::runtime_error("no metric sample: " + std::string(line));
  }
  sample.name = line.substr(0, name_end);
  std::size_t at = name_end;
  if (line[at] == '{') {
    ++at;
    while (at < line.size() && line[at] != '}') {
      const std::size_t equals = line.find('=', at);
      std::string value;
      std::size_t end = equals + 2;  // behind the opening quote
      for (; end < line.size() && line[end] != '"'; ++end) {
        if (line[end] == '\\') ++end;
        value += line[end];
      }
      sample.labels.emplace(line.substr(at, equals - at), value);
      at = end + 1;
      if (at < line.size() && line[at] == ',') ++at;
    }
    ++at;
  }
  sample.value = std::stod(std::string(line.substr(at)));
  return sample;
}

}  // namespace

double Scrape::sum(std::string_view name, const Labels& labels) const {
  double total = 0;
  for (const Sample& sample : samples) {
    const auto carried = [&sample](const auto& label) {
      const auto found = sample.labels.find(label.first);
      return found != sample.labels.end() && found->second == label.second;
    };
    if (sample.name == name && std::all_of(labels.begin(), labels.end(), carried)) total += sample.value;
  }
  return total;
}

std::map<std::string, double> Scrape::by(std::string_view name, const std::string& first,
                                         const std::string& second) const {
  std::map<std::string, double> out;
  for (const Sample& sample : samples) {
    if (sample.name == name && sample.value != 0) {
      out[sample.labels.at(first) + '|' + sample.labels.at(second)] += sample.value;
    }
  }
  return out;
}

std::map<std::string, double> Scrape::by(std::string_view name, const std::string& label) const {
  std::map<std::string, double> out;
  for (const Sample& sample : samples) {
    if (sample.name == name && sample.value != 0) out[sample.labels.at(label)] += sample.value;
  }
  return out;
}

Scrape parse_metrics(std::string_view page) {
  Scrape scrape;
  while (!page.empty()) {
    const std::size_t end = std::min(page.find('\n'), page.size());
    const std::string_view line = page.substr(0, end);
    if (!line.empty() && line[0] != '#') scrape.samples.push_back(parse_sample(line));
    page.remove_prefix(std::min(end + 1, page.size()));
  }
  return scrape;
}

}  // namespace runtail::test
