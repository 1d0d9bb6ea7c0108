// The server on a real socket over a real database: who is let in, what is bounded, what happens without a database.
#include "server/api_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>

#include "tests/support/curl.h"
#include "tests/support/filled_history.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace runtail::test {
namespace {

namespace json = boost::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class ApiServerTest : public testing::Test {
 protected:
  static PostgresCluster& cluster() { return PostgresCluster::shared(); }
  static const std::string& database() {
    static const std::string conninfo = [] {
      const std::string made = PostgresCluster::shared().create_migrated_database("api_server");
      HistorySize size;
      size.days = 10;
      size.runs_per_day = 20;
      size.tasks_per_run = 1;
      size.log_events = 200;
      fill_history(made, size, SystemClock().now());
      return made;
    }();
    return conninfo;
  }

  ApiServerTest() {
    std::ofstream(directory_ / "key") << "0123456789abcdef0123456789abcdef";
    config_.listen = "127.0.0.1:0";
    config_.keys.push_back({"k1", "HS256", directory_ / "key"});
    postgres_.url = database();
    postgres_.connect_timeout = std::chrono::milliseconds(1000);
  }
  void start(ApiLimits limits = {}, bool is_open = false) {
    auto verifier = TokenVerifier::make(config_);
    ASSERT_TRUE(verifier) << verifier.error().message;
    token_ = mint({"obs.read"});
    pool_ = std::make_unique<StorePool>(postgres_, config_.database_connections_max, config_.statement_timeout,
                                        [this](const std::string& note) {
                                          const std::lock_guard lock(mutex_);
                                          notes_ += note + "\n";
                                        });
    pool_->start();
    server_ = std::make_unique<ApiServer>(
        config_, is_open ? std::nullopt : std::optional(std::move(*verifier)), *pool_, clock_,
        [this](const ApiRecord& record) {
          const std::lock_guard lock(mutex_);
          records_.push_back(record);
        },
        limits);
    const auto started = server_->start();
    ASSERT_TRUE(started) << started.error().message;
  }
  ~ApiServerTest() override {
    if (server_) {
      EXPECT_TRUE(server_->stop(std::chrono::seconds(5)));
    }
  }

  std::string mint(std::vector<std::string> scopes, Projects projects = {},
                   std::chrono::seconds ttl = std::chrono::hours(1)) {
    auto verifier = TokenVerifier::make(config_);
    return verifier->mint({"tester", std::move(scopes), std::move(projects), ttl}, "k1", clock_.now()).value();
  }
  CurlAnswer get(const std::string& path, std::vector<std::string> more = {}) {
    if (!token_.empty()) more.insert(more.begin(), {"-H", "Authorization: Bearer " + token_});
    return curl("http://127.0.0.1:" + std::to_string(server_->port()) + path, more);
  }
  std::vector<ApiRecord> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  // A socket of our own, for what curl would not send.
  int connected() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static void put(int fd, const std::string& bytes) {
    EXPECT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  static std::string read_all(int fd) {
    std::string out;
    char bytes[4096];
    for (ssize_t size; (size = ::read(fd, bytes, sizeof bytes)) > 0;) out.append(bytes, static_cast<std::size_t>(size));
    ::close(fd);
    return out;
  }

  TempDir directory_;
  SystemClock clock_;
  ApiConfig config_;
  PostgresConfig postgres_;
  std::string token_;
  std::mutex mutex_;  // guards what follows
  std::vector<ApiRecord> records_;
  std::string notes_;
  std::unique_ptr<StorePool> pool_;
  std::unique_ptr<ApiServer> server_;
};

TEST_F(ApiServerTest, OnlyAGoodTokenWithTheScopeIsLetIn) {
  start();
  EXPECT_EQ(get("/v1/obs/jobs").status, 200);
  const std::string good = std::exchange(token_, "");
  const CurlAnswer nobody = get("/v1/obs/jobs");
  EXPECT_EQ(nobody.status, 401);
  EXPECT_EQ(nobody.headers.at("www-authenticate"), "Bearer realm=\"runtail\"");
  token_ = good + "x";
  const CurlAnswer forged = get("/v1/obs/jobs");
  EXPECT_EQ(forged.status, 401);
  EXPECT_THAT(forged.headers.at("www-authenticate"), HasSubstr("invalid_token"));
  token_ = mint({"obs.write"});
  const CurlAnswer other = get("/v1/obs/jobs");
  EXPECT_EQ(other.status, 403);
  EXPECT_THAT(other.headers.at("www-authenticate"), HasSubstr("insufficient_scope"));
  token_ = mint({"obs.read"}, {}, std::chrono::seconds(-3600));
  EXPECT_EQ(get("/v1/obs/jobs").status, 401);
  // Without a token a path is no more than a path.
  token_.clear();
  EXPECT_EQ(get("/nowhere").status, 401);
  EXPECT_EQ(get("/v1/openapi.json").status, 200);
}

TEST_F(ApiServerTest, EveryAnswerIsRecordedByItsRouteAndItsIds) {
  start();
  const CurlAnswer answer = get(
      "/v1/obs/jobs/job_000/runs?page_size=2",
      {"-H", "X-Correlation-Id: flow-7", "-H", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"});
  EXPECT_EQ(answer.headers.at("x-correlation-id"), "flow-7");
  EXPECT_THAT(answer.headers.at("traceparent"),
              testing::MatchesRegex("00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]+-01"));
  EXPECT_THAT(answer.headers.at("traceparent"), testing::Not(HasSubstr("00f067aa0ba902b7")));
  const CurlAnswer odd = get("/v1/obs/jobs?nope=1", {"-H", "X-Correlation-Id: a b", "-H", "traceparent: 00-zz"});
  EXPECT_EQ(odd.status, 400);
  EXPECT_THAT(odd.headers.at("x-correlation-id"), testing::StartsWith("r-"));
  EXPECT_FALSE(odd.headers.contains("traceparent"));
  EXPECT_THAT(odd.body, HasSubstr("\"correlation_id\":\"" + odd.headers.at("x-correlation-id") + "\""));
  const auto all = records();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].route, "/v1/obs/jobs/:job_id/runs");
  EXPECT_EQ(all[0].subject, "tester");
  EXPECT_EQ(all[0].scope, "obs.read");
  EXPECT_EQ(all[0].method, "GET");
  EXPECT_EQ(all[0].status, 200u);
  EXPECT_EQ(all[0].rows, 2);
  EXPECT_EQ(all[0].correlation_id, "flow-7");
  EXPECT_EQ(all[0].trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(all[0].remote, "127.0.0.1");
  EXPECT_EQ(all[1].status, 400u);
}

TEST_F(ApiServerTest, WhoAsksTooOftenIsToldWhenToComeBackAndOthersAreNot) {
  config_.requests_per_second = 3;
  start();
  const std::string other = mint({"obs.read"}, std::vector<std::string>{"sponsor_a"});
  int refused = 0;
  CurlAnswer last;
  for (int request = 0; request < 12; ++request) {
    const CurlAnswer answer = get("/v1/obs/services");
    if (answer.status == 429) {
      ++refused;
      last = answer;
    }
  }
  EXPECT_GT(refused, 2);
  EXPECT_EQ(last.headers.at("retry-after"), "1");
  EXPECT_THAT(last.body, HasSubstr("urn:runtail:problem:too-many-requests"));
  token_ = other;
  EXPECT_EQ(get("/v1/obs/services").status, 200);
  // Who has no token at all cannot ask as often as he likes either.
  token_.clear();
  refused = 0;
  for (int request = 0; request < 12; ++request) refused += get("/v1/obs/services").status == 429;
  EXPECT_GT(refused, 2);
}

TEST_F(ApiServerTest, WhatIsNoRequestIsRefused) {
  start();
  EXPECT_EQ(get("/v1/obs/jobs", {"-d", "x=1"}).status, 413);
  EXPECT_EQ(get("/v1/obs/jobs", {"-X", "DELETE"}).status, 405);
  EXPECT_EQ(get("/v1/obs/jobs", {"-H", "X-Long: " + std::string(20'000, 'x')}).status, 431);
  const int fd = connected();
  put(fd, "nonsense\r\n\r\n");
  EXPECT_THAT(read_all(fd), AllOf(HasSubstr("HTTP/1.1 400"), HasSubstr("malformed-request")));
  EXPECT_EQ(get("/v1/obs/jobs").status, 200);
}

TEST_F(ApiServerTest, HeadHasNoBodyAndGzipIsPackedOnlyWhenAskedFor) {
  start();
  const CurlAnswer head = get("/v1/obs/jobs", {"-I"});
  EXPECT_EQ(head.status, 200);
  EXPECT_THAT(head.body, IsEmpty());
  EXPECT_GT(std::stoi(head.headers.at("content-length")), 1000);
  const CurlAnswer plain = get("/v1/obs/jobs"), packed = get("/v1/obs/jobs", {"--compressed"});
  EXPECT_FALSE(plain.headers.contains("content-encoding"));
  EXPECT_EQ(packed.headers.at("content-encoding"), "gzip");
  EXPECT_LT(std::stoi(packed.headers.at("content-length")), std::stoi(plain.headers.at("content-length")) / 2);
  EXPECT_EQ(json::parse(packed.body).at("data").as_array().size(),
            json::parse(plain.body).at("data").as_array().size());
}

TEST_F(ApiServerTest, SlowClientsHoldNoThreadAndAreCut) {
  start({std::chrono::milliseconds(400), 16 * 1024});
  std::vector<int> slow;
  for (int at = 0; at < 50; ++at) {
    slow.push_back(connected());
    put(slow.back(), "GET /v1/obs/jobs HTTP/1.1\r\nHost: x\r\nAuthoriz");
  }
  EXPECT_EQ(get("/v1/obs/jobs").status, 200);
  for (const int fd : slow) EXPECT_THAT(read_all(fd), IsEmpty());
}

TEST_F(ApiServerTest, ConnectionsBeyondTheLimitWaitForOneToEnd) {
  config_.connections_max = 2;
  start();
  const int first = connected(), second = connected();
  auto third = std::async(std::launch::async, [this] { return connected(); });
  const int waiting = third.get();
  put(waiting, "GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  ::close(first);
  EXPECT_THAT(read_all(waiting), HasSubstr("HTTP/1.1 200"));
  ::close(second);
}

TEST_F(ApiServerTest, AKeptConnectionAnswersOneAfterTheOther) {
  start();
  const int fd = connected();
  std::string requests;
  for (int at = 0; at < 5; ++at) {
    requests += "GET /v1/obs/services HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token_ + "\r\n" +
                (at == 4 ? "Connection: close\r\n" : "") + "\r\n";
  }
  put(fd, requests);
  const std::string answers = read_all(fd);
  std::size_t found = 0;
  for (std::size_t at = answers.find("HTTP/1.1 200"); at != std::string::npos;
       at = answers.find("HTTP/1.1 200", at + 1))
    ++found;
  EXPECT_EQ(found, 5u);
}

TEST_F(ApiServerTest, WhatIsUnderWayIsAnsweredWhenTheServerEnds) {
  start();
  // Readers wait for whoever locks the table.
  auto locker = PgConnection::connect(database());
  ASSERT_TRUE(locker && locker->exec("BEGIN; LOCK TABLE observability.service_heartbeats IN ACCESS EXCLUSIVE MODE"));
  auto answer = std::async(std::launch::async, [this] { return get("/v1/obs/services").status; });
  ASSERT_TRUE(wait_until([this] { return pool_->state().in_use == 1; }));
  const int idle = connected();
  put(idle, "GET /v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
  char first[4096];
  ASSERT_GT(::read(idle, first, sizeof first), 0);  // answered, and kept
  auto stopped = std::async(std::launch::async, [this] { return server_->stop(std::chrono::seconds(10)); });
  EXPECT_THAT(read_all(idle), IsEmpty());  // an idle connection is not waited for
  ASSERT_TRUE(locker->exec("ROLLBACK"));
  EXPECT_EQ(answer.get(), 200);
  EXPECT_TRUE(stopped.get());
}

TEST_F(ApiServerTest, AQuestionThatTakesTooLongIs503AndHoldsUpNobodyElse) {
  config_.statement_timeout = std::chrono::milliseconds(300);
  config_.database_connections_max = 2;
  start();
  auto locker = PgConnection::connect(database());
  ASSERT_TRUE(locker && locker->exec("BEGIN; LOCK TABLE observability.service_heartbeats IN ACCESS EXCLUSIVE MODE"));
  const CurlAnswer slow = get("/v1/obs/services");
  EXPECT_EQ(slow.status, 503);
  EXPECT_THAT(slow.body, HasSubstr("query-too-slow"));
  EXPECT_EQ(get("/v1/obs/jobs").status, 200);
  ASSERT_TRUE(locker->exec("ROLLBACK"));
  EXPECT_EQ(get("/v1/obs/services").status, 200);
  EXPECT_THAT(notes_, IsEmpty());  // the database was never away
}

TEST_F(ApiServerTest, AConnectionLostWhileItStoodIdleIsMendedBeforeAnybodyNotices) {
  config_.database_connections_max = 1;
  start();
  EXPECT_EQ(get("/v1/obs/services").status, 200);
  auto admin = PgConnection::connect(database());
  ASSERT_TRUE(admin && admin->exec("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = "
                                   "current_database() AND pid <> pg_backend_pid()"));
  EXPECT_EQ(get("/v1/obs/services").status, 200);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(ApiServerTest, WhoAsksForMuchWaitsBehindHimself) {
  config_.database_connections_max = 1;
  start();
  auto locker = PgConnection::connect(database());
  ASSERT_TRUE(locker && locker->exec("BEGIN; LOCK TABLE observability.service_heartbeats IN ACCESS EXCLUSIVE MODE"));
  std::mutex order_mutex;
  std::vector<std::string> order;
  std::atomic<int> submitted{0};
  const auto ask = [&](const std::string& who) {
    StoreTask task;
    task.ask = [](HistoryStore& store) {
      (void)store.services({}, {});
      return std::string();
    };
    task.done = [&order, &order_mutex, who] {
      const std::lock_guard lock(order_mutex);
      order.push_back(who);
    };
    task.refuse = [](const Error& error) { ADD_FAILURE() << error.message; };
    EXPECT_EQ(pool_->submit(who, std::move(task)), StorePool::Taken::kYes);
    ++submitted;
  };
  ask("greedy");
  ASSERT_TRUE(wait_until([this] { return pool_->state().in_use == 1; }));
  for (int at = 0; at < 5; ++at) ask("greedy");
  ask("modest");
  EXPECT_EQ(pool_->state().waiters, 6u);
  ASSERT_TRUE(locker->exec("ROLLBACK"));
  ASSERT_TRUE(wait_until([&] {
    const std::lock_guard lock(order_mutex);
    return order.size() == 7;
  }));
  // The first was under way, one more of the greedy one had the turn before.
  EXPECT_EQ(std::find(order.begin(), order.end(), "modest") - order.begin(), 2);
}

TEST_F(ApiServerTest, ManyWhoAskTheSameAreServedByOneQuestion) {
  config_.database_connections_max = 4;
  start();
  auto locker = PgConnection::connect(database());
  ASSERT_TRUE(locker && locker->exec("BEGIN; LOCK TABLE observability.etl_jobs IN ACCESS EXCLUSIVE MODE"));
  std::vector<std::future<CurlAnswer>> same;
  for (int at = 0; at < 6; ++at) {
    same.push_back(std::async(std::launch::async, [this] { return get("/v1/obs/jobs?page_size=3"); }));
  }
  ASSERT_TRUE(wait_until([this] { return server_->active() == 6; }));
  EXPECT_EQ(pool_->state().in_use, 1u);
  EXPECT_EQ(pool_->state().waiters, 0u);
  // Who may see other rows asks for himself.
  const std::string everybody = std::exchange(token_, mint({"obs.read"}, std::vector<std::string>{"sponsor_a"}));
  auto sponsor = std::async(std::launch::async, [this] { return get("/v1/obs/jobs?page_size=3"); });
  ASSERT_TRUE(wait_until([this] { return pool_->state().in_use == 2; }));
  ASSERT_TRUE(locker->exec("ROLLBACK"));
  std::string body;
  for (auto& each : same) {
    const CurlAnswer answer = each.get();
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(body.empty() || body == answer.body);
    body = answer.body;
  }
  const CurlAnswer own = sponsor.get();
  EXPECT_EQ(own.status, 200);
  EXPECT_NE(own.body, body);
  token_ = everybody;
  for (const ApiRecord& record : records()) EXPECT_EQ(record.rows, 3) << "of each answer, however it was made";
  // A second later it is another answer.
  ASSERT_TRUE(
      locker->exec("INSERT INTO observability.etl_jobs (id, job_id, source, created_at, updated_at) VALUES "
                   "(gen_random_uuid(), 'a_first_job', 'config', now(), now())"));
  EXPECT_TRUE(
      wait_until([this] { return get("/v1/obs/jobs?page_size=3").body.find("a_first_job") != std::string::npos; }));
  ASSERT_TRUE(locker->exec("DELETE FROM observability.etl_jobs WHERE job_id = 'a_first_job'"));
}

TEST_F(ApiServerTest, WhereOneMoreConnectionIsRefusedThoseThatAreThereDoTheWork) {
  auto admin = PgConnection::connect(database());
  ASSERT_TRUE(admin && admin->exec("CREATE ROLE api_one LOGIN CONNECTION LIMIT 1; "
                                   "GRANT USAGE ON SCHEMA observability TO api_one; "
                                   "GRANT SELECT ON ALL TABLES IN SCHEMA observability TO api_one"));
  postgres_.url = database() + " user=api_one";
  config_.database_connections_max = 3;
  start();
  EXPECT_EQ(get("/v1/obs/jobs").status, 200);
  ASSERT_TRUE(admin->exec("BEGIN; LOCK TABLE observability.service_heartbeats IN ACCESS EXCLUSIVE MODE"));
  std::vector<std::future<int>> asked;
  for (int at = 0; at < 5; ++at) {
    asked.push_back(std::async(std::launch::async, [this] { return get("/v1/obs/services").status; }));
  }
  ASSERT_TRUE(wait_until([this] { return server_->active() == 5 && pool_->state().waiters >= 2; }));
  EXPECT_EQ(pool_->state().fault, "");
  ASSERT_TRUE(admin->exec("ROLLBACK"));
  for (auto& each : asked) EXPECT_EQ(each.get(), 200);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(ApiServerTest, TlsIsSpokenWhereThereIsACertificate) {
  const std::string make =
      "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 "
      "-keyout " +
      (directory_ / "tls.key").string() + " -out " + (directory_ / "tls.crt").string() + " 2>/dev/null";
  ASSERT_EQ(std::system(make.c_str()), 0);
  config_.tls_certificate_file = directory_ / "tls.crt";
  config_.tls_key_file = directory_ / "tls.key";
  start({std::chrono::milliseconds(1000), 16 * 1024});
  const std::string address = "https://127.0.0.1:" + std::to_string(server_->port()) + "/v1/obs/jobs";
  const std::vector<std::string> more{"--cacert", (directory_ / "tls.crt").string(), "-H",
                                      "Authorization: Bearer " + token_};
  const CurlAnswer answer = curl(address, more);
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(json::parse(answer.body).at("data").as_array().empty());
  auto old = more;
  old.insert(old.end(), {"--tlsv1.0", "--tls-max", "1.1"});
  EXPECT_EQ(curl(address, old).status, 0);
  // Who speaks plainly, or not at all, is cut and takes nobody's place.
  const int silent = connected();
  const int plain = connected();
  put(plain, "GET /v1/obs/jobs HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(read_all(plain), testing::Not(HasSubstr("200")));
  EXPECT_EQ(curl(address, more).status, 200);
  EXPECT_THAT(read_all(silent), IsEmpty());
}

TEST(ApiServerAwayTest, ADatabaseThatIsAwayIs503AtOnceAndComesBackByItself) {
  PostgresCluster cluster;
  PostgresConfig postgres;
  postgres.url = cluster.create_migrated_database("away");
  std::mutex mutex;
  std::string notes;
  StorePool pool(postgres, 4, std::chrono::seconds(5), [&](const std::string& note) {
    const std::lock_guard lock(mutex);
    notes += note + "\n";
  });
  pool.start();
  SystemClock clock;
  ApiConfig config;
  config.listen = "127.0.0.1:0";
  config.requests_per_second = 10'000;
  ApiServer server(config, std::nullopt, pool, clock, [](const ApiRecord&) {});
  ASSERT_TRUE(server.start());
  const auto get = [&] { return curl("http://127.0.0.1:" + std::to_string(server.port()) + "/v1/obs/datasets"); };
  EXPECT_EQ(get().status, 200);
  for (int round = 0; round < by_scale(1, 6); ++round) {
    cluster.stop(round % 2 ? PostgresCluster::Stop::kFast : PostgresCluster::Stop::kImmediate);
    const auto begun = std::chrono::steady_clock::now();
    const CurlAnswer away = get();
    EXPECT_EQ(away.status, 503);
    EXPECT_EQ(away.headers.at("content-type"), "application/problem+json");
    EXPECT_NE(away.headers.at("retry-after"), "");
    EXPECT_THAT(away.body, HasSubstr("database-unavailable"));
    for (int at = 0; at < 20; ++at) EXPECT_EQ(get().status, 503);
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
    EXPECT_NE(pool.state().fault, "");
    cluster.start();
    EXPECT_TRUE(wait_until([&] { return get().status == 200; }));
    EXPECT_EQ(pool.state().fault, "");
  }
  EXPECT_TRUE(server.stop(std::chrono::seconds(5)));
  EXPECT_TRUE(pool.stop(std::chrono::seconds(10)));
  EXPECT_THAT(notes, AllOf(HasSubstr("the database is away"), HasSubstr("the database is back")));
}

}  // namespace
}  // namespace runtail::test
