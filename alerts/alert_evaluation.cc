#include "alerts/alert_evaluation.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "alerts/alert_events.h"
#include "alerts/json_object.h"
#include "alerts/progress.h"
#include "alerts/self_evaluation.h"
#include "schema/migrations.h"
#include "schema/nested_runs.h"
#include "schema/row.h"

namespace runtail {
namespace {

// Two marks: whoever looks without the verdicts has not seen what they say.
constexpr std::string_view kAfterQuality = "alerts", kWithoutQuality = "alerts without quality", kQuality = "quality";

constexpr std::string_view kNews = R"sql(
WITH news AS (
  (SELECT stored_in FROM {{schema}}.dq_observations WHERE stored_in >= $1 ORDER BY stored_in LIMIT $2 + 1)
  UNION ALL
  (SELECT stored_in FROM {{schema}}.run_state_changes WHERE stored_in >= $1 ORDER BY stored_in LIMIT $2 + 1)
)
SELECT (SELECT stored_in FROM news ORDER BY stored_in OFFSET $2 LIMIT 1))sql";
// $1 to $2: transactions; $3 now. Which rules may say something new of which jobs; null: every rule. Definitions have
// no column that tells their transaction; by its age, xmin does. This transaction has an id: it holds the mark's lock.
constexpr std::string_view kToLookAt = R"sql(
SELECT job_id, NULL::uuid AS rule_id FROM {{schema}}.dq_observations WHERE stored_in BETWEEN $1 AND $2
UNION
SELECT j.job_id, NULL FROM {{schema}}.run_state_changes c JOIN {{schema}}.run_ids r USING (run_id)
  JOIN {{schema}}.job_runs j ON j.run_id = r.run_id AND j.scheduled_at = r.scheduled_at
  WHERE c.stored_in BETWEEN $1 AND $2
UNION
SELECT job_id, NULL FROM {{schema}}.etl_jobs WHERE pg_current_xact_id()::text::bigint - age(xmin) >= $1
UNION
SELECT j.job_id, a.id FROM {{schema}}.alert_rules a CROSS JOIN {{schema}}.etl_jobs j
  WHERE a.enabled AND pg_current_xact_id()::text::bigint - age(a.xmin) >= $1
    AND (a.job_id IS NULL OR a.job_id = j.job_id)
UNION
SELECT job_id, rule_id FROM {{schema}}.alert_watch WHERE due_at <= $3)sql";
constexpr std::string_view kRules = R"sql(
SELECT a.id, a.name, a.kind, a.job_id, a.window_s, a.for_s, a.severity, e.key, e.value
FROM {{schema}}.alert_rules a LEFT JOIN LATERAL jsonb_each_text(a.params) e ON true WHERE a.enabled ORDER BY a.id)sql";
constexpr std::string_view kJobs = R"sql(
SELECT job_id, created_at, extract(epoch FROM expected_every)::bigint, schedule
FROM {{schema}}.etl_jobs WHERE job_id = ANY ($1::text[]) AND enabled)sql";
constexpr std::string_view kRuns = R"sql(
SELECT r.job_id, r.run_id, r.status, coalesce(r.started_at, r.first_event_at),
  CASE WHEN r.status NOT IN ('queued', 'running') THEN coalesce(r.finished_at, r.state_at) END, r.attempt_count,
  r.max_attempts, r.retries_exhausted, r.retry_of
FROM unnest($1::text[]) AS j(job_id) CROSS JOIN LATERAL (
  SELECT * FROM {{schema}}.job_runs r WHERE r.job_id = j.job_id AND r.scheduled_at > $2::timestamptz - interval '90 days'
    AND {{counts}}
  ORDER BY r.scheduled_at DESC LIMIT $3) r)sql";
constexpr std::string_view kRetries = R"sql(
SELECT j.job_id, coalesce(a.started_at, a.state_at) FROM {{schema}}.run_attempts a
JOIN {{schema}}.run_ids r USING (run_id)
JOIN {{schema}}.job_runs j ON j.run_id = r.run_id AND j.scheduled_at = r.scheduled_at
WHERE a.attempt_no > 1 AND a.run_id = ANY ($1::uuid[]))sql";
// The latest by what was observed when; of several of one moment that of the run that is later in its job.
constexpr std::string_view kResults = R"sql(
SELECT d.job_id, d.check_id, d.check_type, d.table_name, r.id, r.status, r.created_at, r.run_id
FROM {{schema}}.dq_check_definitions d CROSS JOIN LATERAL (
  SELECT t.* FROM (
    SELECT * FROM {{schema}}.dq_check_results WHERE check_id = d.check_id
    ORDER BY created_at DESC FETCH FIRST 1 ROW WITH TIES) t
  LEFT JOIN {{schema}}.run_ids i ON i.run_id = t.run_id
  ORDER BY i.scheduled_at DESC NULLS LAST, t.run_id DESC, t.attempt_no DESC, t.id LIMIT 1) r
WHERE d.job_id = ANY ($1::text[]) AND d.enabled)sql";
constexpr std::string_view kWatch = R"sql(
WITH gone AS (
  DELETE FROM {{schema}}.alert_watch w USING json_to_recordset($1::json) AS n(rule_id uuid, job_id text, due_at timestamptz)
  WHERE w.rule_id = n.rule_id AND w.job_id = n.job_id AND n.due_at IS NULL
)
INSERT INTO {{schema}}.alert_watch AS w (rule_id, job_id, due_at)
SELECT rule_id, job_id, due_at FROM json_to_recordset($1::json) AS n(rule_id uuid, job_id text, due_at timestamptz)
WHERE due_at IS NOT NULL ORDER BY rule_id, job_id
ON CONFLICT (rule_id, job_id) DO UPDATE SET due_at = excluded.due_at WHERE w.due_at <> excluded.due_at)sql";

struct Rule {
  AlertRule rule;
  std::chrono::seconds hold{0};
};
void set_param(Rule& made, std::string_view name, std::string_view text) {
  double number = 0;
  const bool is_number = pg_text::read(text, number) && number >= 0 && number < 1e9;
  const auto period = std::chrono::seconds(is_number ? static_cast<std::int64_t>(number) : 0);
  AlertRule& rule = made.rule;
  if (name == "jobs") rule.jobs = text;
  if (name == "schedule") rule.schedule = text;
  if (!is_number) return;
  if (name == "threshold") rule.count = static_cast<int>(number);
  if (name == "retry_grace_s") rule.retry_grace = period;
  if (name == "expected_every_s") rule.expected_every = period;
  if (name == "late_by_s") rule.late_by = period;
  if (name == "long_run_s") rule.long_run = period;
}

class Round {
 public:
  Round(PgConnection& connection, const std::string& schema, TimePoint now, TimePoint read_until,
        const AlertPolicy& policy, bool after_quality)
      : connection_(connection),
        schema_(schema),
        now_(now),
        read_until_(read_until),
        after_quality_(after_quality),
        events_(connection, schema, now, policy) {}

  PgOutcome<AlertRound> run(int news_max) {
    AlertRound round;
    const std::string name(after_quality_ ? kAfterQuality : kWithoutQuality);
    auto progress = lock_progress(connection_, schema_, name, now_);
    if (!progress) return progress.error();
    round.taken = !*progress;
    if (round.taken) return round;
    const std::int64_t from = (*progress)->seen_before;
    std::int64_t ended = (*progress)->ended_before;
    if (after_quality_) {
      // What is not judged yet, or is being judged by another server, will have results: it stays new until they are
      // there.
      auto judged = read_progress(connection_, schema_, kQuality);
      if (!judged) return judged.error();
      ended = std::clamp(*judged, std::min(from, ended), ended);
    }
    auto cut = ask(kNews, {std::to_string(from), std::to_string(news_max)});
    if (!cut) return cut.error();
    round.more = !cut->is_null(0, 0);
    const std::string upto = round.more ? std::string(cut->text(0, 0)) : "9223372036854775807";
    auto look_at = ask(kToLookAt, {std::to_string(from), upto, to_rfc3339(now_)});
    if (!look_at) return look_at.error();
    if (look_at->rows() > 0) {
      if (auto done = look(*look_at, round); !done) return done.error();
    }
    if (auto done = judge_self(connection_, schema_, now_, events_); !done) return done.error();
    if (auto done = events_.close_abandoned(); !done) return done.error();
    if (auto done = events_.queue(); !done) return done.error();
    const EventCounts& counts = events_.counts();
    round.opened = counts.opened;
    round.resolved = counts.resolved;
    round.stale = counts.stale;
    round.queued = counts.queued;
    const std::int64_t seen = round.more ? std::min(cut->integer(0, 0) + 1, ended) : ended;
    round.more = round.more && seen > from;
    if (auto saved = save_progress(connection_, schema_, name, seen, now_); !saved) return saved.error();
    return round;
  }

 private:
  PgOutcome<PgResult> ask(std::string_view sql, const PgParams& params) {
    std::string text(sql);
    constexpr std::string_view kCounts = "{{counts}}";
    if (const std::size_t at = text.find(kCounts); at != text.npos) text.replace(at, kCounts.size(), kCountsAsRun);
    return connection_.query(sql_for_schema(text, schema_), params);
  }

  PgOutcome<void> look(const PgResult& look_at, AlertRound& round) {
    std::map<std::string, std::set<Uuid>> jobs;  // rules; an empty set: all
    std::set<std::string> whole, names;
    for (int row = 0; row < look_at.rows(); ++row) {
      const std::string job(look_at.text(row, 0));
      names.insert(job);
      if (const auto rule = cell<Uuid>(look_at, row, 1)) {
        jobs[job].insert(*rule);
      } else {
        whole.insert(job);
      }
    }
    if (auto read = read_rules(); !read) return read.error();
    if (rules_.empty()) return {};
    if (auto read = read_facts(text_array(names)); !read) return read.error();
    round.jobs = static_cast<std::int64_t>(facts_.size());
    std::vector<Said> said;
    std::map<std::pair<Uuid, std::string>, std::optional<TimePoint>> watch;
    for (const auto& [name, facts] : facts_) {
      for (const auto& [id, rule] : rules_) {
        if (!whole.contains(name) && !jobs[name].contains(id)) continue;
        if (!matches(rule.rule.jobs, name)) continue;
        RuleFindings findings = judge(rule.rule, facts, now_, read_until_);
        watch[{id, name}] = findings.look_again;
        for (RuleFinding& finding : findings.all) {
          if (finding.state == RuleFinding::State::kUnchanged) continue;
          std::string key = dedupe_key(rule.rule, name, finding);
          Said& each = said.emplace_back();
          each.rule_id = id;
          each.rule = rule.rule.name;
          each.kind = to_string(rule.rule.kind);
          each.severity = rule.rule.severity;
          each.hold = rule.hold;
          each.job_id = name;
          if (!finding.table.empty()) each.labels.emplace_back("table", finding.table);
          if (!finding.reason.empty()) each.labels.emplace_back("reason", finding.reason);
          each.finding = std::move(finding);
          each.key = std::move(key);
        }
      }
    }
    const auto look_again = [&](const Said& each, TimePoint at) {
      auto& due = watch[{each.rule_id, each.job_id}];
      due = due ? std::min(*due, at) : at;
    };
    if (auto done = events_.take(said, look_again); !done) return done.error();
    std::vector<std::string> rows;
    for (const auto& [pair, due] : watch) {
      JsonObject row;
      row.uuid("rule_id", pair.first).text("job_id", pair.second);
      if (due) row.time("due_at", *due);
      rows.push_back(row.take());
    }
    auto watched = ask(kWatch, {json_array(rows)});
    if (!watched) return watched.error();
    return {};
  }

  PgOutcome<void> read_rules() {
    auto rows = ask(kRules, {});
    if (!rows) return rows.error();
    for (int row = 0; row < rows->rows(); ++row) {
      const auto kind = to_rule_kind(rows->text(row, 2));
      if (!kind) continue;
      Rule& made = rules_[*cell<Uuid>(*rows, row, 0)];
      if (made.rule.name.empty()) {
        made.rule.id = *cell<Uuid>(*rows, row, 0);
        made.rule.name = rows->text(row, 1);
        made.rule.kind = *kind;
        made.rule.severity = rows->text(row, 6);
        if (!rows->is_null(row, 3)) made.rule.jobs = rows->text(row, 3);
        if (!rows->is_null(row, 4)) made.rule.window = std::chrono::seconds(rows->integer(row, 4));
        made.hold = std::chrono::seconds(rows->integer(row, 5));
      }
      if (!rows->is_null(row, 7)) set_param(made, rows->text(row, 7), rows->text(row, 8));
    }
    return {};
  }

  PgOutcome<void> read_facts(const std::string& names) {
    auto jobs = ask(kJobs, {names});
    if (!jobs) return jobs.error();
    for (int row = 0; row < jobs->rows(); ++row) {
      JobFacts& facts = facts_[std::string(jobs->text(row, 0))];
      facts.job_id = jobs->text(row, 0);
      facts.known_since = cell<TimePoint>(*jobs, row, 1).value_or(now_);
      facts.schedule = jobs->text(row, 3);
      if (!jobs->is_null(row, 2)) facts.expected_every = std::chrono::seconds(jobs->integer(row, 2));
    }
    auto runs = ask(kRuns, {names, to_rfc3339(now_), std::to_string(kRunsLookedAt)});
    if (!runs) return runs.error();
    std::vector<std::string> retried;
    for (int row = 0; row < runs->rows(); ++row) {
      const auto facts = facts_.find(std::string(runs->text(row, 0)));
      if (facts == facts_.end()) continue;
      JudgedRun& run = facts->second.runs.emplace_back();
      run.id = *cell<Uuid>(*runs, row, 1);
      run.status = parse_run_status(runs->text(row, 2)).value_or(RunStatus::kRunning);
      if (run.status != RunStatus::kQueued) run.started_at = cell<TimePoint>(*runs, row, 3);
      run.ended_at = cell<TimePoint>(*runs, row, 4);
      run.attempt = static_cast<int>(runs->integer(row, 5));
      if (!runs->is_null(row, 6)) run.max_attempts = static_cast<int>(runs->integer(row, 6));
      run.retries_exhausted = runs->boolean(row, 7);
      run.retry_of = cell<Uuid>(*runs, row, 8);
      if (run.attempt > 1) retried.push_back(to_string(run.id));
    }
    auto retries = ask(kRetries, {text_array(retried)});
    if (!retries) return retries.error();
    for (int row = 0; row < retries->rows(); ++row) {
      const auto facts = facts_.find(std::string(retries->text(row, 0)));
      const auto at = cell<TimePoint>(*retries, row, 1);
      if (facts != facts_.end() && at) facts->second.retries.push_back(*at);
    }
    auto results = ask(kResults, {names});
    if (!results) return results.error();
    for (int row = 0; row < results->rows(); ++row) {
      const auto facts = facts_.find(std::string(results->text(row, 0)));
      const auto type = to_check_type(results->text(row, 2));
      if (facts == facts_.end() || !type) continue;
      const std::string_view status = results->text(row, 5);
      facts->second.results.push_back({*cell<Uuid>(*results, row, 1), *cell<Uuid>(*results, row, 4), *type,
                                       std::string(results->text(row, 3)),
                                       status == "pass"   ? DqStatus::kPass
                                       : status == "warn" ? DqStatus::kWarn
                                                          : DqStatus::kFail,
                                       cell<TimePoint>(*results, row, 6).value_or(now_), cell<Uuid>(*results, row, 7)});
    }
    return {};
  }

  PgConnection& connection_;
  const std::string& schema_;
  const TimePoint now_, read_until_;
  const bool after_quality_;
  AlertEvents events_;
  std::map<Uuid, Rule> rules_;
  std::map<std::string, JobFacts> facts_;
};

}  // namespace

Result<AlertRound> evaluate_alerts(PgConnection& connection, const std::string& schema, TimePoint now,
                                   TimePoint read_until, const AlertPolicy& policy, bool after_quality, int news_max) {
  auto done = in_transaction(
      connection, [&] { return Round(connection, schema, now, read_until, policy, after_quality).run(news_max); });
  if (!done) return to_error(done.error(), "evaluate alerts");
  return *done;
}

Result<bool> acknowledge_alert(PgConnection& connection, const std::string& schema, const std::string& dedupe_key,
                               const std::string& who, TimePoint now) {
  auto done = in_transaction(connection, [&]() -> PgOutcome<bool> {
    auto marked = connection.query(sql_for_schema("UPDATE {{schema}}.alert_events SET acknowledged_by = $2, "
                                                  "acknowledged_at = $3 WHERE dedupe_key = $1 AND status = 'firing' "
                                                  "RETURNING id",
                                                  schema),
                                   PgParams{dedupe_key, who, to_rfc3339(now)});
    if (!marked) return marked.error();
    if (marked->rows() == 0) return false;
    AlertEvents events(connection, schema, now, {});
    if (auto over = events.resolve({std::string(marked->text(0, 0))}); !over) return over.error();
    return true;
  });
  if (!done) return to_error(done.error(), "acknowledge alert");
  return *done;
}

}  // namespace runtail
