// All settings: one typed struct, default and advice in place. Modules receive their own section, never YAML and never
// the environment. Each key's environment name is RUNTAIL_ and the path in capitals: buffer.directory is
// RUNTAIL_BUFFER_DIRECTORY. config/runtail.yaml lists every key; a test holds it against this struct.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace runtail {

// One physical log.
struct SourceConfig {
  // Part of every identity: renaming a source reads its files again. Letters, digits, '.', '_', '-'.
  std::string name;
  // Glob patterns of files to follow. Rotated siblings (etl.log.1, etl.log-20260301) are found by themselves.
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  // Identity of the log; default <agent name>/<source name>. Never a path: a file may move.
  std::string stream;
  // For lines that name no job. Default: the stream.
  std::string job_id;
};

struct BufferConfig {
  // Must survive restarts; one process at a time.
  std::filesystem::path directory = "/var/lib/runtail/buffer";
  // At this size on disk files pause (they are the overflow). 0: the smaller of 2 GiB and half of what is free.
  std::uint64_t bytes_max = 0;
  // Embedded history (no Postgres): delivered events are kept up to this size and age.
  std::uint64_t history_bytes_max = 2ull << 30;
  std::chrono::hours history_age_max{24 * 7};
};

struct PostgresConfig {
  // libpq connection string or URI; empty: no Postgres, history stays in the buffer directory. PG* variables count.
  std::string url;
  // File that holds the password (no newline needed). Never printed.
  std::filesystem::path password_file;
  std::string schema = "observability";
  // Rows of one transaction at most; idle lines are written at once, whatever their number.
  std::uint32_t batch_rows_max = 5000;
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds statement_timeout{30000};
  std::chrono::milliseconds lock_timeout{5000};
  // After this long without rows the connection is closed.
  std::chrono::milliseconds idle_timeout{30000};
};

struct HttpConfig {
  // /metrics and health; no tailed data in them. "" switches the listener off.
  std::string listen = "0.0.0.0:9847";
};

struct RedactionConfig {
  // Members outside the log contract that may be stored (into log_events.context), as dotted paths: "batch.size".
  std::vector<std::string> allow;
  // Keep the first two octets of an IP and UUID or integer user ids; false masks them whole.
  bool keep_ip_prefix = true;
  bool keep_user_id = true;
  // Error messages are cut to this after redaction (bytes of UTF-8).
  std::uint32_t error_message_bytes_max = 2048;
};

struct IdentityConfig {
  // Key of keyed hashes, 64 hex digits. Default: the database's, or one made at first start.
  std::filesystem::path key_file;
  // Namespace of run ids given as text; a UUID.
  std::string run_namespace;
};

struct MetricsConfig {
  // OBS_METRICS_ENABLED. Off: /metrics is 404; counters are still kept.
  bool enabled = true;
  // Label sets of one family at most; the rest is counted as __other__.
  std::uint32_t max_series = 2000;
};

struct LogConfig {
  // error, warn, info, debug. Never shows content of a tailed line.
  std::string level = "info";
  // auto (text on a terminal, else JSON), json, text.
  std::string format = "auto";
};

struct Config {
  // Of the format of this file.
  std::uint32_t version = 1;
  // Names this agent in rows and streams. Default: the host name.
  std::string name;
  // For lines that state none.
  std::string environment;
  std::string service;
  std::vector<SourceConfig> sources;
  // Files last written longer ago than this at first sight are not read.
  std::chrono::hours ignore_older{24 * 7};
  // Longer lines are set aside as too_long, their bytes counted.
  std::uint32_t line_bytes_max = 1 << 20;
  BufferConfig buffer;
  PostgresConfig postgres;
  HttpConfig http;
  RedactionConfig redaction;
  IdentityConfig identity;
  MetricsConfig metrics;
  LogConfig log;
};

}  // namespace runtail
