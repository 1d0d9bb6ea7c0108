// runtail alerts: what fires, who has seen it, what is to be kept quiet, and whether a channel works.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "agent/config_file.h"
#include "agent/text_table.h"
#include "agent/verbs.h"
#include "alerts/alert_evaluation.h"
#include "alerts/sender.h"
#include "config/quantity.h"
#include "core/exit_code.h"
#include "schema/rows/alerts.h"
#include "server/random_id.h"

namespace runtail {
namespace {

constexpr std::chrono::hours kSilenceMax{24 * 366};

struct AlertsOptions {
  std::string config_path, output = "table", id, by, channel, job, rule, period = "2h", comment;
  bool all = false;
  std::size_t limit = 100;
};

int complain(const Error& error) {
  std::fprintf(stderr, "runtail alerts: %s\n", error.message.c_str());
  switch (error.code) {
    case ErrorCode::kNotFound:
      return kExitIncomplete;
    case ErrorCode::kInvalidInput:
      return kExitConfig;
    default:
      return kExitUnreachable;
  }
}

Result<PgConnection> connect(const Config& config) {
  if (config.postgres.url.empty()) {
    return Error{ErrorCode::kInvalidInput, "no database: set postgres.url (RUNTAIL_POSTGRES_URL)"};
  }
  PgOptions options;
  options.connect_timeout = config.postgres.connect_timeout;
  options.answer_timeout = config.postgres.statement_timeout;
  options.password_file = config.postgres.password_file;
  auto connection = PgConnection::connect(config.postgres.url, options);
  if (!connection) return to_error(connection.error(), "connect to PostgreSQL");
  return std::move(*connection);
}

Result<void> list(const Config& config, const AlertsOptions& options) {
  auto connection = connect(config);
  if (!connection) return connection.error();
  auto events = read_rows<AlertEventRow>(*connection, config.postgres.schema,
                                         std::string(options.all ? "" : "WHERE status = 'firing' ") +
                                             "ORDER BY fired_at DESC, id LIMIT " + std::to_string(options.limit));
  if (!events) return to_error(events.error(), "read alerts");
  TextTable table;
  table.columns = {{"id"},
                   {"status"},
                   {"severity"},
                   {"labels"},
                   {"since"},
                   {"until"},
                   {"last_seen", false, false},
                   {"count", true},
                   {"acknowledged_by"},
                   {"annotations", false, false}};
  for (const AlertEventRow& event : *events) {
    const auto time = [](const std::optional<TimePoint>& at) { return at ? to_rfc3339(*at) : std::string(); };
    table.rows.push_back({to_string(event.id), event.status, event.severity, event.labels.text,
                          to_rfc3339(event.fired_at), time(event.resolved_at), to_rfc3339(event.last_seen_at),
                          std::to_string(event.count), event.acknowledged_by.value_or(""), event.annotations.text});
  }
  auto output = parse_output(options.output);
  if (!output) return output.error();
  std::fputs(render(table, *output).c_str(), stdout);
  return {};
}

Result<void> acknowledge(const Config& config, const AlertsOptions& options) {
  auto connection = connect(config);
  if (!connection) return connection.error();
  auto events = read_rows<AlertEventRow>(*connection, config.postgres.schema,
                                         "WHERE status = 'firing' AND starts_with(id::text, $1)", PgParams{options.id});
  if (!events) return to_error(events.error(), "read alerts");
  if (events->size() != 1) {
    return Error{ErrorCode::kNotFound, events->empty() ? "no alert that fires has the id " + options.id
                                                       : "several alerts have ids that begin with " + options.id};
  }
  auto done = acknowledge_alert(*connection, config.postgres.schema, events->front().dedupe_key, options.by,
                                SystemClock().now());
  if (!done) return done.error();
  std::printf("%s by %s\n", *done ? "acknowledged" : "it is over already", options.by.c_str());
  return {};
}

Result<void> silence(const Config& config, const AlertsOptions& options) {
  const auto period = parse_duration(options.period);
  if (!period || *period <= std::chrono::milliseconds(0) || *period > kSilenceMax) {
    return Error{ErrorCode::kInvalidInput, "--for " + options.period + ": write 1s to 366d, as in 30m, 12h or 7d"};
  }
  auto connection = connect(config);
  if (!connection) return connection.error();
  AlertSilenceRow row;
  row.id = random_uuid();
  row.job_pattern = options.job;
  if (!options.rule.empty()) row.rule_name = options.rule;
  row.starts_at = SystemClock().now();
  row.ends_at = row.starts_at + *period;
  row.created_by = options.by;
  if (!options.comment.empty()) row.comment = options.comment;
  if (auto done = insert_row(*connection, config.postgres.schema, row); !done) {
    return to_error(done.error(), "write the silence");
  }
  std::printf("quiet until %s: alerts of %s are recorded, and told if they still fire then\n",
              to_rfc3339(row.ends_at).c_str(), options.job.c_str());
  return {};
}

Result<void> test(const Config& config, const AlertsOptions& options) {
  const auto channel = std::ranges::find(config.alerts.channels, options.channel, &AlertChannelConfig::name);
  if (channel == config.alerts.channels.end()) {
    return Error{ErrorCode::kInvalidInput, "channel \"" + options.channel + "\" is not in alerts.channels"};
  }
  const SystemClock clock;
  AlertDelivery delivery;
  delivery.id = random_uuid();
  delivery.alert_id = delivery.id;
  delivery.kind = "firing";
  delivery.channel = channel->name;
  delivery.channel_kind = channel->kind;
  delivery.target_ref = channel->target;
  delivery.rule = "RuntailTest";
  delivery.severity = "info";
  delivery.subject = config.name;
  delivery.summary = "A test by `runtail alerts test`: nothing is wrong.";
  delivery.labels = {R"({"alertname": "RuntailTest", "severity": "info"})"};
  delivery.fired_at = clock.now();
  Sender sender(config.alerts, process_environment(), clock);
  if (auto sent = sender.send(delivery); !sent) return sent.error();
  std::printf("sent to %s\n", channel->name.c_str());
  return {};
}

}  // namespace

void add_alerts_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("alerts", "Show alerts, acknowledge one, keep quiet, test a channel");
  verb->require_subcommand(1);
  verb->footer(
      "Exit codes: 0 done, 1 no such alert, 2 usage, 3 configuration, 4 the database or the channel is not reached.\n"
      "\n"
      "Examples:\n"
      "  runtail alerts list --all --output json\n"
      "  runtail alerts ack 3f0c --by ann\n"
      "  runtail alerts silence 'orders_*' --for 2h --by ann --comment 'new warehouse'\n"
      "  runtail alerts test slack");
  const auto options = std::make_shared<AlertsOptions>();
  const char* login = std::getenv("USER");
  options->by = login ? login : "";
  const auto add = [&](const char* name, const char* help, Result<void> (*work)(const Config&, const AlertsOptions&)) {
    CLI::App* made = verb->add_subcommand(name, help);
    add_config_option(*made, options->config_path);
    made->callback([options, work, &exit_code] {
      exit_code = kExitConfig;
      const auto config = config_or_complain(options->config_path);
      if (!config) return;
      const auto done = work(*config, *options);
      exit_code = done ? kExitOk : complain(done.error());
    });
    return made;
  };
  const auto add_by = [&](CLI::App* made) {
    made->add_option("--by", options->by, "Who says so; default $USER")->type_name("NAME");
  };
  CLI::App* shown = add("list", "Alerts that fire, the latest first", list);
  shown->add_flag("--all", options->all, "Also those that are over, or were recorded as stale");
  shown->add_option("--limit", options->limit, "How many")->check(CLI::Range(1, 100'000))->type_name("N");
  shown->add_option("--output", options->output, "table, csv or json (csv and json have every column)")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("WORD")
      ->capture_default_str();
  shown->footer("Example: runtail alerts list --output json | jq .[].labels");
  CLI::App* acked = add("ack", "Say that you have seen it: it is over, and its fact never fires again", acknowledge);
  acked->add_option("ID", options->id, "Of `alerts list`, or its beginning")->required();
  add_by(acked);
  acked->footer("Example: runtail alerts ack 3f0c --by ann");
  CLI::App* quiet = add("silence", "Tell nobody of alerts of these jobs for a while", silence);
  quiet->add_option("JOB", options->job, "A job, in which * stands for any text")->required();
  quiet->add_option("--for", options->period, "How long; default 2h")->type_name("DURATION");
  quiet->add_option("--rule", options->rule, "Only alerts of this rule")->type_name("NAME");
  quiet->add_option("--comment", options->comment, "Why")->type_name("TEXT");
  add_by(quiet);
  quiet->footer("Example: runtail alerts silence 'orders_*' --for 2h --comment 'new warehouse'");
  CLI::App* tried = add("test", "Send a message to a channel of the configuration, from here", test);
  tried->add_option("CHANNEL", options->channel, "Its name")->required();
  tried->footer("Example: runtail alerts test slack");
}

}  // namespace runtail
