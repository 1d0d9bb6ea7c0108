// Each stage of the way of a line, over the same lines.
#include <simdjson.h>

#include <fstream>
#include <numeric>

#include "agent/run_book.h"
#include "buffer/chunk_value.h"
#include "core/event_codec.h"
#include "derive/deriver.h"
#include "parsers/parser.h"
#include "redaction/redactor.h"
#include "tests/bench/bench.h"
#include "tests/bench/measure.h"

namespace runtail::bench {
namespace {

// Keeps the compiler from dropping what it sees nobody use.
volatile std::uint64_t sink = 0;

// Of each ten lines of the workload two are replaced by lines of tools, by turns: those of the golden logs.
std::string mixed_with_tools(const std::vector<std::string_view>& lines) {
  std::vector<std::filesystem::path> logs;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(RUNTAIL_SOURCE_DIR) /
                                                                         "tests/testdata/dialects")) {
    if (entry.path().extension() == ".log") logs.push_back(entry.path());
  }
  std::sort(logs.begin(), logs.end());
  std::vector<std::string> tools;
  for (const std::filesystem::path& log : logs) {
    std::ifstream file(log);
    for (std::string line; std::getline(file, line);) tools.push_back(line);
  }
  std::string text;
  std::size_t next = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    text += i % 10 < 2 ? std::string_view(tools[next++ % tools.size()]) : lines[i];
    text += '\n';
  }
  return text;
}

// The same lines with and without those of other tools, by turns.
void print_mixed(Parser& parser, const std::vector<std::string_view>& native, double native_bytes, int rounds) {
  const std::string text = mixed_with_tools(native);
  const std::vector<std::string_view> mixed = lines_of(text);
  std::vector<double> ratios;
  std::vector<Figure> figures;
  const auto parse_all = [&](const std::vector<std::string_view>& lines) {
    for (const std::string_view line : lines) {
      sink = sink + parser.parse(line).fields.size();
      while (parser.next()) sink = sink + 1;
    }
  };
  for (int round = 0; round < rounds; ++round) {
    const Figure alone =
        measure("native", static_cast<double>(native.size()), native_bytes, [&] { parse_all(native); });
    figures.push_back(measure("parse, a fifth of the lines of other tools", static_cast<double>(mixed.size()),
                              static_cast<double>(text.size()), [&] { parse_all(mixed); }));
    ratios.push_back((static_cast<double>(text.size()) / figures.back().cpu_s) / (native_bytes / alone.cpu_s));
  }
  std::sort(ratios.begin(), ratios.end());
  print(median(std::move(figures)));
  std::printf(
      "mixed dialects parse at %.0f %% of the bytes a second of the native one alone (%.0f to %.0f; wanted: 80 %%)\n",
      ratios[ratios.size() / 2] * 100, ratios.front() * 100, ratios.back() * 100);
}

}  // namespace

void bench_stages(const BenchOptions& options) {
  const std::string text = make_workload(options);
  const std::vector<std::string_view> lines = lines_of(text);
  const auto count = static_cast<double>(lines.size()), bytes = static_cast<double>(text.size());
  std::printf(
      "stages: %zu lines, %.0f bytes a line, median of %d rounds; each includes the stages above it from 'parse' on\n",
      lines.size(), bytes / count, options.rounds);

  Parser parser(built_in_dialects());
  Redactor redactor = std::move(*Redactor::make({}));
  const Deriver deriver{DeriverSettings{}};
  const FileIdentity file{"bench/stages", {}, 0};
  const EventIds ids(file);
  std::vector<std::vector<Figure>> rounds(6);
  for (int round = 0; round < options.rounds; ++round) {
    rounds[0].push_back(measure("limit: newline scan", count, bytes, [&] {
      std::uint64_t n = 0;
      for (const char* at = text.data();
           (at = static_cast<const char*>(memchr(at, '\n', static_cast<std::size_t>(text.data() + text.size() - at))));
           ++at)
        ++n;
      sink = sink + n;
    }));
    rounds[1].push_back(measure("limit: simdjson DOM parse", count, bytes, [&] {
      simdjson::dom::parser json;
      std::string padded(1 << 20, '\0');
      for (const std::string_view line : lines) {
        memcpy(padded.data(), line.data(), line.size());
        simdjson::dom::element root;
        if (json.parse(padded.data(), line.size(), false).get(root) == simdjson::SUCCESS) sink = sink + 1;
      }
    }));
    rounds[2].push_back(measure("parse", count, bytes, [&] {
      for (const std::string_view line : lines) sink = sink + parser.parse(line).fields.size();
    }));
    rounds[3].push_back(measure("parse + redact", count, bytes, [&] {
      for (const std::string_view line : lines) sink = sink + redactor.redact(parser.parse(line)).fields.size();
    }));
    rounds[4].push_back(measure("parse + redact + derive", count, bytes, [&] {
      Derived derived;
      IdMemory memory;
      std::uint64_t offset = 0;
      for (const std::string_view line : lines) {
        deriver.derive(redactor.redact(parser.parse(line)), {&ids, offset, "job", 4}, derived, &memory);
        offset += line.size() + 1;
        sink = sink + derived.tables;
      }
    }));
    rounds[5].push_back(measure("parse + redact + derive + pack", count, bytes, [&] {
      Derived derived;
      IdMemory memory;
      ChunkPacker packer;
      Chunk chunk;
      std::string packed;
      Watermark mark;
      std::uint64_t offset = 0;
      for (const std::string_view line : lines) {
        const RedactedEvent& event = redactor.redact(parser.parse(line));
        deriver.derive(event, {&ids, offset, "job", 4}, derived, &memory);
        append_event(chunk.events, event, static_cast<std::int64_t>(offset), line.size() + 1);
        offset += line.size() + 1;
        if (chunk.events.size() > 700'000) {
          place_chunk(packer.pack(chunk), mark, packed);
          sink = sink + packed.size();
          chunk.events.clear();
        }
      }
    }));
  }
  // Of figures taken one after the other, so that a slow moment of the machine falls on both.
  std::vector<double> shares;
  for (std::size_t round = 0; round < rounds[4].size(); ++round) {
    shares.push_back(rounds[4][round].cpu_s / rounds[3][round].cpu_s - 1);
  }
  std::sort(shares.begin(), shares.end());
  for (auto& figures : rounds) print(median(std::move(figures)));
  std::printf("derive adds %.1f %% to parse + redact (%.1f to %.1f; allowed: 25 %%)\n", shares[shares.size() / 2] * 100,
              shares.front() * 100, shares.back() * 100);
  print_mixed(parser, lines, bytes, options.rounds);
}

}  // namespace runtail::bench
