#include "schema/definitions.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "core/identity.h"
#include "core/json_text.h"
#include "schema/rows/alerts.h"
#include "schema/rows/jobs.h"
#include "schema/rows/quality.h"

namespace runtail {
namespace {

bool is_json_word(std::string_view text) {
  if (text == "true" || text == "false") return true;
  double number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  // As JSON writes numbers, and as jsonb prints them: no sign +, no leading zeros, no point at an end.
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  const bool plain = text == "0" || digits.starts_with("0.") || !digits.starts_with('0');
  return fault == std::errc() && end == text.data() + text.size() && plain && !text.empty() &&
         digits.find_first_not_of("0123456789.") == digits.npos && !digits.starts_with('.') && !digits.ends_with('.');
}

// Spelled as jsonb prints it (short names first), so that a row read back is equal. Numbers and true or false are so
// where `words` says so; everything else is text.
Json json_of(const std::map<std::string, std::string>& map, bool words = false) {
  std::vector<std::pair<std::string, std::string>> members(map.begin(), map.end());
  std::ranges::stable_sort(members, {}, [](const auto& member) { return member.first.size(); });
  Json json{"{"};
  for (const auto& [name, value] : members) {
    if (json.text.size() > 1) json.text += ", ";
    append_json_string(json.text, name);
    json.text += ": ";
    if (words && is_json_word(value)) {
      json.text += value;
    } else {
      append_json_string(json.text, value);
    }
  }
  json.text += '}';
  return json;
}

std::optional<std::string> stated(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

std::optional<std::chrono::seconds> stated(std::chrono::milliseconds period) {
  if (period == std::chrono::milliseconds::zero()) return std::nullopt;
  return std::chrono::ceil<std::chrono::seconds>(period);
}

std::optional<std::int32_t> seconds_of(std::chrono::milliseconds period) {
  const auto seconds = stated(period);
  return seconds ? std::optional(static_cast<std::int32_t>(seconds->count())) : std::nullopt;
}

Uuid id_of(std::string_view table, std::string_view name) { return uuid_v5(runtail_namespace(), {table, name}); }

std::string_view metric_of(std::string_view check_type) {
  if (check_type == "row_count_delta") return "row_count";
  return check_type == "null_rate" ? "null_rate" : "columns";
}

// Makes the rows of a table equal to `wanted`, known by their keys.
class Registry {
 public:
  Registry(PgConnection& connection, const std::string& schema, TimePoint now)
      : connection_(connection), schema_(schema), now_(now) {}

  // `taken` says why a row that is there may not be written over, "" if it may. Columns of time are set here.
  template <typename Row, typename Key, typename Taken>
  PgOutcome<void> store(std::vector<Row> wanted, Key Row::*key, Taken&& taken) {
    auto there = read_rows<Row>(connection_, schema_, "");
    if (!there) return there.error();
    for (Row& row : wanted) {
      const auto old = std::ranges::find(*there, row.*key, key);
      if (old == there->end()) {
        set_times(row, now_, now_);
        if (auto done = insert_row(connection_, schema_, row); !done) return done.error();
        ++counts.added;
        continue;
      }
      if (const std::string reason = taken(*old); !reason.empty()) return PgError("23505", reason);
      keep_identity(row, *old);
      if (row == *old) {
        ++counts.same;
        continue;
      }
      set_updated(row, now_);
      if (auto done = update_row(connection_, schema_, row); !done) return done.error();
      ++counts.changed;
    }
    for (Row& old : *there) {
      if (!is_ours(old) || std::ranges::find(wanted, old.*key, key) != wanted.end()) continue;
      if (auto done = switch_off(old); !done) return done.error();
    }
    return {};
  }

  DefinitionCounts counts;

 private:
  static void set_times(auto& row, TimePoint created, TimePoint updated) {
    if constexpr (requires { row.created_at; }) row.created_at = created;
    if constexpr (requires { row.updated_at; }) row.updated_at = updated;
  }
  static void set_updated(auto& row, TimePoint now) {
    if constexpr (requires { row.updated_at; }) row.updated_at = now;
  }
  // So that only what is configured is compared.
  template <typename Row>
  static void keep_identity(Row& row, const Row& old) {
    if constexpr (requires { row.id; }) row.id = old.id;
    if constexpr (requires { row.created_at; }) row.created_at = old.created_at;
    if constexpr (requires { row.updated_at; }) row.updated_at = old.updated_at;
  }
  static bool is_ours(const EtlJobRow& row) { return row.source == "config"; }
  static bool is_ours(const auto& row) { return row.source == "yaml" || row.source == "env"; }

  template <typename Row>
  PgOutcome<void> switch_off(Row& old) {
    if (!old.enabled) return {};
    old.enabled = false;
    set_updated(old, now_);
    if (auto done = update_row(connection_, schema_, old); !done) return done.error();
    ++counts.switched_off;
    return {};
  }

  PgConnection& connection_;
  const std::string& schema_;
  const TimePoint now_;
};

std::vector<EtlJobRow> job_rows(const Config& config) {
  std::vector<EtlJobRow> rows;
  for (const JobConfig& job : config.jobs) {
    EtlJobRow& row = rows.emplace_back();
    row.id = job_uuid_of(job.id);
    row.job_id = job.id;
    row.name = stated(job.name);
    row.job_type = job.type;
    row.owner = stated(job.owner);
    row.service = stated(job.service);
    row.dataset = stated(job.dataset);
    row.schedule = stated(job.schedule);
    row.expected_every = stated(job.expected_every);
    row.stall_after = stated(job.stall_after);
    row.enabled = job.enabled;
    row.source = "config";
    row.metadata = json_of(job.metadata);
  }
  return rows;
}

std::vector<DqCheckDefinitionRow> check_rows(const Config& config) {
  std::vector<DqCheckDefinitionRow> rows;
  for (const QualityCheckConfig& check : config.quality.checks) {
    DqCheckDefinitionRow& row = rows.emplace_back();
    row.metric = metric_of(check.type);
    row.check_id = check_id_of(check.job, check.type, check.table, check.column, row.metric);
    row.job_id = check.job;
    row.table_name = check.table;
    row.column_name = stated(check.column);
    row.check_type = check.type;
    row.threshold = check.threshold;
    row.absolute_limit = check.absolute_limit;
    if (!check.expected.empty()) row.expected = json_of(check.expected);
    row.severity = check.severity;
    row.enabled = check.enabled;
    row.source = "yaml";
  }
  return rows;
}

std::vector<AlertChannelRow> channel_rows(const Config& config) {
  std::vector<AlertChannelRow> rows;
  for (const AlertChannelConfig& channel : config.alerts.channels) {
    rows.push_back({id_of("alert_channels", channel.name),
                    channel.name,
                    channel.kind,
                    channel.target,
                    channel.send_resolved,
                    channel.enabled,
                    channel.from_environment ? "env" : "yaml",
                    {}});
  }
  return rows;
}

std::vector<AlertRuleRow> rule_rows(const Config& config) {
  std::vector<AlertRuleRow> rows;
  for (const AlertRuleConfig& rule : config.alerts.rules) {
    AlertRuleRow& row = rows.emplace_back();
    row.id = id_of("alert_rules", rule.name);
    row.name = rule.name;
    row.kind = rule.kind;
    row.job_id = stated(rule.job);
    row.params = json_of(rule.params, true);
    row.window_s = seconds_of(rule.window);
    row.for_s = seconds_of(rule.hold);
    row.severity = rule.severity;
    row.labels = json_of(rule.labels);
    row.annotations = json_of(rule.annotations);
    row.enabled = rule.enabled;
    row.source = "yaml";
  }
  return rows;
}

// The mapping has no name and no source of its own: that of configured rules is what the configuration says.
PgOutcome<void> store_mapping(PgConnection& connection, const std::string& schema, const Config& config) {
  auto rules = read_rows<AlertRuleRow>(connection, schema, "WHERE source = 'yaml'");
  auto channels = read_rows<AlertChannelRow>(connection, schema, "");
  if (!rules) return rules.error();
  if (!channels) return channels.error();
  const std::string table = quote_identifier(schema) + ".alert_rule_channels";
  for (const AlertRuleRow& rule : *rules) {
    const auto configured = std::ranges::find(config.alerts.rules, rule.name, &AlertRuleConfig::name);
    if (configured == config.alerts.rules.end()) continue;
    std::string kept = "{";
    for (const std::string& name : configured->channels) {
      const auto channel = std::ranges::find(*channels, name, &AlertChannelRow::name);
      if (channel == channels->end()) continue;  // check_definitions() saw to it
      const Uuid id = id_of("alert_rule_channels", rule.name + '\n' + name);
      const auto repeat = seconds_of(configured->repeat);
      const PgParams params = {pg_text::write(id), pg_text::write(rule.id), pg_text::write(channel->id),
                               pg_text::write(repeat)};
      auto done = connection.query("INSERT INTO " + table +
                                       " (id, rule_id, channel_id, repeat_s) VALUES ($1, $2, $3, $4) "
                                       "ON CONFLICT (rule_id, channel_id) DO UPDATE SET repeat_s = excluded.repeat_s",
                                   params);
      if (!done) return done.error();
      kept += (kept.size() > 1 ? "," : "") + to_string(channel->id);
    }
    const PgParams params = {pg_text::write(rule.id), kept + '}'};
    auto gone =
        connection.query("DELETE FROM " + table + " WHERE rule_id = $1 AND channel_id <> ALL ($2::uuid[])", params);
    if (!gone) return gone.error();
  }
  return {};
}

PgOutcome<DefinitionCounts> store_all(PgConnection& connection, const std::string& schema, const Config& config,
                                      TimePoint now) {
  Registry registry(connection, schema, now);
  const auto of_api = [](const char* what) {
    return [what](const auto& old) {
      if (old.source != "api") return std::string();
      std::string name;
      if constexpr (requires { old.name; }) name = old.name;
      if constexpr (requires { old.check_id; }) name = old.check_type + " of " + old.table_name;
      return std::string(what) + " \"" + name + "\" was made by the API; remove it there, or from the configuration";
    };
  };
  const auto free = [](const EtlJobRow&) { return std::string(); };
  if (auto done = registry.store(job_rows(config), &EtlJobRow::job_id, free); !done) return done.error();
  if (auto done = registry.store(check_rows(config), &DqCheckDefinitionRow::check_id, of_api("check")); !done)
    return done.error();
  if (auto done = registry.store(channel_rows(config), &AlertChannelRow::name, of_api("alert channel")); !done)
    return done.error();
  if (auto done = registry.store(rule_rows(config), &AlertRuleRow::name, of_api("alert rule")); !done)
    return done.error();
  if (auto done = store_mapping(connection, schema, config); !done) return done.error();
  return registry.counts;
}

}  // namespace

bool has_definitions(const Config& config) {
  return !config.jobs.empty() || !config.quality.checks.empty() || !config.alerts.channels.empty() ||
         !config.alerts.rules.empty();
}

Result<DefinitionCounts> store_definitions(PgConnection& connection, const std::string& schema, const Config& config,
                                           TimePoint now, std::chrono::milliseconds lock_timeout) {
  const auto failed = [](const PgError& error) {
    return to_error(error, "write the definitions of the configuration");
  };
  // Two at once: the second waits and then finds all there. So do writers that add a job or a check, in their order.
  auto begun =
      connection.exec("BEGIN; SET LOCAL lock_timeout = " + std::to_string(lock_timeout.count()) + "; LOCK TABLE " +
                      quote_identifier(schema) + ".alert_rules, " + quote_identifier(schema) + ".etl_jobs, " +
                      quote_identifier(schema) + ".dq_check_definitions IN SHARE ROW EXCLUSIVE MODE");
  PgOutcome<DefinitionCounts> counts = begun ? store_all(connection, schema, config, now) : begun.error();
  if (counts) {
    if (auto committed = connection.exec("COMMIT"); !committed) return failed(committed.error());
    return *counts;
  }
  const PgError error = counts.error();
  (void)connection.exec("ROLLBACK");
  return failed(error);
}

}  // namespace runtail
