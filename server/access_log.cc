#include "server/access_log.h"

#include <algorithm>
#include <utility>

#include "schema/identity_key.h"
#include "schema/rows/service.h"
#include "server/random_id.h"

namespace runtail {
namespace {

constexpr std::size_t kBatchMax = 500, kWaitingMax = 20'000, kTextMax = 256;
constexpr std::chrono::milliseconds kEvery{1000}, kRetry{1000}, kStatementTimeout{5000};

// One statement for all rows.
struct Insert {
  std::string sql;
  PgParams params;

  explicit Insert(const std::string& schema)
      : sql("INSERT INTO " + quote_identifier(schema) + "." + std::string(AccessLogRow::kTable)) {}
  void add(const AccessLogRow& row) {
    row_visitors::Write write;
    AccessLogRow::columns(row, write);
    if (params.empty()) {
      sql += " (";
      for (std::size_t at = 0; at < write.names.size(); ++at) sql += (at ? ", " : "") + write.names[at];
      sql += ") VALUES ";
    } else {
      sql += ", ";
    }
    for (std::size_t at = 0; at < write.params.size(); ++at) {
      sql += (at ? ", $" : "($") + std::to_string(params.size() + 1);
      params.push_back(std::move(write.params[at]));
    }
    sql += ")";
  }
};

std::optional<std::string> text_or_null(std::string_view text) {
  return text.empty() ? std::nullopt : std::optional<std::string>(text.substr(0, kTextMax));
}

AccessLogRow row_of(const Uuid& id, const ApiRecord& record, const std::optional<HashKey>& key) {
  const auto hashed = [&key](const std::string& text) -> std::optional<Bytes> {
    if (!key || text.empty()) return std::nullopt;
    const Bytes16 digest = hmac16(*key, text);
    return Bytes{std::string(digest.begin(), digest.end())};
  };
  AccessLogRow row;
  row.id = id;
  row.at = record.at;
  row.subject_hmac = hashed(record.subject);
  row.scope = text_or_null(record.scope);
  row.method = text_or_null(record.method);
  row.route = text_or_null(record.route);
  row.params_digest = hashed(record.params);
  row.status = static_cast<std::int32_t>(record.status);
  row.rows = static_cast<std::int32_t>(record.rows);
  row.duration_ms = static_cast<std::int32_t>(record.duration.count() / 1000);
  row.correlation_id = text_or_null(record.correlation_id);
  row.remote_hmac = hashed(record.remote);
  return row;
}

}  // namespace

AccessLog::AccessLog(PostgresConfig postgres, Note note) : postgres_(std::move(postgres)), note_(std::move(note)) {}

AccessLog::~AccessLog() {
  static_cast<void>(stop(std::chrono::milliseconds(0)));
  if (thread_.joinable()) thread_.join();
}

void AccessLog::start() {
  thread_ = std::thread([this] { work(); });
}

void AccessLog::add(const ApiRecord& record) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kWaitingMax) {
    ++lost_;
    return;
  }
  Entry entry{random_uuid(), record};
  // What a request line may hold, times all that may wait, would be gigabytes; of this no more is stored.
  if (entry.record.params.size() > kTextMax) entry.record.params = to_hex(sha256(entry.record.params));
  entry.record.method.resize(std::min(entry.record.method.size(), kTextMax));
  entry.record.fault.clear();
  waiting_.push_back(std::move(entry));
  if (waiting_.size() >= kBatchMax) changed_.notify_all();
}

std::uint64_t AccessLog::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

bool AccessLog::stop(std::chrono::milliseconds deadline) {
  if (!thread_.joinable()) return true;
  std::unique_lock lock(mutex_);
  is_stopping_ = true;
  changed_.notify_all();
  return changed_.wait_for(lock, deadline, [this] { return has_ended_; });
}

Result<void> AccessLog::connect() {
  if (connection_ && connection_->is_alive()) return {};
  PgOptions options;
  options.connect_timeout = postgres_.connect_timeout;
  options.answer_timeout = kStatementTimeout * 2;
  options.password_file = postgres_.password_file;
  auto connection = PgConnection::connect(postgres_.url, options);
  if (!connection) return to_error(connection.error(), "connect to PostgreSQL");
  connection_ = std::move(*connection);
  if (auto key = read_identity_key(*connection_, postgres_.schema)) key_ = *key;
  return {};
}

Result<void> AccessLog::write(const std::deque<Entry>& batch) {
  if (const auto connected = connect(); !connected) return connected;
  Insert insert(postgres_.schema);
  for (const Entry& entry : batch) insert.add(row_of(entry.id, entry.record, key_));
  insert.sql += " ON CONFLICT DO NOTHING";
  const auto begun =
      connection_->exec("BEGIN; SET LOCAL statement_timeout = " + std::to_string(kStatementTimeout.count()));
  if (!begun) return to_error(begun.error(), "write access_log");
  const auto written = connection_->query(insert.sql, insert.params);
  const auto ended = connection_->exec(written ? "COMMIT" : "ROLLBACK");
  if (!written) return to_error(written.error(), "write access_log");
  if (!ended) return to_error(ended.error(), "write access_log");
  return {};
}

void AccessLog::work() {
  std::unique_lock lock(mutex_);
  auto pause = kEvery;
  for (;;) {
    changed_.wait_for(lock, pause, [this] { return is_stopping_ || waiting_.size() >= kBatchMax; });
    const bool is_last = is_stopping_;
    pause = kEvery;
    while (!waiting_.empty()) {
      const std::size_t size = std::min(waiting_.size(), kBatchMax);
      std::deque<Entry> batch(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(size));
      lock.unlock();
      const auto written = write(batch);
      const std::string fault = written ? "" : written.error().message;
      if (fault != std::exchange(fault_, fault)) note_(fault.empty() ? "access_log is written again" : fault);
      lock.lock();
      if (written || written.error().code != ErrorCode::kUnavailable) {
        if (!written) lost_ += size;
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(size));
        continue;
      }
      if (is_last) lost_ += waiting_.size();
      pause = kRetry;
      break;
    }
    if (is_last) break;
    // While nothing can be written, a full batch is no reason to hurry.
    if (!fault_.empty()) changed_.wait_for(lock, kRetry, [this] { return is_stopping_; });
  }
  has_ended_ = true;
  changed_.notify_all();
}

}  // namespace runtail
