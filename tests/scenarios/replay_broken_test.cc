// What cannot be read is named, what can be read of it is taken once, and when it is mended the same command goes on.
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "core/time.h"
#include "tests/support/commit_proxy.h"
#include "tests/support/container_lines.h"
#include "tests/support/replay_scene.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

namespace fs = std::filesystem;

struct BrokenScene : ReplayScene {
  BrokenScene() {
    WorkloadOptions options;
    options.seed = seed();
    options.lines = by_scale(3500, 50'000);  // more than one read
    Workload workload(options);
    log = workload_text(workload);
    expected = workload.expected();
  }
  // All of it is there, once, and a further replay changes nothing.
  void expect_mended(const std::vector<std::string>& arguments) {
    const auto done = replay(arguments);
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
    expect_balance(done);
    EXPECT_EQ(table_digests(sql), of_whole(arguments[0] == "--full"));
    expect_runs(sql, expected);
  }
  // What the tables hold after a replay of the same files, whole from the start. The same for every test of a process.
  const std::map<std::string, std::string>& of_whole(bool is_full) const {
    static std::map<std::pair<std::size_t, bool>, std::map<std::string, std::string>> known;
    auto& digests = known[{cut_at, is_full}];
    if (!digests.empty()) return digests;
    ReplayScene whole;
    write_file(whole.logs / "etl.log", log.substr(0, cut_at));
    if (cut_at < log.size()) write_file(whole.logs / "etl.log.1", log.substr(cut_at));
    std::vector<std::string> arguments = {whole.logs};
    if (is_full) arguments.push_back("--full");
    EXPECT_EQ(whole.replay(arguments).exit_code, 0);
    return digests = table_digests(whole.sql);
  }
  std::string log;
  std::size_t cut_at = std::string::npos;  // where it lies in two files
  Expected expected;
};

class ReplayBrokenArchive : public testing::TestWithParam<std::string> {
 protected:
  fs::path packed() {
    write_file(scene.logs / "etl.log.1", scene.log);
    if (GetParam() == "gz") run_command({"gzip", scene.logs / "etl.log.1"});
    if (GetParam() == "zst") run_command({"zstd", "-q", "--rm", scene.logs / "etl.log.1"});
    return scene.logs / ("etl.log.1." + GetParam());
  }
  BrokenScene scene;
};

TEST_P(ReplayBrokenArchive, ThatWasCutGivesItsBeginningAndTheWholeOneTheRest) {
  const fs::path path = packed();
  const std::string whole = read_file(path);
  for (const std::size_t of_four : {1, 3, 2}) {  // a shorter one after a longer one
    write_file(path, whole.substr(0, whole.size() * of_four / 4));
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));  // nobody writes to it
    const auto done = scene.replay({"--full", scene.logs});
    EXPECT_EQ(done.exit_code, 1) << done.receipt;
    EXPECT_NE(done.errors.find(path.string() + ": it ends inside of the archive"), std::string::npos) << done.errors;
    EXPECT_EQ(scene.text(done, "complete"), "false");
    EXPECT_EQ(scene.text(done, "files,0,state"), "incomplete");
    EXPECT_EQ(scene.text(done, "files,0,generation"), "0");
    EXPECT_GT(scene.number(done, "lines,read"), 0);
    scene.expect_balance(done);
  }
  write_file(path, whole);
  scene.expect_mended({"--full", scene.logs});
}

TEST_P(ReplayBrokenArchive, ThatIsDamagedGivesNothingUntilItIsMended) {
  const fs::path path = packed();
  const std::string whole = read_file(path);
  std::string damaged = whole;
  for (std::size_t i = 0; i < 64; ++i)
    damaged[damaged.size() / 2 + i] = static_cast<char>(~damaged[damaged.size() / 2 + i]);
  write_file(path, damaged);
  const auto done = scene.replay({scene.logs});
  EXPECT_EQ(done.exit_code, 1) << done.receipt;
  EXPECT_NE(done.errors.find("at compressed byte"), std::string::npos) << done.errors;
  EXPECT_EQ(scene.text(done, "files,0,state"), "incomplete");
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM observability.source_files"), 0);
  scene.expect_balance(done);
  write_file(path, whole);
  scene.expect_mended({scene.logs});
}

INSTANTIATE_TEST_SUITE_P(Of, ReplayBrokenArchive, testing::Values("gz", "zst"),
                         [](const auto& kind) { return kind.param; });

TEST(ReplayBroken, FilesThatCannotBeReadAreNamedAndTheOthersAreRead) {
  BrokenScene scene;
  write_file(scene.logs / "etl.log", scene.log);
  write_file(scene.logs / "nothing", "");
  write_file(scene.logs / "junk.gz", std::string("\x1f\x8b\x08") + std::string(100, '\1'));
  fs::create_symlink(scene.logs / "gone", scene.logs / "dangling");
  auto done = scene.replay({scene.logs, scene.directory / "not there"});
  EXPECT_EQ(done.exit_code, 2) << done.errors;
  EXPECT_NE(done.errors.find("not there: there is no such file or directory"), std::string::npos) << done.errors;
  EXPECT_EQ(scene.sql.log_events(), 0);
  done = scene.replay({scene.logs});
  EXPECT_EQ(done.exit_code, 1) << done.errors;
  EXPECT_NE(done.errors.find("junk.gz"), std::string::npos) << done.errors;
  expect_runs(scene.sql, scene.expected);
  fs::remove(scene.logs / "junk.gz");
  scene.expect_mended({scene.logs});
}

TEST(ReplayBroken, ADirectoryThatChangesWhileItIsReadIsGoneOnWith) {
  BrokenScene scene;
  const std::size_t half = scene.log.find('\n', scene.log.size() / 2) + 1;
  scene.cut_at = half;
  write_file(scene.logs / "a", scene.log.substr(0, half));
  write_file(scene.logs / "b", scene.log.substr(half));
  for (int i = 0; i < 6; ++i) write_file(scene.logs / ("c" + std::to_string(i)), scene.log.substr(0, half));
  Command command;
  command.argv = scene.command({scene.logs});
  command.output = scene.directory / "receipt";
  command.errors = scene.directory / "errors";
  ChildProcess process(command);
  for (int i = 0; i < 6; ++i) {
    const fs::path path = scene.logs / ("c" + std::to_string(i));
    if (i % 2 == 0) {
      fs::remove(path);
    } else {
      fs::resize_file(path, 1000);
    }
    fs::rename(scene.logs / "b", scene.logs / "b2");
    fs::rename(scene.logs / "b2", scene.logs / "b");
  }
  const int exit_code = process.wait().value_or(-1);
  EXPECT_TRUE(exit_code == 0 || exit_code == 1) << exit_code << read_file(command.errors);
  ReplayScene::Done done{exit_code, read_file(command.output), ""};
  scene.expect_balance(done);
  for (int i = 1; i < 6; i += 2) fs::remove(scene.logs / ("c" + std::to_string(i)));
  scene.expect_mended({scene.logs});
}

TEST(ReplayBroken, WithoutItsDatabaseItSaysSoAndGoesOnLater) {
  BrokenScene scene;
  write_file(scene.logs / "etl.log", scene.log);
  scene.environment = {{"RUNTAIL_POSTGRES_URL", "host=" + scene.directory.path().string() + " connect_timeout=2"}};
  auto done = scene.replay({scene.logs});
  EXPECT_EQ(done.exit_code, 4) << done.errors;
  EXPECT_NE(done.errors.find("connect to PostgreSQL"), std::string::npos) << done.errors;
  scene.environment.clear();
  scene.expect_mended({scene.logs});
}

class ReplayOfAllLines : public testing::TestWithParam<CommitProxy::Cut> {};

// What a second pass adds to covered ranges stands in no position: whether a COMMIT without an answer happened is known
// all the same.
TEST_P(ReplayOfAllLines, CountsTrulyWhatACommitWithoutAnAnswerWrote) {
  BrokenScene whole, scene;
  const fs::path socket = scene.directory / "p";
  CommitProxy proxy(socket, PostgresCluster::shared().socket_directory() / ".s.PGSQL.5432");
  const auto replay = [](BrokenScene& of, const std::string& level) {
    return of.replay({level, "--workers=1", of.logs});
  };
  for (BrokenScene* each : {&whole, &scene}) {
    // Each file is a transaction at least.
    std::size_t at = 0;
    for (int file = 12; file > 0; --file) {
      const std::size_t end = each->log.find('\n', at + 20'000) + 1;
      write_file(each->logs / ("etl.log." + std::to_string(file)), each->log.substr(at, end - at));
      at = end;
    }
    const auto done = replay(*each, "--level=WARN");
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  }
  const auto expected = replay(whole, "--full");
  ASSERT_EQ(expected.exit_code, 0) << expected.errors;

  scene.environment["RUNTAIL_POSTGRES_URL"] = "host=" + socket.string() + " user=runtail dbname=" + scene.database;
  proxy.cut_next(GetParam());
  std::jthread cutter([&](std::stop_token stop) {
    for (int cuts = 0; !stop.stop_requested();) {
      if (!wait_until([&] { return proxy.cuts() > cuts || stop.stop_requested(); })) return;
      cuts = proxy.cuts();
      const int commits = proxy.commits();
      if (!wait_until([&] { return proxy.commits() > commits || stop.stop_requested(); })) return;
      proxy.cut_next(GetParam());
    }
  });
  const auto done = replay(scene, "--full");
  cutter.request_stop();
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  EXPECT_GT(proxy.cuts(), 2);
  for (const char* what : {"lines", "records", "runs"}) {
    EXPECT_EQ(scene.text(done, what), whole.text(expected, what)) << what;
  }
  EXPECT_GT(scene.number(done, "lines,stored"), 0);
  scene.expect_balance(done);
  EXPECT_EQ(table_digests(scene.sql), table_digests(whole.sql));
}

INSTANTIATE_TEST_SUITE_P(Cut, ReplayOfAllLines,
                         testing::Values(CommitProxy::Cut::kBeforeServer, CommitProxy::Cut::kAfterServer),
                         [](const auto& given) {
                           return given.param == CommitProxy::Cut::kBeforeServer ? "BeforeTheServerSawIt"
                                                                                 : "AfterItCommitted";
                         });

TEST(ReplayBroken, OnAFullDiskOfTheServerItSaysSoAndGoesOnWhenThereIsRoom) {
  const TempDir directory;
  const fs::path small = directory / "small";
  fs::create_directory(small);
  fs::permissions(directory.path(), fs::perms(0755));
  const passwd* owner = getpwnam(geteuid() == 0 ? "postgres" : getpwuid(geteuid())->pw_name);
  const std::string options = "size=24m,mode=0700,uid=" + std::to_string(owner ? owner->pw_uid : 0);
  if (mount("tmpfs", small.c_str(), "tmpfs", 0, options.c_str()) != 0) {
    GTEST_SKIP() << "mount is refused here: " << std::strerror(errno);
  }
  std::string database;
  const Sql cluster(PostgresCluster::shared().conninfo());
  {
    BrokenScene scene;
    database = scene.database;
    cluster.rows("CREATE TABLESPACE replay_small LOCATION '" + small.string() + "'");
    scene.sql.rows(
        "DO $$ DECLARE each regclass; BEGIN FOR each IN SELECT inhrelid FROM pg_inherits WHERE inhparent = "
        "'observability.log_events'::regclass LOOP EXECUTE format('ALTER TABLE %s SET TABLESPACE replay_small', each); "
        "END LOOP; END $$");
    write_file(scene.logs / "etl.log", scene.log);
    {
      std::ofstream ballast(small / "ballast", std::ios::binary);
      const std::string block(1 << 13, 'b');
      while (ballast.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
    }
    Command command;
    command.argv = scene.command({"--full", scene.logs});
    command.output = directory / "receipt";
    command.errors = directory / "errors";
    ChildProcess process(command);
    ASSERT_TRUE(wait_until([&] { return read_file(command.errors).find("make room there") != std::string::npos; }))
        << read_file(command.errors);
    process.signal(SIGINT);
    EXPECT_EQ(process.wait(), 4) << read_file(command.errors);
    EXPECT_NE(read_file(command.errors).find("No space left on device"), std::string::npos);
    const ReplayScene::Done full{4, read_file(command.output), ""};
    EXPECT_EQ(scene.text(full, "complete"), "false");
    EXPECT_NE(scene.text(full, "fault").find("make room there"), std::string::npos) << full.receipt;
    EXPECT_EQ(scene.number(full, "lines,stored"),
              scene.sql.number("SELECT count(*) FROM observability.log_events WHERE stream = 'test/etl'"));
    // It waits for room, and goes on by itself.
    ChildProcess waiting(command);
    ASSERT_TRUE(wait_until([&] { return read_file(command.errors).find("make room there") != std::string::npos; }));
    fs::remove(small / "ballast");
    EXPECT_EQ(waiting.wait(std::chrono::seconds(60)), 0) << read_file(command.errors);
    scene.expect_mended({"--full", scene.logs});
  }
  cluster.rows("DROP DATABASE " + database + " WITH (FORCE)");
  cluster.rows("DROP TABLESPACE replay_small");
  umount2(small.c_str(), MNT_DETACH);
}

TEST(ReplayBroken, StandardInputIsAFileLikeAnyOther) {
  BrokenScene scene;
  write_file(scene.logs / "etl.log", scene.log);
  auto done = scene.replay({"-"}, scene.logs / "etl.log");
  ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
  expect_runs(scene.sql, scene.expected);
  // And through a pipe.
  Command piped;
  piped.argv = {"sh", "-c",
                "cat '" + (scene.logs / "etl.log").string() + "' | " RUNTAIL_BINARY " replay --config '" +
                    scene.agent.config_path().string() + "' -"};
  const Finished again = run_to_end(std::move(piped));
  ASSERT_EQ(again.exit_code, 0) << again.errors;
  done.receipt = again.output;
  EXPECT_EQ(scene.number(done, "lines,duplicate"), static_cast<std::int64_t>(scene.expected.lines)) << again.output;
  scene.expect_mended({"-", scene.logs});
}

// Whoever runs the tests: a link that leads to itself cannot be opened, memory of a process not be read.
TEST(ReplayBroken, WhatTheSystemDoesNotLetItReadIsNamed) {
  BrokenScene scene;
  write_file(scene.logs / "etl.log", scene.log);
  fs::create_symlink(scene.directory / "itself", scene.directory / "itself");
  fs::create_symlink("/proc/self/mem", scene.logs / "unreadable");
  const auto done = scene.replay({scene.logs, scene.directory / "itself"});
  EXPECT_EQ(done.exit_code, 1) << done.errors;
  EXPECT_NE(done.errors.find("open " + (scene.directory / "itself").string() + ": Too many levels"), std::string::npos)
      << done.errors;
  EXPECT_NE(done.errors.find("read " + (scene.logs / "unreadable").string() + ": Input/output error"),
            std::string::npos)
      << done.errors;
  EXPECT_EQ(scene.text(done, "complete"), "false");
  EXPECT_EQ(scene.sql.number("SELECT count(*) FROM json_array_elements(($receipt$" + done.receipt +
                             "$receipt$::json)->'files') f WHERE f->>'state' = 'unreadable'"),
            2);
  expect_runs(scene.sql, scene.expected);
  fs::remove(scene.logs / "unreadable");
  scene.expect_mended({scene.logs});
}

// Old lines give no rows, and neither do old runs; the receipt says so, and it is no fault.
TEST(ReplayBroken, WhatIsOlderThanItsTableReachesIsExpired) {
  ReplayScene scene;
  const auto lines = [](int days_ago, const std::string& run) {
    const std::string ts = to_rfc3339(SystemClock().now() - std::chrono::hours(24 * days_ago));
    std::string out;
    for (const char* event : {"run.started", "run.finished"}) {
      out += R"({"ts":")" + ts + R"(","level":"WARN","msg":"m","job_id":"orders","run_id":")" + run + R"(","event":")" +
             event + R"(","status":"success"})" + "\n";
    }
    return out;
  };
  write_file(scene.logs / "etl.log", lines(500, "ancient") + lines(60, "old") + lines(1, "new"));
  for (int times = 0; times < 2; ++times) {
    const auto done = scene.replay({scene.logs});
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
    EXPECT_EQ(scene.number(done, "lines,expired"), times == 0 ? 4 : 0) << done.receipt;
    EXPECT_EQ(scene.number(done, "lines,stored"), times == 0 ? 2 : 0);
    EXPECT_EQ(scene.number(done, "lines,duplicate"), times == 0 ? 0 : 6);
    EXPECT_EQ(scene.number(done, "records,job_runs,expired"), times == 0 ? 2 : -1) << done.receipt;
    EXPECT_EQ(scene.sql.rows("SELECT external_run_id FROM observability.job_runs ORDER BY 1"),
              (std::vector<std::string>{"new", "old"}));
    EXPECT_EQ(scene.sql.log_events(), 2);
  }
}

// Docker cuts long lines into pieces, and a rotation may fall between two of them.
TEST(ReplayBroken, ALineThatARotationTookApartIsOne) {
  ReplayScene scene;
  std::string files[3];
  for (int i = 0; i < 3; ++i) {
    const std::string name = "{\"level\":\"ERROR\",\"msg\":\"number " + std::to_string(i) + " ";
    const auto pieces = docker_pieces(name + std::string(60'000, 'x') + "\"}");
    ASSERT_GT(pieces.size(), 3u);
    for (std::size_t at = 0; at < pieces.size(); ++at) files[at < 2 || i == 2 ? i : i + 1] += pieces[at];
  }
  write_file(scene.logs / "etl.log.2", files[0]);
  run_command({"gzip", scene.logs / "etl.log.2"});
  write_file(scene.logs / "etl.log.1", files[1]);
  write_file(scene.logs / "etl.log", files[2]);
  for (int times = 0; times < 2; ++times) {
    const auto done = scene.replay({scene.logs});
    ASSERT_EQ(done.exit_code, 0) << done.errors << done.receipt;
    EXPECT_EQ(scene.sql.rows("SELECT left(message, 8) || ' ' || length(message) FROM observability.log_events "
                             "ORDER BY message"),
              (std::vector<std::string>{"number 0 60009", "number 1 60009", "number 2 60009"}))
        << done.receipt;
  }
}

TEST(ReplayBroken, ALogNobodyNamesIsAskedFor) {
  ReplayScene scene("");
  const fs::path config = scene.directory / "two.yaml";
  std::string text = read_file(scene.agent.config_path());
  const std::size_t sources = text.find("sources:\n") + 9;
  text.insert(sources, "  - {name: other, include: [" + (scene.logs / "other.log").string() + "]}\n");
  write_file(config, text);
  write_file(scene.logs / "x.log", "{\"msg\":\"hello\",\"level\":\"ERROR\"}\n");
  scene.environment = {{"RUNTAIL_CONFIG", config}};
  const auto replay = [&](std::vector<std::string> arguments) {
    Command command;
    command.argv = {RUNTAIL_BINARY, "replay", "--config", config};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    return run_to_end(std::move(command));
  };
  Finished done = replay({scene.logs});
  EXPECT_EQ(done.exit_code, 1) << done.errors;
  EXPECT_NE(done.errors.find("name its stream: --stream NAME"), std::string::npos) << done.errors;
  EXPECT_EQ(scene.sql.log_events(), 0);
  done = replay({"--stream", "somewhere/else", scene.logs});
  EXPECT_EQ(done.exit_code, 0) << done.errors;
  EXPECT_EQ(scene.sql.rows("SELECT stream FROM observability.log_events"), std::vector<std::string>{"somewhere/else"});
}

}  // namespace
}  // namespace runtail::test
