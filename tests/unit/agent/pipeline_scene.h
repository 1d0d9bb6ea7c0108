// Lines of one file through the pipeline into a real buffer; what the counters say afterwards.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/pipeline.h"
#include "sinks/prometheus.h"
#include "tests/support/scrape.h"
#include "tests/support/temp_dir.h"

namespace runtail {

class PipelineScene : public testing::Test {
 protected:
  PipelineScene() {
    config_.directory = dir_.path() / "buffer";
    open();
  }
  void open() {
    pipeline_.reset();
    buffer_.reset();
    published_ = std::make_unique<PublishedMetrics>();
    buffer_ = std::move(*DurableBuffer::open(config_));
    DeriverSettings settings;
    settings.agent_id = "agent";
    pipeline_ = std::make_unique<Pipeline>(*buffer_, Parser(built_in_dialects()), std::move(*Redactor::make({})),
                                           Deriver(settings), clock_, *published_, 2000, true);
  }
  // As if nothing had ever been read.
  void fresh() {
    pipeline_.reset();
    buffer_.reset();
    std::filesystem::remove_all(config_.directory);
    open();
  }
  // One block, one commit.
  void feed(const std::vector<std::string>& lines) {
    LineBlock block;
    block.position.file = {"agent/etl", {1}, 0};
    block.position.source = "etl";
    block.last_ts = &last_ts_;
    block.covers.from = offset_;
    for (const std::string& line : lines) {
      block.lines.push_back({offset_, line.size() + 1, line, false, {}});
      offset_ += line.size() + 1;
    }
    block.covers.to = block.position.emitted = block.position.resume = offset_;
    block.default_job_id = "agent/etl";
    pipeline_->add(block);
    ASSERT_TRUE(pipeline_->commit());
  }
  static std::string line(const std::string& members, int second = 0) {
    char time[32];
    std::snprintf(time, sizeof time, "2026-03-01T00:%02d:%02dZ", second / 60, second % 60);
    return std::string(R"({"ts":")") + time +
           R"(","level":"INFO","msg":"m","service":"etl","job_id":"orders","run_id":"r1",)" + members + "}";
  }
  double value(std::string_view name, const test::Labels& labels = {}) {
    return test::parse_metrics(render(*published_)).sum(name, labels);
  }

  test::TempDir dir_;
  BufferConfig config_;
  SystemClock clock_;
  std::unique_ptr<PublishedMetrics> published_;
  std::unique_ptr<DurableBuffer> buffer_;
  std::unique_ptr<Pipeline> pipeline_;
  std::optional<TimePoint> last_ts_;
  std::uint64_t offset_ = 0;
};

}  // namespace runtail
