// A secret on the agent's own path: whatever bytes of a file a read ends at, and whatever lines a commit ends at,
// nothing of it is in what is durable, and no other line suffers.
#include "agent/pipeline.h"
#include "core/event_codec.h"
#include "core/event_json.h"
#include "tests/support/redaction_values.h"
#include "tests/support/scale.h"
#include "tests/unit/agent/file_scene.h"

namespace runtail {
namespace {

constexpr const char* kKinds[] = {"jwt", "aws_key_id", "github_pat", "slack_bot", "stripe_secret", "email", "ssn"};
constexpr std::size_t kReadBytes = 1 << 20;  // as much as one read takes (agent/file_bytes.cc)

class RedactBlocks : public test::FileScene {
 protected:
  RedactBlocks() {
    BufferConfig config;
    config.directory = dir_.path() / "buffer";
    store_ = std::move(*DurableBuffer::open(config));
    DeriverSettings settings;
    settings.agent_id = "agent";
    pipeline_ = std::make_unique<Pipeline>(*store_, Parser(built_in_dialects()), std::move(*Redactor::make({})),
                                           Deriver(settings), clock_, published_, 2000, true);
  }

  // Reads what there is, a commit after each block. The ends of blocks are noted.
  void pump() {
    source_->scan(now_);
    while (const auto block = source_->read(now_)) {
      pipeline_->add(*block);
      ends_.push_back(block->covers.to);
      if (block->with_next) continue;
      ASSERT_TRUE(pipeline_->commit());
    }
  }

  // All that is durable, one event a line.
  std::string durable() {
    std::string out;
    while (true) {
      const auto chunks = store_->read_after(read_to_, 10'000);
      EXPECT_TRUE(chunks);
      if (!chunks || chunks->empty()) return out;
      for (const SequencedChunk& each : *chunks) {
        read_to_ = each.sequence;
        EventReader reader(each.chunk.events);
        while (reader.next()) {
          append_event_json(out, reader.event(), kinds_);
          out += '\n';
          ++events_;
        }
      }
    }
  }

  static std::string line_with(const std::string& secret) {
    return R"({"level":"INFO","msg":"before )" + secret + " after\"}";
  }

  test::RedactionValues values_{test::seed()};
  const std::vector<std::string> kinds_ = std::move(*Redactor::make({})).kinds();
  PublishedMetrics published_;
  std::unique_ptr<DurableBuffer> store_;
  std::unique_ptr<Pipeline> pipeline_;
  std::vector<std::uint64_t> ends_;
  Sequence read_to_ = 0;
  std::size_t events_ = 0;
};

TEST_F(RedactBlocks, AReadThatEndsAnywhereInALineHidesNothing) {
  std::vector<std::string> secrets;
  std::size_t lines = 0;
  for (const char* kind : kKinds) {
    for (int round = 0; round < test::by_scale(1, 20); ++round) {
      secrets.push_back(values_.make(kind));
      const std::string line = line_with(secrets.back()) + '\n';
      const std::size_t step = test::by_scale<std::size_t>(5, 1);
      for (std::size_t cut = 1 + values_.below(step); cut < line.size(); cut += step) {
        write("etl.log", line.substr(0, cut));
        pump();
        write("etl.log", line.substr(cut));
        pump();
        ++lines;
      }
    }
  }
  const std::string out = durable();
  EXPECT_EQ(events_, lines);
  for (const std::string& secret : secrets) EXPECT_EQ(out.find(secret), std::string::npos) << secret;
  std::size_t kept = 0;
  for (std::size_t at = out.find(" after\""); at != std::string::npos; at = out.find(" after\"", at + 1)) ++kept;
  EXPECT_EQ(kept, lines) << "what stands beside a secret stays";
}

TEST_F(RedactBlocks, ALineAcrossTheEndOfAFullReadHidesNothing) {
  std::vector<std::string> secrets;
  std::uint64_t size = 0;
  std::size_t across = 0;
  for (int round = 0; round < test::by_scale(8, 150); ++round) {
    secrets.push_back(values_.make(kKinds[static_cast<std::size_t>(round) % std::size(kKinds)]));
    const std::string line = line_with(secrets.back()) + '\n';
    // A read begins where the last line read ended, and some hundred bytes before it are read again.
    const std::size_t before = kReadBytes + 1025 - values_.below(line.size() + 1) - (round % 2 != 0 ? 1025 : 0);
    std::string bytes;
    while (bytes.size() + 1200 < before) bytes += R"({"level":"INFO","msg":")" + std::string(900, 'x') + "\"}\n";
    bytes += R"({"level":"INFO","msg":")" + std::string(before - bytes.size() - 26, 'y') + "\"}\n";
    ASSERT_EQ(bytes.size(), before);
    const std::uint64_t begin = size + bytes.size();
    bytes += line;
    size += bytes.size();
    write("etl.log", bytes);
    ends_.clear();
    pump();
    across += std::count(ends_.begin(), ends_.end(), begin) > 0;
  }
  EXPECT_GT(across, 0u) << "no read ended inside of a secret's line";
  const std::string out = durable();
  for (const std::string& secret : secrets) EXPECT_EQ(out.find(secret), std::string::npos) << secret;
}

TEST_F(RedactBlocks, WhatWasDoneIsInTheMetrics) {
  std::string nested = "anna@example.com";  // behind more escapes than are undone
  for (int i = 0; i < 7; ++i) {
    std::string escaped;
    for (const char c : nested)
      escaped += c == '@' || c == '%' ? "%" + std::string(c == '@' ? "40" : "25") : std::string(1, c);
    nested = escaped;
  }
  write("etl.log", R"({"level":"INFO","msg":"a@b.io c@d.io password=hunter22","one":1,"two":{"three":3}})"
                   "\n"
                   R"({"level":"INFO","msg":")" +
                       nested + "\",\"four\":4}\nclean\n");
  pump();
  const auto value = [&](Metric metric, const std::vector<std::string>& labels) {
    double sum = 0;
    for (const Series& series : published_.snapshot()) {
      if (series.metric == metric && series.labels == labels) sum += series.value;
    }
    return sum;
  };
  EXPECT_EQ(value(Metric::kRedactionsTotal, {"email", "masked"}), 2);
  EXPECT_EQ(value(Metric::kRedactionsTotal, {"password", "masked"}), 1);
  EXPECT_EQ(value(Metric::kRedactionFailedClosedTotal, {"budget"}), 1);
  EXPECT_EQ(value(Metric::kRedactionFailedClosedTotal, {"error"}), 0);
  EXPECT_EQ(value(Metric::kUnlistedFieldsTotal, {}), 3);
}

TEST_F(RedactBlocks, APrivateKeyOverManyCommitsAndARotationIsMasked) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::string> bodies;
  std::size_t others = 0;
  for (int round = 0; round < test::by_scale(6, 200); ++round) {
    std::vector<std::string> lines = {"-----BEGIN RSA PRIVATE KEY-----"};
    const std::size_t full = values_.between(2, 26);
    for (std::size_t i = 0; i < full; ++i) lines.push_back(values_.letters(64, alphabet));
    lines.push_back(values_.letters(values_.between(9, 60), alphabet));  // the short last one
    for (std::size_t i = 1; i < lines.size(); ++i) bodies.push_back(lines[i]);
    lines.push_back("-----END RSA PRIVATE KEY-----");
    lines.push_back("load of round done");
    ++others;
    const std::size_t rotates_at = round % 3 == 0 ? values_.between(1, lines.size() - 1) : lines.size();
    const bool is_json = round % 2 == 0;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (i == rotates_at) {
        pump();
        rename("etl.log", "etl.log." + std::to_string(round));
      }
      write("etl.log", is_json ? R"({"level":"INFO","msg":")" + lines[i] + "\"}\n" : lines[i] + '\n');
      if (values_.below(3) != 0) pump();
    }
    pump();
  }
  const std::string out = durable();
  for (const std::string& body : bodies) EXPECT_EQ(out.find(body), std::string::npos) << body;
  std::size_t kept = 0;
  for (std::size_t at = out.find("load of round done"); at != std::string::npos; at = out.find("round done", at + 20))
    ++kept;
  EXPECT_EQ(kept, others);
}

}  // namespace
}  // namespace runtail
