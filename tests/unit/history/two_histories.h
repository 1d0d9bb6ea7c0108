// One log in both stores: through the agent's pipeline into its buffer, and from there through the writer into
// PostgreSQL.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "agent/kept_history.h"
#include "agent/pipeline.h"
#include "history/local_store.h"
#include "history/postgres_store.h"
#include "sinks/postgres.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/temp_dir.h"

namespace runtail::test {

class TwoHistories {
 public:
  explicit TwoHistories(const std::string& name)
      : url_(PostgresCluster::shared().create_migrated_database(name)), connection_(connect(url_)) {
    buffer_config_.directory = directory_.path() / "buffer";
    settings_.agent_id = "agent-1";
    settings_.ruleset = "rules-1";
    settings_.environment = "prod";
    settings_.service = "etl";
    postgres_config_.url = url_;
    kinds_ = Redactor::make({})->kinds();
    open();
  }

  // The agent ends, and comes back to what is durable.
  void open() {
    local_.reset();
    kept_.reset();
    pipeline_.reset();
    buffer_.reset();
    auto opened = DurableBuffer::open(buffer_config_);
    if (!opened) throw std::runtime_error(opened.error().message);
    buffer_ = std::move(*opened);
    if (const auto indexed = index_kept_runs(*buffer_); !indexed) throw std::runtime_error(indexed.error().message);
    published_ = std::make_unique<PublishedMetrics>();
    pipeline_ = std::make_unique<Pipeline>(*buffer_, Parser(built_in_dialects()), std::move(*Redactor::make({})),
                                           Deriver(settings_), clock_, *published_, 2000, true);
    kept_.emplace(*buffer_);
    local_.emplace(*kept_, settings_, kinds_, clock_, std::chrono::seconds(5));
  }

  // One block of one file, one commit.
  void feed(std::size_t file, const std::vector<std::string>& lines) {
    LineBlock block;
    block.position.file = {"agent-1/etl-" + std::to_string(file), {static_cast<std::uint8_t>(file + 1)}, 0};
    block.position.source = "etl";
    std::uint64_t& offset = offsets_[file];
    block.last_ts = &last_ts_[file];
    block.covers.from = offset;
    for (const std::string& line : lines) {
      block.lines.push_back({offset, line.size() + 1, line, false, {}});
      offset += line.size() + 1;
    }
    block.covers.to = block.position.emitted = block.position.resume = offset;
    block.default_job_id = block.position.file.stream;
    pipeline_->add(block);
    const auto committed = pipeline_->commit();
    if (!committed) throw std::runtime_error(committed.error().message);
  }

  // What the buffer holds and PostgreSQL lacks, in transactions of that many lines at most.
  void deliver(std::uint64_t lines_max) {
    PostgresSink sink(postgres_config_, settings_, kinds_, clock_);
    for (;;) {
      const auto chunks = buffer_->read_after(delivered_, lines_max);
      if (!chunks) throw std::runtime_error(chunks.error().message);
      if (chunks->empty()) return;
      const Delivery delivery = sink.deliver(*chunks, false, kAllTables);
      if (delivery.status != Delivery::Status::kDelivered) throw std::runtime_error(delivery.reason);
      delivered_ = chunks->back().sequence;
    }
  }

  LocalStore& local() { return *local_; }
  PostgresStore& postgres() { return postgres_; }
  DurableBuffer& buffer() { return *buffer_; }

  // A row as text, column by column. JSON as PostgreSQL spells it; what only one store can know is left out.
  template <typename Row>
  std::string spelled(const Row& row) {
    Spell spell{*this, {}};
    Row::columns(row, spell);
    return spell.out;
  }

 private:
  struct Spell {
    TwoHistories& both;
    std::string out;
    template <typename T>
    void operator()(std::string_view name, const T& value) {
      if (name == "stored_in") return;  // a transaction
      const std::optional<std::string> text = pg_text::write(value);
      out.append(name).append("=");
      if constexpr (std::is_same_v<T, Json> || std::is_same_v<T, std::optional<Json>>) {
        out += text ? both.normal(*text) : "-";
      } else {
        out += text.value_or("-");
      }
      out += ' ';
    }
    void computed(std::string_view name, const auto& value) { (*this)(name, value); }
  };

  static PgConnection connect(const std::string& url) {
    auto connection = PgConnection::connect(url);
    if (!connection) throw std::runtime_error(connection.error().message);
    return std::move(*connection);
  }

  const std::string& normal(const std::string& json) {
    auto [at, is_new] = normal_.try_emplace(json);
    if (is_new) {
      const std::optional<std::string> params[] = {json};
      const auto result = connection_.query("SELECT $1::jsonb::text", params);
      if (!result) throw std::runtime_error(json + ": " + result.error().message);
      at->second = result->text(0, 0);
    }
    return at->second;
  }

  const std::string url_;
  PgConnection connection_;
  TempDir directory_;
  BufferConfig buffer_config_;
  PostgresConfig postgres_config_;
  DeriverSettings settings_;
  std::vector<std::string> kinds_;
  SystemClock clock_;
  std::unique_ptr<PublishedMetrics> published_;
  std::unique_ptr<DurableBuffer> buffer_;
  std::unique_ptr<Pipeline> pipeline_;
  std::optional<KeptHistory> kept_;
  std::optional<LocalStore> local_;
  PostgresStore postgres_{connection_, "observability", std::chrono::seconds(30)};
  std::map<std::size_t, std::uint64_t> offsets_;
  std::map<std::size_t, std::optional<TimePoint>> last_ts_;
  Sequence delivered_ = 0;
  std::map<std::string, std::string> normal_;
};

}  // namespace runtail::test
