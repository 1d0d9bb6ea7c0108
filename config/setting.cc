#include "config/setting.h"
#include "config/line_share.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <regex>

#include "config/near_word.h"
#include "config/push_address.h"
#include "config/quantity.h"
#include "config/redaction_action.h"
#include "config/static_field.h"
#include "core/time_zone.h"
#include "core/uuid.h"

namespace runtail {
namespace {

constexpr std::uint64_t kHour = 3'600'000;
constexpr std::uint64_t kTenYears = 3650 * 24 * kHour;

constexpr Limits count(std::uint64_t min, std::uint64_t max) { return {min, max, false, Limits::Unit::kCount}; }
constexpr Limits bytes(std::uint64_t min, std::uint64_t max) { return {min, max, false, Limits::Unit::kBytes}; }
constexpr Limits bytes_or_zero(std::uint64_t min, std::uint64_t max) { return {min, max, true, Limits::Unit::kBytes}; }
constexpr Limits duration(std::uint64_t min, std::uint64_t max) { return {min, max, false, Limits::Unit::kDuration}; }

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

std::string check_version(std::string_view text) {
  return text == "1" ? "" : "this runtail reads version 1; write version: 1";
}

std::string check_name(std::string_view text) {
  if (text.empty() || text.size() > 128 || !std::all_of(text.begin(), text.end(), is_name_character)) {
    return "use 1 to 128 letters, digits, '.', '_' or '-'";
  }
  return "";
}

std::string check_agent_name(std::string_view text) { return text.empty() ? "" : check_name(text); }

std::string check_stream(std::string_view text) {
  const bool printable =
      std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; });
  if (text.size() > 255 || !printable) return "use at most 255 printable characters";
  if (text.starts_with('/')) return "a stream is the log's name, never a path (files move); write <agent>/<source>";
  return "";
}

std::string check_not_empty(std::string_view text) { return text.empty() ? "must not be empty" : ""; }

std::string check_engine(std::string_view text) { return check_one_of(text, {"server", "prometheus", "off"}); }

std::string check_share(std::string_view text) {
  double value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  return fault == std::errc() && end == text.data() + text.size() && value >= 0 && value <= 1 ? ""
                                                                                              : "is a share, 0 to 1";
}
std::string check_percentage(std::string_view text) {
  double value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  return fault == std::errc() && end == text.data() + text.size() && value >= 0 && value <= 1e6
             ? ""
             : "is a percentage, 0 or more";
}

std::string check_mail_address(std::string_view text) {
  const bool plain = std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '<' || c == '>' || c == ',';
  });
  return plain && text.find('@') != text.npos && text.size() <= 320 ? "" : "write one address, as in etl@example.org";
}

std::string check_smtp_url(std::string_view text) {
  if (text.empty()) return "";
  const bool plain =
      std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) <= ' '; });
  const bool known = text.starts_with("smtp://") || text.starts_with("smtps://");
  return plain && known && text.find('@') == text.npos
             ? ""
             : "write smtp://host:587 or smtps://host:465; the user belongs into alerts.smtp_user";
}

std::string check_listen(std::string_view text) {
  if (text.empty()) return "";
  const std::string remedy = "write address:port, as in 0.0.0.0:9847 or \"[::1]:9847\", or \"\" for no listener";
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return remedy;
  std::string host(text.substr(0, colon));
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (fault != std::errc() || end != digits.data() + digits.size()) return "the port must be 0 to 65535; " + remedy;
  unsigned char address[sizeof(in6_addr)];
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    return inet_pton(AF_INET6, host.c_str(), address) == 1 ? "" : remedy;
  }
  return inet_pton(AF_INET, host.c_str(), address) == 1 ? "" : remedy;
}

std::string check_push_url(std::string_view text) {
  if (text.empty()) return "";
  const auto address = parse_push_address(text);
  return address ? "" : address.error().message;
}

std::string check_ndjson_path(std::string_view text) {
  const bool names_a_file = text.starts_with('/') && !text.ends_with('/');
  return text.empty() || text == "-" || names_a_file
             ? ""
             : "write the full path of a file, \"-\" for stdout, or \"\" for none";
}

std::string check_schema(std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(),
                                 [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
  if (text.empty() || text.size() > 63 || !plain || (text[0] >= '0' && text[0] <= '9')) {
    return "use 1 to 63 lower-case letters, digits or '_', not a digit first";
  }
  return "";
}

std::string check_allow(std::string_view text) {
  const bool spaced =
      std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) <= ' '; });
  if (text.empty() || text.size() > 255 || spaced || text.starts_with('.') || text.ends_with('.') ||
      text.find("..") != std::string_view::npos) {
    return "write the dotted path of a member, as in batch.size";
  }
  return "";
}

std::string check_uuid(std::string_view text) {
  return text.empty() || parse_uuid(text) ? "" : "must be a UUID, as in 6ba7b810-9dad-11d1-80b4-00c04fd430c8";
}

std::string check_log_level(std::string_view text) { return check_one_of(text, {"error", "warn", "info", "debug"}); }
std::string check_log_format(std::string_view text) { return check_one_of(text, {"auto", "json", "text"}); }

std::string check_key_algorithm(std::string_view text) {
  return check_one_of(text, {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512"});
}
std::string check_pack(std::string_view text) {
  return check_one_of(text, {"secrets", "pii", "phi-us", "clinical", "blinding"});
}
std::string check_free_text(std::string_view text) { return check_one_of(text, {"scan", "drop"}); }
std::string check_action(std::string_view entry) {
  const std::size_t equals = entry.rfind('=');
  const std::string_view kind = entry.substr(0, equals);
  const bool named = !kind.empty() && std::all_of(kind.begin(), kind.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!named) return "the name is a kind as in markers: lower-case letters, digits and '_'";
  return parse_redaction_action(entry.substr(equals + 1)) ? ""
                                                          : "write mask, drop, hash, keep_first_N or keep_last_N, N "
                                                            "from 1 to 6";
}

// Of an entry name=value.
std::string check_line_level(std::string_view entry) {
  const std::size_t equals = entry.rfind('=');
  if (equals == 0) return "the name is an environment, or any";
  return parse_level(entry.substr(equals + 1)) ? "" : "write TRACE, DEBUG, INFO, WARN, ERROR or FATAL";
}
std::string check_line_sample(std::string_view entry) {
  const std::size_t equals = entry.rfind('=');
  if (!parse_sample_key(entry.substr(0, equals))) {
    return "the name is a level, or an environment and a level, as in prod.INFO";
  }
  return parse_share(entry.substr(equals + 1)) ? "" : "write the share that is stored, 0 to 1, as in 0.1";
}

std::string check_source_type(std::string_view text) {
  return check_one_of(text, {"files", "kubernetes", "journald", "socket"});
}
std::string check_envelope(std::string_view text) {
  return check_one_of(text, {"auto", "none", "docker", "cri", "journald", "fluent"});
}

std::string check_full_path(std::string_view text) {
  return text.starts_with('/') ? "" : "write the full path, from the root directory";
}
std::string check_full_path_or_none(std::string_view text) { return text.empty() ? "" : check_full_path(text); }

std::string check_socket(std::string_view text) {
  // The system keeps the path in 108 bytes, the last of them a zero.
  if (text.size() > 107) return "the path of a socket has at most 107 bytes; choose a shorter one";
  return check_full_path_or_none(text);
}

// The characters systemd allows; the kind of unit is part of the name.
std::string check_unit(std::string_view text) {
  const bool named = std::all_of(text.begin(), text.end(),
                                 [](char c) { return is_name_character(c) || c == ':' || c == '@' || c == '\\'; });
  const std::size_t dot = text.rfind('.');
  if (!named || text.size() > 255 || dot == 0 || dot == std::string_view::npos || dot + 1 == text.size()) {
    return "write the full name of a systemd unit, as in etl.service";
  }
  return "";
}
std::string check_unit_or_none(std::string_view text) { return text.empty() ? "" : check_unit(text); }

std::string check_timezone(std::string_view text) {
  if (text.empty()) return "";
  const auto zone = TimeZone::load(std::string(text));
  return zone ? "" : zone.error().message;
}

// In the order of config.h, sections together.
const Setting<Config> kSettings[] = {
    {"version", [](Config& c) -> Member { return &c.version; }, count(0, ~0u), check_version},
    {"name", [](Config& c) -> Member { return &c.name; }, {}, check_agent_name},
    {"environment", [](Config& c) -> Member { return &c.environment; }},
    {"service", [](Config& c) -> Member { return &c.service; }},
    {"sources", [](Config& c) -> Member { return &c.sources; }},
    {"ignore_older", [](Config& c) -> Member { return &c.ignore_older; }, duration(kHour, kTenYears)},
    {"line_bytes_max", [](Config& c) -> Member { return &c.line_bytes_max; }, bytes(1 << 10, 16 << 20)},
    {"dialects.files", [](Config& c) -> Member { return &c.dialects.files; }, {}, check_not_empty},
    {"buffer.directory", [](Config& c) -> Member { return &c.buffer.directory; }, {}, check_not_empty},
    {"buffer.bytes_max", [](Config& c) -> Member { return &c.buffer.bytes_max; }, bytes_or_zero(64 << 20, 1ull << 50)},
    {"buffer.history_bytes_max", [](Config& c) -> Member { return &c.buffer.history_bytes_max; },
     bytes(1 << 20, 1ull << 50)},
    {"buffer.history_age_max", [](Config& c) -> Member { return &c.buffer.history_age_max; },
     duration(kHour, kTenYears)},
    {"postgres.url", [](Config& c) -> Member { return &c.postgres.url; }, {}, nullptr, true},
    {"postgres.password_file", [](Config& c) -> Member { return &c.postgres.password_file; }},
    {"postgres.schema", [](Config& c) -> Member { return &c.postgres.schema; }, {}, check_schema},
    {"postgres.batch_rows_max", [](Config& c) -> Member { return &c.postgres.batch_rows_max; }, count(1, 100'000)},
    {"postgres.connect_timeout", [](Config& c) -> Member { return &c.postgres.connect_timeout; },
     duration(100, 300'000)},
    {"postgres.statement_timeout", [](Config& c) -> Member { return &c.postgres.statement_timeout; },
     duration(100, kHour)},
    {"postgres.lock_timeout", [](Config& c) -> Member { return &c.postgres.lock_timeout; }, duration(100, kHour)},
    {"postgres.idle_timeout", [](Config& c) -> Member { return &c.postgres.idle_timeout; }, duration(100, 24 * kHour)},
    {"retention.runs", [](Config& c) -> Member { return &c.retention.runs; }, duration(24 * kHour, kTenYears)},
    {"retention.lines", [](Config& c) -> Member { return &c.retention.lines; }, duration(24 * kHour, kTenYears)},
    {"retention.messages", [](Config& c) -> Member { return &c.retention.messages; }, duration(24 * kHour, kTenYears)},
    {"retention.audit", [](Config& c) -> Member { return &c.retention.audit; }, duration(24 * kHour, kTenYears)},
    {"http.listen", [](Config& c) -> Member { return &c.http.listen; }, {}, check_listen},
    {"lines.level", [](Config& c) -> Member { return &c.lines.level; }, {}, check_line_level},
    {"lines.sample", [](Config& c) -> Member { return &c.lines.sample; }, {}, check_line_sample},
    {"ndjson.path", [](Config& c) -> Member { return &c.ndjson.path; }, {}, check_ndjson_path},
    {"redaction.packs", [](Config& c) -> Member { return &c.redaction.packs; }, {}, check_pack},
    {"redaction.rules", [](Config& c) -> Member { return &c.redaction.rules; }, {}, check_not_empty},
    {"redaction.free_text", [](Config& c) -> Member { return &c.redaction.free_text; }, {}, check_free_text},
    {"redaction.actions", [](Config& c) -> Member { return &c.redaction.actions; }, {}, check_action},
    {"redaction.hash_key_file", [](Config& c) -> Member { return &c.redaction.hash_key_file; }},
    {"redaction.allow", [](Config& c) -> Member { return &c.redaction.allow; }, {}, check_allow},
    {"redaction.keep_ip_prefix", [](Config& c) -> Member { return &c.redaction.keep_ip_prefix; }},
    {"redaction.keep_user_id", [](Config& c) -> Member { return &c.redaction.keep_user_id; }},
    // Above 2048 the rows' own limit would refuse them.
    {"redaction.error_message_bytes_max", [](Config& c) -> Member { return &c.redaction.error_message_bytes_max; },
     bytes(64, 2048)},
    {"identity.key_file", [](Config& c) -> Member { return &c.identity.key_file; }},
    {"identity.run_namespace", [](Config& c) -> Member { return &c.identity.run_namespace; }, {}, check_uuid},
    {"metrics.enabled",
     [](Config& c) -> Member { return &c.metrics.enabled; },
     {},
     nullptr,
     false,
     "OBS_METRICS_ENABLED"},
    {"metrics.max_series", [](Config& c) -> Member { return &c.metrics.max_series; }, count(100, 1'000'000)},
    {"metrics.snapshots", [](Config& c) -> Member { return &c.metrics.snapshots; }},
    {"push.url", [](Config& c) -> Member { return &c.push.url; }, {}, check_push_url, true},
    {"push.every", [](Config& c) -> Member { return &c.push.every; }, duration(100, kHour)},
    {"push.job", [](Config& c) -> Member { return &c.push.job; }, {}, check_name},
    {"log.level", [](Config& c) -> Member { return &c.log.level; }, {}, check_log_level},
    {"log.format", [](Config& c) -> Member { return &c.log.format; }, {}, check_log_format},
    {"jobs", [](Config& c) -> Member { return &c.jobs; }},
    {"quality.enabled", [](Config& c) -> Member { return &c.quality.enabled; }, {}, nullptr, false, "OBS_DQ_ENABLED"},
    {"quality.null_rate_threshold",
     [](Config& c) -> Member { return &c.quality.null_rate_threshold; },
     {},
     check_share,
     false,
     "DQ_NULL_RATE_THRESHOLD"},
    {"quality.row_delta_pct_threshold",
     [](Config& c) -> Member { return &c.quality.row_delta_pct_threshold; },
     {},
     check_percentage,
     false,
     "DQ_ROW_DELTA_PCT_THRESHOLD"},
    {"quality.checks", [](Config& c) -> Member { return &c.quality.checks; }},
    {"alerts.enabled", [](Config& c) -> Member { return &c.alerts.enabled; }, {}, nullptr, false, "OBS_ALERTS_ENABLED"},
    {"alerts.engine", [](Config& c) -> Member { return &c.alerts.engine; }, {}, check_engine},
    {"alerts.max_age", [](Config& c) -> Member { return &c.alerts.max_age; }, duration(60'000, 7 * 24 * kHour)},
    {"alerts.include_error_text", [](Config& c) -> Member { return &c.alerts.include_error_text; }},
    {"alerts.messages_per_minute", [](Config& c) -> Member { return &c.alerts.messages_per_minute; }, count(1, 10'000)},
    {"alerts.retry_threshold", [](Config& c) -> Member { return &c.alerts.retry_threshold; }, count(1, 10'000), nullptr,
     false, "RETRY_ALERT_THRESHOLD"},
    {"alerts.job_failure_threshold", [](Config& c) -> Member { return &c.alerts.job_failure_threshold; }, count(1, 100),
     nullptr, false, "JOB_FAILURE_ALERT_THRESHOLD"},
    {"alerts.smtp_url", [](Config& c) -> Member { return &c.alerts.smtp_url; }, {}, check_smtp_url, true},
    {"alerts.smtp_from", [](Config& c) -> Member { return &c.alerts.smtp_from; }, {}, check_mail_address},
    {"alerts.smtp_user", [](Config& c) -> Member { return &c.alerts.smtp_user; }},
    {"alerts.smtp_password_file", [](Config& c) -> Member { return &c.alerts.smtp_password_file; }},
    {"alerts.smtp_starttls", [](Config& c) -> Member { return &c.alerts.smtp_starttls; }},
    {"alerts.ca_file", [](Config& c) -> Member { return &c.alerts.ca_file; }},
    {"alerts.channels", [](Config& c) -> Member { return &c.alerts.channels; }},
    {"alerts.rules", [](Config& c) -> Member { return &c.alerts.rules; }},
    {"api.listen", [](Config& c) -> Member { return &c.api.listen; }, {}, check_listen},
    {"api.keys", [](Config& c) -> Member { return &c.api.keys; }},
    {"api.issuer", [](Config& c) -> Member { return &c.api.issuer; }},
    {"api.audience", [](Config& c) -> Member { return &c.api.audience; }},
    {"api.leeway", [](Config& c) -> Member { return &c.api.leeway; }, duration(0, 300'000)},
    {"api.anonymous", [](Config& c) -> Member { return &c.api.anonymous; }},
    {"api.requests_per_second", [](Config& c) -> Member { return &c.api.requests_per_second; }, count(1, 100'000)},
    {"api.connections_max", [](Config& c) -> Member { return &c.api.connections_max; }, count(1, 10'000)},
    {"api.database_connections_max", [](Config& c) -> Member { return &c.api.database_connections_max; }, count(1, 64)},
    {"api.statement_timeout", [](Config& c) -> Member { return &c.api.statement_timeout; }, duration(100, kHour)},
    {"api.tls_certificate_file", [](Config& c) -> Member { return &c.api.tls_certificate_file; }},
    {"api.tls_key_file", [](Config& c) -> Member { return &c.api.tls_key_file; }},
};

const Setting<ApiKeyConfig> kApiKeySettings[] = {
    {"id", [](ApiKeyConfig& k) -> Member { return &k.id; }, {}, check_name},
    {"algorithm", [](ApiKeyConfig& k) -> Member { return &k.algorithm; }, {}, check_key_algorithm},
    {"file", [](ApiKeyConfig& k) -> Member { return &k.file; }, {}, check_not_empty},
};

const Setting<SourceConfig> kSourceSettings[] = {
    {"name", [](SourceConfig& s) -> Member { return &s.name; }, {}, check_name},
    {"type", [](SourceConfig& s) -> Member { return &s.type; }, {}, check_source_type},
    {"include", [](SourceConfig& s) -> Member { return &s.include; }, {}, check_not_empty},
    {"exclude", [](SourceConfig& s) -> Member { return &s.exclude; }, {}, check_not_empty},
    {"roots", [](SourceConfig& s) -> Member { return &s.roots; }, {}, check_full_path},
    {"stream", [](SourceConfig& s) -> Member { return &s.stream; }, {}, check_stream},
    {"job_id", [](SourceConfig& s) -> Member { return &s.job_id; }},
    {"envelope", [](SourceConfig& s) -> Member { return &s.envelope; }, {}, check_envelope},
    {"join_traces", [](SourceConfig& s) -> Member { return &s.join_traces; }},
    {"timezone", [](SourceConfig& s) -> Member { return &s.timezone; }, {}, check_timezone},
    {"dialect", [](SourceConfig& s) -> Member { return &s.dialect; }},
    {"fields", [](SourceConfig& s) -> Member { return &s.fields; }, {}, check_static_field},
    {"max_unread_deleted_bytes", [](SourceConfig& s) -> Member { return &s.max_unread_deleted_bytes; },
     bytes(1 << 20, 1ull << 50)},
    {"socket", [](SourceConfig& s) -> Member { return &s.socket; }, {}, check_socket},
    {"units", [](SourceConfig& s) -> Member { return &s.units; }, {}, check_unit},
    {"journal_directory", [](SourceConfig& s) -> Member { return &s.journal_directory; }, {}, check_full_path_or_none},
    {"worker.pid_file", [](SourceConfig& s) -> Member { return &s.worker.pid_file; }, {}, check_full_path_or_none},
    {"worker.unit", [](SourceConfig& s) -> Member { return &s.worker.unit; }, {}, check_unit_or_none},
    {"worker.cgroup", [](SourceConfig& s) -> Member { return &s.worker.cgroup; }, {}, check_full_path_or_none},
    {"worker.holds_file", [](SourceConfig& s) -> Member { return &s.worker.holds_file; }},
};

std::string print_number(std::uint64_t number, const Limits& limits) {
  switch (limits.unit) {
    case Limits::Unit::kBytes:
      return print_bytes(number);
    case Limits::Unit::kDuration:
      return print_duration(std::chrono::milliseconds(number));
    case Limits::Unit::kCount:
      break;
  }
  return std::to_string(number);
}

// In milliseconds for durations. On failure `complaint` says what to write.
std::optional<std::uint64_t> parse_number(const std::string& text, const Limits& limits, std::string& complaint) {
  std::optional<std::uint64_t> number;
  if (limits.unit == Limits::Unit::kBytes) {
    number = parse_bytes(text);
    if (!number) complaint = "is no size; write bytes, or 512MiB, 2GiB";
  } else if (limits.unit == Limits::Unit::kDuration) {
    if (const auto duration = parse_duration(text)) number = static_cast<std::uint64_t>(duration->count());
    if (!number) complaint = "is no duration; write 500ms, 30s, 15m, 24h or 7d";
  } else {
    std::uint64_t value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (fault == std::errc() && end == text.data() + text.size()) number = value;
    if (!number) complaint = "is no whole number";
  }
  if (number && (*number < limits.min || *number > limits.max) && !(limits.or_zero && *number == 0)) {
    complaint = "is out of range; write " + print_number(limits.min, limits) + " to " +
                print_number(limits.max, limits) + (limits.or_zero ? ", or 0" : "");
    return std::nullopt;
  }
  return number;
}

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace

std::span<const Setting<Config>> settings() { return kSettings; }
template <>
std::span<const Setting<SourceConfig>> settings_of() {
  return kSourceSettings;
}

template <>
std::span<const Setting<ApiKeyConfig>> settings_of() {
  return kApiKeySettings;
}

std::string environment_name(std::string_view path) {
  std::string name = "RUNTAIL_" + std::string(path);
  for (char& c : name) {
    if (c >= 'a' && c <= 'z') {
      c = static_cast<char>(c - 'a' + 'A');
    } else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9')) {
      c = '_';
    }
  }
  return name;
}

std::string assign(const Member& member, const Limits& limits, const std::string& text) {
  std::string complaint;
  const auto number = [&] { return parse_number(text, limits, complaint); };
  std::visit(Overloaded{
                 [&](std::string* target) { *target = text; },
                 [&](std::filesystem::path* target) { *target = text; },
                 [&](bool* target) {
                   std::string word;
                   for (const char c : text) word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
                   if (word == "true" || word == "yes" || word == "on" || word == "1") {
                     *target = true;
                   } else if (word == "false" || word == "no" || word == "off" || word == "0") {
                     *target = false;
                   } else {
                     complaint = "is neither true nor false";
                   }
                 },
                 [&](std::uint32_t* target) {
                   if (const auto value = number()) *target = static_cast<std::uint32_t>(*value);
                 },
                 [&](std::uint64_t* target) {
                   if (const auto value = number()) *target = *value;
                 },
                 [&](std::chrono::milliseconds* target) {
                   if (const auto value = number()) *target = std::chrono::milliseconds(*value);
                 },
                 [&](std::chrono::hours* target) {
                   const auto value = number();
                   if (value && *value % kHour != 0) {
                     complaint = "must be whole hours; write 24h or 7d";
                   } else if (value) {
                     *target = std::chrono::hours(*value / kHour);
                   }
                 },
                 [&](std::vector<std::string>*) { complaint = "is no list"; },
                 [&](std::map<std::string, std::string>*) { complaint = "is no map"; },
                 [&](std::optional<double>* target) {
                   double value = 0;
                   const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
                   if (fault == std::errc() && end == text.data() + text.size() && std::isfinite(value)) {
                     *target = value;
                   } else {
                     complaint = "is no number";
                   }
                 },
                 [&]<SectionList List>(List*) { complaint = "is no list"; },
             },
             member);
  return complaint;
}

std::string print_value(const Member& member, const Limits& limits) {
  return std::visit(Overloaded{
                        [](std::string* value) { return print_text(*value); },
                        [](std::filesystem::path* value) { return print_text(value->string()); },
                        [](bool* value) { return std::string(*value ? "true" : "false"); },
                        [&](std::uint32_t* value) { return print_number(*value, limits); },
                        [&](std::uint64_t* value) { return print_number(*value, limits); },
                        [](std::chrono::hours* value) { return print_duration(*value); },
                        [](std::chrono::milliseconds* value) { return print_duration(*value); },
                        [](std::vector<std::string>* value) {
                          std::string list;
                          for (const std::string& item : *value) list += (list.empty() ? "" : ", ") + print_text(item);
                          return "[" + list + "]";
                        },
                        [](std::map<std::string, std::string>* value) {
                          std::string map;
                          for (const auto& [name, text] : *value) {
                            map += (map.empty() ? "" : ", ") + print_text(name) + ": " + print_text(text);
                          }
                          return "{" + map + "}";
                        },
                        [](std::optional<double>* value) {
                          char digits[32];
                          if (!*value) return std::string("null");
                          return std::string(digits, std::to_chars(digits, digits + sizeof digits, **value).ptr);
                        },
                        []<SectionList List>(List*) { return std::string(); },
                    },
                    member);
}

std::string print_text(const std::string& text) {
  // A text YAML would read back as the same plain scalar needs no quotes.
  const bool starts_plain = !text.empty() && (is_name_character(text[0]) || text[0] == '/') && text[0] != '-';
  const bool plain = starts_plain && text.back() != ':' && std::all_of(text.begin(), text.end(), [](char c) {
                       return is_name_character(c) || c == '/' || c == ':' || c == '*' || c == '@' || c == '?';
                     });
  if (plain && text != "null" && text != "Null" && text != "NULL") return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < ' ') {
      const char* digits = "0123456789abcdef";
      quoted += "\\x";
      quoted += digits[c >> 4];
      quoted += digits[c & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string mask_passwords(const std::string& url) {
  std::string masked = url;
  // A URI's user:password@. Up to the last '@' of all: characters someone forgot to escape are masked with the rest.
  if (const std::size_t scheme = masked.find("://"); scheme != std::string::npos) {
    const std::size_t colon = masked.find(':', scheme + 3);
    const std::size_t at = masked.rfind('@');
    if (at != std::string::npos && colon < at) masked.replace(colon + 1, at - colon - 1, "***");
    static const std::regex kParameter("([?&](?:ssl)?password=)[^&]*", std::regex::icase);
    return std::regex_replace(masked, kParameter, "$1***");
  }
  // keyword=value pairs; a quoted value may hold spaces, a backslash takes the next character as it is.
  static const std::regex kPair(R"(((?:^|\s)(?:ssl)?password\s*=\s*)(?:'(?:\\[\s\S]|[^'\\])*'?|(?:\\[\s\S]|[^\s\\])*))",
                                std::regex::icase);
  return std::regex_replace(masked, kPair, "$1***");
}

}  // namespace runtail
