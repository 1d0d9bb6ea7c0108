// All settings: one typed struct, default and advice in place. Modules receive their own section, never YAML and never
// the environment. Each key's environment name is RUNTAIL_ and the path in capitals: buffer.directory is
// RUNTAIL_BUFFER_DIRECTORY. config/runtail.yaml lists every key; a test holds it against this struct.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/definitions.h"
#include "config/dialect.h"
#include "core/digest.h"

namespace runtail {

// Whose death ends the open runs of a source. Any number of the three; the first that tells of a death counts.
struct WorkerConfig {
  // Holds the worker's process id; watched through a pidfd.
  std::filesystem::path pid_file;
  // A systemd unit of this machine: watched by its control group.
  std::string unit;
  // Directory of the worker's control group: empty means ended; it also tells whether the kernel's OOM killer struck.
  std::filesystem::path cgroup;
  // The worker keeps its log open for its whole life: a file that nobody has open any more means it ended.
  bool holds_file = false;
};

// One physical log, or for type kubernetes one for each container.
struct SourceConfig {
  // Part of every identity: renaming a source reads its files again. Letters, digits, '.', '_', '-'.
  std::string name;
  // files, kubernetes (pod logs below /var/log/pods), journald, socket (workers connect and write lines).
  std::string type = "files";
  // Glob patterns of files to follow. Rotated siblings (etl.log.1, etl.log-20260301, etl.log.2.gz, .zst) are found by
  // themselves.
  std::vector<std::string> include;
  std::vector<std::string> exclude;  // Patterns of files among them to leave out.
  // Directories files may lie in, also those that symbolic links lead to. Default: where the include patterns begin.
  std::vector<std::string> roots;
  // Identity of the log; default <agent name>/<source name>. Never a path: a file may move.
  std::string stream;
  // For lines that name no job. Default: the stream; for kubernetes <namespace>/<container>.
  std::string job_id;
  // What wraps each line: auto, none, docker, cri, journald, fluent. Peeled before anything else, up to three deep.
  std::string envelope = "auto";
  // Stack traces of Python, Java, Node and Go become one event.
  bool join_traces = true;
  // IANA name for times that state no offset, as in Europe/Rome. Default: UTC.
  std::string timezone;
  // Name of the dialect its lines are in, for lines more than one could claim. Default: each line tells by its members.
  std::string dialect;
  // Put on each line that does not state them, by name: some fields of the log contract (config/static_field.h), others
  // into the context.
  std::map<std::string, std::string> fields;
  // Deleted or rotated-away files that are not read yet are held open up to this many unread bytes in all; beyond it
  // the oldest is let go and its rest counted as lost.
  std::uint64_t max_unread_deleted_bytes = 1ull << 30;
  // socket: the unix socket to listen on.
  std::filesystem::path socket;
  // journald: units to follow (default all), and a directory of journal files (default the machine's).
  std::vector<std::string> units;
  std::filesystem::path journal_directory;  // A folder of journal files instead of this machine's.
  WorkerConfig worker;
};

struct DialectsConfig {
  // Files with dialects of your own; of a directory all *.yaml and *.yml in it. One with the name of a built-in dialect
  // replaces that one.
  std::vector<std::string> files;

  // Not a setting: what they hold (config/dialect_files.h).
  std::vector<DialectSpec> own;
};

struct BufferConfig {
  // Must survive restarts; one process at a time.
  std::filesystem::path directory = "/var/lib/runtail/buffer";
  // At this size on disk files pause (they are the overflow). 0: the smaller of 2 GiB and half of what is free.
  std::uint64_t bytes_max = 0;
  // Embedded history (no Postgres): delivered events are kept up to this size and age.
  std::uint64_t history_bytes_max = 2ull << 30;
  std::chrono::hours history_age_max{24 * 7};  // Whichever is reached first.
};

struct PostgresConfig {
  // libpq connection string or URI; empty: no Postgres, history stays in the buffer directory. PG* variables count.
  std::string url;
  // File that holds the password (no newline needed). Never printed.
  std::filesystem::path password_file;
  std::string schema = "observability";  // Where its tables are; made by migrate.
  // Rows of one transaction at most; idle lines are written at once, whatever their number.
  std::uint32_t batch_rows_max = 50'000;
  std::chrono::milliseconds connect_timeout{5000};     // Then it tries again, later and later.
  std::chrono::milliseconds statement_timeout{30000};  // Of one transaction of the writer.
  std::chrono::milliseconds lock_timeout{5000};        // How long a statement waits for locks of others.
  // After this long without rows the connection is closed.
  std::chrono::milliseconds idle_timeout{30000};
};

// How long `runtail migrate --maintain` keeps what is in Postgres; whole days, rounded up. What is older is dropped,
// and creates nothing when it is read again.
struct RetentionConfig {
  // Runs with their attempts, tasks and state changes, data quality, alerts, daily summaries.
  std::chrono::hours runs{24 * 400};
  // Log lines, metric snapshots, traces, spans, document events.
  std::chrono::hours lines{24 * 30};
  // Chat messages, metric aggregates, dead letters, heartbeats of services that are silent.
  std::chrono::hours messages{24 * 90};
  // Who read and who changed what: six years.
  std::chrono::hours audit{24 * 2192};
};

struct HttpConfig {
  // /metrics and health; no tailed data in them. "" switches the listener off.
  std::string listen = "0.0.0.0:9847";
};

struct NdjsonConfig {
  // Each redacted line as one JSON object, for whatever ships logs: a file to append to, "-" for stdout, "" for none.
  std::string path;
};

// A file the redactor reads, with what was in it.
struct RuleText {
  std::string name;
  std::string text;
};

struct RedactionConfig {
  // Rule packs that are on: secrets, pii, phi-us, clinical, blinding.
  std::vector<std::string> packs = {"secrets", "pii", "phi-us", "clinical", "blinding"};
  // Rule files of your own, always on.
  std::vector<std::string> rules;
  // scan: text is searched and masked. drop: no free text is stored at all, typed fields and names only.
  std::string free_text = "scan";
  // What becomes of a kind: mask (the default), drop, hash, keep_first_N or keep_last_N (N 1 to 6).
  std::map<std::string, std::string> actions;
  // Key of action hash: 64 hex digits, readable by the agent only. The key itself may stand in the environment instead.
  std::filesystem::path hash_key_file;
  // Members outside the log contract that may be stored (into log_events.context), as dotted paths: "batch.size".
  std::vector<std::string> allow;
  // Keep the first two octets of an IP and UUID or integer user ids; false masks them whole.
  bool keep_ip_prefix = true;
  bool keep_user_id = true;  // False masks them whole.
  // Error messages are cut to this after redaction (bytes of UTF-8).
  std::uint32_t error_message_bytes_max = 2048;

  // Not settings: filled by whoever makes the redactor.
  // What the files in `rules` and `hash_key_file` hold (config/redaction_files.h).
  std::vector<RuleText> rule_texts;
  std::optional<HashKey> hash_key;
  // As if every member were in `allow`: `runtail redact --fields all`.
  bool allow_all = false;
};

struct IdentityConfig {
  // Key of keyed hashes, 64 hex digits. Default: the database's, or one made at first start.
  std::filesystem::path key_file;
  // Namespace of run ids given as text; a UUID.
  std::string run_namespace;
};

// Which log lines become rows. What is left out still counts and still tells of its run.
struct LinesConfig {
  // By environment, or "any": the lowest level that is stored.
  std::map<std::string, std::string> level;
  // By level ("DEBUG") or environment and level ("prod.INFO"): the share of lines that is stored, 0 to 1.
  std::map<std::string, std::string> sample;
};

struct MetricsConfig {
  // OBS_METRICS_ENABLED. Off: /metrics is 404; counters are still kept.
  bool enabled = true;
  // Label sets of one family at most; the rest is counted as __other__.
  std::uint32_t max_series = 2000;
  // Every 15 minutes and at a clean end, trialsync_* series that changed go into metric_snapshots.
  bool snapshots = true;
};

// Where nobody can scrape the agent: its page goes to a Prometheus Pushgateway.
struct PushConfig {
  // http://host:9091; "" for no push. HTTPS is refused.
  std::string url;
  // Also the time to the first push.
  std::chrono::milliseconds every{15'000};
  // Label job of the group; its label instance is the agent's name. Of two agents with the same of both the last wins.
  std::string job = "runtail";
};

// One key that tokens of the history API are signed with.
struct ApiKeyConfig {
  // The token's kid. A token without one is checked by the only key there is.
  std::string id;
  // HS256, HS384, HS512 (a shared secret), RS256, RS384, RS512 (a public key). No token chooses another.
  std::string algorithm = "HS256";
  // The secret as text, or the public key in PEM. Never printed.
  std::filesystem::path file;
  bool operator==(const ApiKeyConfig&) const = default;
};

// The history API of `runtail server`, and of an agent without Postgres.
struct ApiConfig {
  // "" switches it off.
  std::string listen = "127.0.0.1:9848";
  // Who may read: tokens of these keys with scope obs.read.
  std::vector<ApiKeyConfig> keys;
  // What a token's iss and aud must be; "": iss is not looked at, and a token made for an audience is refused.
  std::string issuer;
  std::string audience;  // What its aud must be.
  // How far clocks may differ.
  std::chrono::milliseconds leeway{30'000};
  // No token is asked for; on a loopback address only.
  bool anonymous = false;
  // Of each token.
  std::uint32_t requests_per_second = 60;
  std::uint32_t connections_max = 256;  // Of the API; further ones wait.
  // Connections to Postgres at most; requests beyond wait in turn.
  std::uint32_t database_connections_max = 4;
  std::chrono::milliseconds statement_timeout{5000};  // Then the request is answered with 503.
  // Certificate chain and key in PEM; both or none. Without them HTTP is plain: put a proxy in front.
  std::filesystem::path tls_certificate_file;
  std::filesystem::path tls_key_file;  // Readable by this user only.
  bool operator==(const ApiConfig&) const = default;
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
  std::string service;                // The service of lines that state none.
  std::vector<SourceConfig> sources;  // The logs to follow.
  // Files last written longer ago than this at first sight are not read.
  std::chrono::hours ignore_older{24 * 7};
  // Longer lines are set aside as too_long, their bytes counted.
  std::uint32_t line_bytes_max = 1 << 20;
  DialectsConfig dialects;
  BufferConfig buffer;
  PostgresConfig postgres;
  RetentionConfig retention;
  HttpConfig http;
  NdjsonConfig ndjson;
  RedactionConfig redaction;
  IdentityConfig identity;
  LinesConfig lines;
  MetricsConfig metrics;
  PushConfig push;
  LogConfig log;
  std::vector<JobConfig> jobs;  // Who owns a job and how often it is expected.
  QualityConfig quality;
  AlertsConfig alerts;
  ApiConfig api;
};

}  // namespace runtail
