#include "schema/pg.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include "core/digest.h"

namespace runtail {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// Sent to the socket in pieces of about this size, so that COPY neither grows libpq's buffer nor makes small packets.
constexpr std::size_t kCopyFlushBytes = 256 * 1024;

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == '\t') {
      if (!line.empty() && line.back() != ' ') line += ' ';
    } else {
      line += c;
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

// Messages of bad data quote the value: invalid input syntax for type uuid: "...". Up to the last quote, as the value
// may hold quotes itself; in the servers' other languages quotes are no ASCII, and all from there on goes.
std::string mask_quoted(std::string message) {
  const std::size_t first = message.find('"');
  const std::size_t last = message.rfind('"');
  if (first != std::string::npos && last > first) message.replace(first + 1, last - first - 1, "***");
  for (const std::string_view quote : {"\xC2\xAB", "\xC2\xBB", "\xE2\x80\x98", "\xE2\x80\x99", "\xE2\x80\x9C",
                                       "\xE2\x80\x9D", "\xE2\x80\x9E", "\xE3\x80\x8C", "'"}) {
    if (const std::size_t at = message.find(quote); at != std::string::npos)
      message.replace(at, std::string::npos, "***");
  }
  return message;
}

std::string field_of(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text ? text : "";
}

PgError connection_failure(std::string message) { return {"", std::move(message)}; }

PgError error_of(PGconn* connection, const PGresult* result) {
  PgError error;
  error.sqlstate = field_of(result, PG_DIAG_SQLSTATE);
  error.message = field_of(result, PG_DIAG_MESSAGE_PRIMARY);
  if (error.message.empty()) error.message = PQerrorMessage(connection);
  if (error.message.empty()) error.message = "no answer from the server";
  error.message = one_line(error.message);
  if (error.sqlstate.starts_with("22")) error.message = mask_quoted(std::move(error.message));
  // RAISE in a trigger: whatever its author put there, rows too.
  if (error.sqlstate.starts_with("P0"))
    error.message = "a trigger or function raised an error; the server's log has it";
  error.constraint_name = field_of(result, PG_DIAG_CONSTRAINT_NAME);
  error.table_name = field_of(result, PG_DIAG_TABLE_NAME);
  error.schema_name = field_of(result, PG_DIAG_SCHEMA_NAME);
  return error;
}

// A refused connection has no PGresult to ask. In verbose mode its text is "FATAL:  28P01: password ...\nLOCATION:
// ...".
PgError connect_error(PGconn* connection) {
  std::string text = PQerrorMessage(connection);
  PgError error;
  if (const std::size_t location = text.find("\nLOCATION:"); location != std::string::npos) text.resize(location);
  for (std::size_t at = text.find(":  "); at != std::string::npos; at = text.find(":  ", at + 1)) {
    const std::string_view code = std::string_view(text).substr(at + 3, 5);
    const bool is_code =
        code.size() == 5 && text.compare(at + 8, 2, ": ") == 0 &&
        std::all_of(code.begin(), code.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
    if (!is_code) continue;
    error.sqlstate = code;
    text.erase(at + 3, 7);
    break;
  }
  error.message = one_line(text);
  // What cannot be read as a connection string may quote a piece of the password.
  if (error.sqlstate.empty() && !error.message.starts_with("connection to server"))
    error.message = mask_quoted(std::move(error.message));
  return error;
}

// Waits until the socket has one of `events`; false when the deadline passed.
bool wait_for(int socket, short events, SteadyTime deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd entry{socket, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30)));
    if (ready > 0) return true;
    if (ready < 0 && errno == EINTR) continue;
    return false;
  }
}

struct ConnectionFinish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using ConnectionPtr = std::unique_ptr<PGconn, ConnectionFinish>;

std::vector<std::string> split_commas(const char* text) {
  std::vector<std::string> parts;
  std::istringstream stream(text ? text : "");
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

struct Host {
  std::string host, hostaddr, port;  // "" where not stated
};

// libpq tries all hosts, and all addresses of a host, in one go without a deadline of its own in this mode: one that
// swallows packets would hide the next. So they are tried one by one. False: no valid connection string.
bool read_hosts(const std::string& conninfo, std::vector<Host>& hosts) {
  std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconninfoParse(conninfo.c_str(), nullptr),
                                                                         &PQconninfoFree);
  if (!options) return false;
  std::vector<std::string> names, addresses, ports;
  bool names_service = std::getenv("PGSERVICE") != nullptr;
  for (const PQconninfoOption* option = options.get(); option->keyword; ++option) {
    if (!std::strcmp(option->keyword, "host")) names = split_commas(option->val);
    if (!std::strcmp(option->keyword, "hostaddr")) addresses = split_commas(option->val);
    if (!std::strcmp(option->keyword, "port")) ports = split_commas(option->val);
    if (!std::strcmp(option->keyword, "service")) names_service = names_service || option->val;
  }
  // libpq fills the gaps itself, but would try several hosts in one go; a service's hosts only libpq knows.
  if (names.empty() && addresses.empty() && !names_service) {
    names = split_commas(std::getenv("PGHOST"));
    addresses = split_commas(std::getenv("PGHOSTADDR"));
  }
  if (ports.empty() && !names_service) ports = split_commas(std::getenv("PGPORT"));
  hosts.resize(std::max({names.size(), addresses.size(), std::size_t{1}}));
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (i < names.size()) hosts[i].host = names[i];
    if (i < addresses.size()) hosts[i].hostaddr = addresses[i];
    if (!ports.empty()) hosts[i].port = ports.size() == 1 ? ports[0] : i < ports.size() ? ports[i] : "";
  }
  return true;
}

// One for each address of a name that has several; `host` as it is where libpq has nothing to choose, or must complain.
std::vector<Host> addresses_of(const Host& host) {
  std::vector<Host> out;
  const bool is_name = !host.host.empty() && host.host[0] != '/' && host.host[0] != '@' && host.hostaddr.empty();
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (is_name && ::getaddrinfo(host.host.c_str(), nullptr, &hints, &found) == 0) {
    for (const addrinfo* each = found; each; each = each->ai_next) {
      char digits[NI_MAXHOST];
      if (::getnameinfo(each->ai_addr, each->ai_addrlen, digits, sizeof digits, nullptr, 0, NI_NUMERICHOST) != 0)
        continue;
      out.push_back({host.host, digits, host.port});
    }
    ::freeaddrinfo(found);
  }
  if (out.size() < 2) out.assign(1, host);
  return out;
}

PgOutcome<ConnectionPtr> connect_host(const std::string& conninfo, const Host& host, const std::string& password,
                                      const PgOptions& options) {
  // Before dbname: defaults the connection string may change. After it: what it may not.
  std::vector<const char*> keys{"keepalives_idle",  "keepalives_interval",       "keepalives_count",
                                "tcp_user_timeout", "fallback_application_name", "dbname"};
  std::vector<const char*> values{"30", "10", "3", "30000", "runtail", conninfo.c_str()};
  const auto add = [&](const char* key, const std::string& value) {
    if (value.empty()) return;
    keys.push_back(key);
    values.push_back(value.c_str());
  };
  const std::string encoding = "UTF8";
  add("host", host.host);
  add("hostaddr", host.hostaddr);
  add("port", host.port);
  add("password", password);
  add("options", options.settings);
  add("client_encoding", encoding);
  keys.push_back(nullptr);
  values.push_back(nullptr);

  ConnectionPtr connection(PQconnectStartParams(keys.data(), values.data(), 1));
  if (!connection) return connection_failure("out of memory");
  PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);  // for the SQLSTATE: connect_error()
  PQsetNoticeReceiver(
      connection.get(), [](void*, const PGresult*) {}, nullptr);
  const SteadyTime deadline = std::chrono::steady_clock::now() + options.connect_timeout;
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (PQstatus(connection.get()) != CONNECTION_BAD && next != PGRES_POLLING_OK && next != PGRES_POLLING_FAILED) {
    if (!wait_for(PQsocket(connection.get()), next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
      const char* name = PQhost(connection.get());
      const std::string address = host.hostaddr.empty() ? "" : " (" + host.hostaddr + ")";
      return connection_failure("no answer from PostgreSQL at " + std::string(name ? name : "?") + address +
                                " within " + std::to_string(options.connect_timeout.count()) + " ms");
    }
    next = PQconnectPoll(connection.get());
  }
  if (PQstatus(connection.get()) != CONNECTION_OK) return connect_error(connection.get());
  PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
  if (PQsetnonblocking(connection.get(), 1) != 0) return connection_failure(one_line(PQerrorMessage(connection.get())));
  return connection;
}

PgOutcome<std::string> read_password(const std::filesystem::path& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::string password{std::istreambuf_iterator<char>(file), {}};
  if (!file) return connection_failure("read password file " + path.string() + ": " + std::strerror(errno));
  while (!password.empty() && (password.back() == '\n' || password.back() == '\r')) password.pop_back();
  return password;
}

}  // namespace

Error to_error(const PgError& error, std::string_view context) {
  static constexpr std::string_view kPassing[] = {"40001", "40P01", "53", "55P03", "57", "25006", "58"};
  const bool passing =
      error.is_connection_failure() || std::any_of(std::begin(kPassing), std::end(kPassing),
                                                   [&](auto prefix) { return error.sqlstate.starts_with(prefix); });
  std::string message = std::string(context) + ": " + error.message;
  if (!error.sqlstate.empty()) message += " (SQLSTATE " + error.sqlstate + ")";
  return {passing ? ErrorCode::kUnavailable : ErrorCode::kInvalidInput, std::move(message)};
}

void PgResult::Clear::operator()(pg_result* result) const { PQclear(result); }
int PgResult::rows() const { return PQntuples(result_.get()); }
int PgResult::columns() const { return PQnfields(result_.get()); }
bool PgResult::is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column); }
std::string_view PgResult::text(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}
std::int64_t PgResult::integer(int row, int column) const {
  const std::string_view digits = text(row, column);
  std::int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}
std::int64_t PgResult::affected() const {
  const std::string_view digits = PQcmdTuples(result_.get());
  std::int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

struct PgConnection::Impl {
  ConnectionPtr connection;
  std::chrono::milliseconds answer_timeout;
  std::size_t copy_unflushed = 0;
  bool prepare = false;
  struct Statement {
    std::string name;
    bool prepared = false;
  };
  std::map<std::string, Statement, std::less<>> asked;  // by text

  SteadyTime deadline() const { return std::chrono::steady_clock::now() + answer_timeout; }

  void close() { connection.reset(); }

  // The connection is of no more use: whatever it was doing, it may still be doing.
  PgError give_up(std::string message) {
    close();
    return connection_failure(std::move(message));
  }
  PgError silence() {
    return give_up("no answer from PostgreSQL within " + std::to_string(answer_timeout.count()) +
                   " ms, connection given up");
  }
  PgError closed() const { return connection_failure("connection to PostgreSQL is closed"); }

  // Sends what libpq holds back, reading meanwhile: the server may be waiting for us to read.
  PgOutcome<void> flush() {
    for (;;) {
      const int left = PQflush(connection.get());
      if (left == 0) return {};
      if (left < 0) return give_up(one_line(PQerrorMessage(connection.get())));
      if (!wait_for(PQsocket(connection.get()), POLLIN | POLLOUT, deadline())) return silence();
      if (!PQconsumeInput(connection.get())) return give_up(one_line(PQerrorMessage(connection.get())));
    }
  }

  // The next result, nullptr when the statement is done.
  PgOutcome<PGresult*> next_result() {
    while (PQisBusy(connection.get())) {
      if (!wait_for(PQsocket(connection.get()), POLLIN, deadline())) return silence();
      if (!PQconsumeInput(connection.get())) break;  // lost: PQgetResult makes the error
    }
    return PQgetResult(connection.get());
  }

  // All results of what was sent: the last one, or the first error.
  PgOutcome<PgResult> finish() {
    if (auto sent = flush(); !sent) return sent.error();
    std::optional<PgResult> last;
    std::optional<PgError> failure;
    for (;;) {
      auto next = next_result();
      if (!next) return failure ? *failure : next.error();
      PGresult* result = *next;
      if (!result) break;
      PgResult owned(result);
      const ExecStatusType status = PQresultStatus(result);
      if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
        return give_up("COPY is not possible here");
      }
      if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
        if (!failure) failure = error_of(connection.get(), result);
      } else {
        last.emplace(std::move(owned));
      }
    }
    if (failure) {
      if (PQstatus(connection.get()) != CONNECTION_OK) close();
      return *failure;
    }
    if (!last) return give_up("no answer from the server");
    return std::move(*last);
  }

  // The name to ask `sql` by, nullptr to ask it as it is.
  PgOutcome<const char*> prepared(const std::string& sql) {
    if (!prepare) return nullptr;
    const auto [at, first] = asked.try_emplace(sql);
    Statement& statement = at->second;
    if (first) return nullptr;
    if (!statement.prepared) {
      const Bytes32 digest = sha256(sql);
      statement.name = "runtail_" + to_hex(std::span(digest).first(8));
      if (!PQsendPrepare(connection.get(), statement.name.c_str(), sql.c_str(), 0, nullptr)) {
        return give_up(one_line(PQerrorMessage(connection.get())));
      }
      if (auto done = finish(); !done) return done.error();
      statement.prepared = true;
    }
    return statement.name.c_str();
  }
};

PgConnection::PgConnection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PgConnection::PgConnection(PgConnection&&) noexcept = default;
PgConnection& PgConnection::operator=(PgConnection&&) noexcept = default;
PgConnection::~PgConnection() = default;

PgOutcome<PgConnection> PgConnection::connect(const std::string& conninfo, const PgOptions& options) {
  std::vector<Host> hosts;
  if (!read_hosts(conninfo, hosts)) {
    // libpq's own message would quote pieces of the string, and so perhaps of a password.
    return PgError{"08001",
                   "not a valid connection string; write postgresql://user@host:5432/database or "
                   "host=... dbname=... user=..."};
  }
  auto password = read_password(options.password_file);
  if (!password) return password.error();
  PgError failure;
  for (const Host& host : hosts) {
    for (const Host& place : addresses_of(host)) {
      auto connection = connect_host(conninfo, place, *password, options);
      if (connection) {
        auto impl = std::make_unique<Impl>();
        impl->connection = std::move(*connection);
        impl->answer_timeout = options.answer_timeout;
        impl->prepare = options.prepare;
        return PgConnection(std::move(impl));
      }
      // What a server said tells more than the silence of another.
      if (failure.sqlstate.empty()) failure = connection.error();
    }
  }
  return failure;
}

PgOutcome<PgResult> PgConnection::exec(const std::string& sql) {
  if (!is_alive()) return impl_->closed();
  if (!PQsendQuery(impl_->connection.get(), sql.c_str())) {
    return impl_->give_up(one_line(PQerrorMessage(impl_->connection.get())));
  }
  return impl_->finish();
}

PgOutcome<PgResult> PgConnection::query(const std::string& sql, std::span<const std::optional<std::string>> params) {
  if (!is_alive()) return impl_->closed();
  std::vector<const char*> values;
  values.reserve(params.size());
  for (const auto& param : params) values.push_back(param ? param->c_str() : nullptr);
  const auto count = static_cast<int>(values.size());
  auto statement = impl_->prepared(sql);
  if (!statement) return statement.error();
  const int sent =
      *statement
          ? PQsendQueryPrepared(impl_->connection.get(), *statement, count, values.data(), nullptr, nullptr, 0)
          : PQsendQueryParams(impl_->connection.get(), sql.c_str(), count, nullptr, values.data(), nullptr, nullptr, 0);
  if (!sent) {
    return impl_->give_up(one_line(PQerrorMessage(impl_->connection.get())));
  }
  return impl_->finish();
}

PgOutcome<void> PgConnection::copy_begin(const std::string& sql) {
  if (!is_alive()) return impl_->closed();
  impl_->copy_unflushed = 0;
  if (!PQsendQuery(impl_->connection.get(), sql.c_str())) {
    return impl_->give_up(one_line(PQerrorMessage(impl_->connection.get())));
  }
  if (auto sent = impl_->flush(); !sent) return sent.error();
  auto first = impl_->next_result();
  if (!first) return first.error();
  if (!*first) return impl_->give_up("no answer from the server");
  const PgResult owned(*first);
  if (PQresultStatus(*first) == PGRES_COPY_IN) return {};
  // An error, or a statement that is no COPY IN: that its results end here too is ours to see.
  PgError error = error_of(impl_->connection.get(), *first);
  for (;;) {
    auto next = impl_->next_result();
    if (!next || !*next) break;
    PQclear(*next);
  }
  return error;
}

PgOutcome<void> PgConnection::copy_write(std::string_view bytes) {
  if (!is_alive()) return impl_->closed();
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kCopyFlushBytes);
    const int put = PQputCopyData(impl_->connection.get(), piece.data(), static_cast<int>(piece.size()));
    if (put < 0) return impl_->give_up(one_line(PQerrorMessage(impl_->connection.get())));
    if (put == 1) {
      bytes.remove_prefix(piece.size());
      impl_->copy_unflushed += piece.size();
    }
    if (put == 0 || impl_->copy_unflushed >= kCopyFlushBytes) {
      impl_->copy_unflushed = 0;
      if (auto sent = impl_->flush(); !sent) return sent.error();
    }
  }
  return {};
}

PgOutcome<std::int64_t> PgConnection::copy_end() {
  if (!is_alive()) return impl_->closed();
  for (;;) {
    const int put = PQputCopyEnd(impl_->connection.get(), nullptr);
    if (put == 1) break;
    if (put < 0) return impl_->give_up(one_line(PQerrorMessage(impl_->connection.get())));
    if (auto sent = impl_->flush(); !sent) return sent.error();
  }
  auto result = impl_->finish();
  if (!result) return result.error();
  return result->affected();
}

PgConnection::Transaction PgConnection::transaction() const {
  switch (impl_->connection ? PQtransactionStatus(impl_->connection.get()) : PQTRANS_UNKNOWN) {
    case PQTRANS_IDLE:
      return Transaction::kIdle;
    case PQTRANS_ACTIVE:
      return Transaction::kActive;
    case PQTRANS_INTRANS:
      return Transaction::kOpen;
    case PQTRANS_INERROR:
      return Transaction::kFailed;
    case PQTRANS_UNKNOWN:
      break;
  }
  return Transaction::kUnknown;
}

bool PgConnection::is_alive() const {
  return impl_ && impl_->connection && PQstatus(impl_->connection.get()) == CONNECTION_OK;
}

PgOutcome<bool> PgConnection::is_in_recovery() {
  auto answer = exec("SELECT pg_catalog.pg_is_in_recovery()");
  if (!answer) return answer.error();
  return answer->boolean(0, 0);
}

void PgConnection::close() {
  if (impl_) impl_->close();
}

std::string quote_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string quote_literal(std::string_view text) {
  // E'' where a backslash occurs: right whatever standard_conforming_strings says.
  std::string quoted = text.find('\\') == std::string_view::npos ? "'" : " E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + '\'';
}

}  // namespace runtail
