// Whether the agent's own store is what files say, and runs made anew where it is not.
#include <gtest/gtest.h>

#include <algorithm>

#include "buffer/durable_buffer.h"
#include "core/run_record.h"
#include "history/kept_keys.h"
#include "tests/support/embedded_replay_scene.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

// {table, what, rows} of a receipt, as "job_runs missing 2".
std::vector<std::string> differences(const Finished& done) {
  std::vector<std::string> out;
  std::string_view rest = done.output;
  const auto member = [&](std::string_view name, char end) {
    rest.remove_prefix(rest.find(name) + name.size());
    return std::string(rest.substr(0, rest.find(end)));
  };
  for (std::size_t at; (at = rest.find(R"({"table":")")) != std::string_view::npos;) {
    rest.remove_prefix(at);
    const std::string table = member(R"("table":")", '"'), what = member(R"("what":")", '"');
    out.push_back(table + ' ' + what + ' ' + member(R"("rows":)", ','));
  }
  return out;
}

struct EmbeddedVerifyScene : EmbeddedScene {
  EmbeddedVerifyScene() {
    const std::size_t half = text.find('\n', text.size() / 2) + 1;
    write_file(directory / "logs/etl.log.1", text.substr(0, half));
    run_command({"gzip", directory / "logs/etl.log.1"});
    write_file(directory / "logs/etl.log", text.substr(half));
  }
  Finished verify(std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--verify", directory / "logs"});
    return replay(more);
  }
  std::unique_ptr<DurableBuffer> store() const {
    BufferConfig config;
    config.directory = directory / "buffer";
    return std::move(*DurableBuffer::open(config));
  }
};

TEST(ReplayEmbeddedVerify, FindsWhatWasReplayedOrTailedAsItIs) {
  EmbeddedVerifyScene scene;
  Finished done = scene.verify();
  EXPECT_EQ(done.exit_code, 3) << "nothing is there: " << done.errors;
  EXPECT_FALSE(fs::exists(scene.directory / "buffer/identity.key"));
  done = scene.replay({scene.directory / "logs/etl.log.1.gz"});
  ASSERT_EQ(done.exit_code, 0) << done.errors;
  done = scene.verify();
  EXPECT_EQ(done.exit_code, 5) << done.errors << done.output;
  // The agent reads the rest, and is running.
  ASSERT_TRUE(scene.agent.start_healthy()) << scene.agent.log();
  ASSERT_TRUE(wait_until([&] { return differences(scene.verify()).empty(); })) << scene.verify().output;
  const auto runs = scene.agent.runs();
  done = scene.verify();
  EXPECT_EQ(done.exit_code, 0) << done.errors << done.output;
  EXPECT_EQ(scene.number(done, "found"), static_cast<std::int64_t>(scene.expected.runs.size())) << done.output;
  // What the replay left out by level is missing of all lines.
  done = scene.verify({"--full"});
  EXPECT_EQ(done.exit_code, 5) << done.errors;
  ASSERT_EQ(differences(done).size(), 1u) << done.output;
  EXPECT_TRUE(differences(done)[0].starts_with("log_events missing ")) << done.output;
  EXPECT_EQ(scene.agent.runs(), runs);
  done = scene.replay({"--rebuild", scene.directory / "logs"});
  EXPECT_EQ(done.exit_code, 4) << done.errors;
  EXPECT_NE(done.errors.find("while no agent runs"), std::string::npos) << done.errors;
}

TEST(ReplayEmbeddedVerify, FindsWhatWasChangedByHandAndMakesTheRunsAnew) {
  EmbeddedVerifyScene scene;
  Finished done = scene.replay({"--rebuild", scene.directory / "logs"});
  EXPECT_EQ(done.exit_code, 3) << done.output;
  done = scene.replay({"--full", scene.directory / "logs/etl.log.1.gz"});
  ASSERT_EQ(done.exit_code, 0) << done.errors;
  done = scene.replay({"--rebuild", scene.directory / "logs"});
  EXPECT_EQ(done.exit_code, 3) << "half of the files: " << done.output;
  EXPECT_NE(done.errors.find("replay them first"), std::string::npos) << done.errors;
  done = scene.replay({"--full", scene.directory / "logs"});
  ASSERT_EQ(done.exit_code, 0) << done.errors;
  done = scene.verify({"--full"});
  EXPECT_EQ(done.exit_code, 0) << done.errors << done.output;
  const auto runs = scene.agent.runs();

  std::string extra, counted;
  {
    const auto store = scene.store();
    std::vector<StateEntry> entries = store->scan("r/");
    std::erase_if(entries, [](const StateEntry& entry) {
      return decode_run_record(entry.value)->run.state.status != RunStatus::kSuccess;
    });
    ASSERT_GE(entries.size(), 4u);
    RunRecord changed = *decode_run_record(entries[0].value);
    changed.run.state.status = RunStatus::kFailed;
    counted = entries[0].key;
    changed.counted[1].verdict = RunStatus::kCancelled;
    ASSERT_TRUE(store->put(counted, encode_run_record(changed)));
    store->forget({entries[1].key, entries[2].key});
    RunRecord more = *decode_run_record(entries[3].value);
    more.run.run_id.bytes[3] ^= 1;
    extra = run_key(more.run.run_id);
    ASSERT_TRUE(store->put(extra, encode_run_record(more)));
  }
  const std::vector<std::string> found = {"job_runs changed 1", "job_runs extra 1", "job_runs missing 2"};
  const auto broken = scene.agent.runs();
  done = scene.verify({"--full"});
  EXPECT_EQ(done.exit_code, 5) << done.errors;
  EXPECT_EQ(differences(done), found) << done.output;
  EXPECT_NE(done.output.find(counted.substr(2) + " (status)"), std::string::npos) << done.output;
  EXPECT_EQ(scene.agent.runs(), broken) << "it changes nothing";

  done = scene.replay({"--rebuild", scene.directory / "logs"});
  EXPECT_EQ(done.exit_code, 0) << done.errors << done.output;
  EXPECT_NE(done.output.find(R"("before":"failed","after":"success")"), std::string::npos) << done.output;
  EXPECT_NE(done.output.find(R"("before":"","after":"success")"), std::string::npos) << done.output;
  {
    const auto store = scene.store();
    // What the counters hold of it they still do.
    EXPECT_EQ(decode_run_record(*store->get(counted))->counted[1].verdict, RunStatus::kCancelled);
    EXPECT_FALSE(store->get(kIndexed)) << "the next start has to index the runs that were made anew";
    store->forget({extra});
  }
  EXPECT_EQ(scene.verify({"--full"}).exit_code, 0);
  EXPECT_EQ(scene.agent.runs(), runs);

  // A run of which the store knows more than the files stays as it is.
  {
    const auto store = scene.store();
    RunRecord more = *decode_run_record(*store->get(counted));
    more.run.records_loaded_sum = more.run.records_loaded_sum.value_or(0) + 1;
    ASSERT_TRUE(store->put(counted, encode_run_record(more)));
  }
  done = scene.replay({"--rebuild", scene.directory / "logs"});
  EXPECT_EQ(done.exit_code, 5) << done.errors << done.output;
  EXPECT_NE(done.output.find("\"rebuilt\":[],\"left\":[\"" + counted.substr(2) + "\"]"), std::string::npos)
      << done.output;
}

TEST(ReplayEmbeddedVerify, FindsLinesThatAreNotThoseOfTheFiles) {
  EmbeddedVerifyScene scene;
  Finished done = scene.replay({"--full", scene.directory / "logs"});
  ASSERT_EQ(done.exit_code, 0) << done.errors;
  // Another line of the same length stands in the file now.
  const fs::path log = scene.directory / "logs/etl.log";
  std::string text = read_file(log);
  const std::size_t at = text.find("seq=", text.size() / 2);
  ASSERT_NE(at, std::string::npos);
  std::reverse(text.begin() + static_cast<std::ptrdiff_t>(at), text.begin() + static_cast<std::ptrdiff_t>(at) + 3);
  write_file(log, text);
  done = scene.verify({"--full"});
  EXPECT_EQ(done.exit_code, 5) << done.errors << done.output;
  EXPECT_EQ(differences(done), std::vector<std::string>{"log_events changed 1"}) << done.output;
}

}  // namespace
}  // namespace runtail::test
