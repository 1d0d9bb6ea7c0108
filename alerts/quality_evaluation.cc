#include "alerts/quality_evaluation.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "alerts/json_object.h"
#include "alerts/progress.h"
#include "alerts/quality.h"
#include "core/identity.h"
#include "schema/migrations.h"
#include "schema/row.h"
#include "schema/run_quality.h"

namespace runtail {
namespace {

constexpr std::string_view kName = "quality";

// $1 seen_before, $2 how many rows of news. Each branch is the start of an index.
constexpr std::string_view kNews = R"sql(
WITH news AS (
  (SELECT stored_in, run_id FROM {{schema}}.dq_observations WHERE stored_in >= $1 ORDER BY stored_in LIMIT $2 + 1)
  UNION ALL
  (SELECT stored_in, run_id FROM {{schema}}.run_state_changes WHERE stored_in >= $1 ORDER BY stored_in LIMIT $2 + 1)
)
SELECT (SELECT stored_in FROM news ORDER BY stored_in OFFSET $2 LIMIT 1))sql";
constexpr std::string_view kChanged = R"sql(
SELECT run_id FROM {{schema}}.dq_observations WHERE stored_in BETWEEN $1 AND $2 AND run_id IS NOT NULL
UNION
SELECT run_id FROM {{schema}}.run_state_changes WHERE stored_in BETWEEN $1 AND $2)sql";

constexpr std::string_view kChecks = R"sql(
SELECT d.check_id, d.check_type, d.table_name, d.column_name, d.threshold, d.absolute_limit, d.severity,
  d.expected IS NOT NULL AS fixed, e.key, e.value, d.metric
FROM {{schema}}.dq_check_definitions d
LEFT JOIN LATERAL jsonb_each_text(CASE WHEN jsonb_typeof(d.expected) = 'object' THEN d.expected ELSE '{}' END) e ON true
WHERE d.enabled AND d.source <> 'line' AND d.check_type <> 'reported' AND d.job_id IN (
  SELECT j.job_id FROM {{schema}}.run_ids r JOIN {{schema}}.job_runs j USING (run_id, scheduled_at)
  WHERE r.run_id = ANY ($1::uuid[]))
ORDER BY d.check_id)sql";

// $1 runs of which there is news: which runs are to be judged at which checks, and against which run. Beside those
// themselves: the later ones up to the next that can be a baseline, and those whose baseline one of them was.
constexpr std::string_view kPairs = R"sql(
WITH checks AS MATERIALIZED (
  SELECT check_id, job_id, table_name, column_name, check_type,
    CASE check_type WHEN 'row_count_delta' THEN 'row_count' WHEN 'null_rate' THEN 'null_rates' ELSE 'columns' END AS kind
  FROM {{schema}}.dq_check_definitions WHERE enabled AND source <> 'line' AND check_type <> 'reported'
), news AS MATERIALIZED (
  SELECT j.run_id, j.scheduled_at, j.job_id, j.environment, j.project_id
  FROM {{schema}}.run_ids r JOIN {{schema}}.job_runs j USING (run_id, scheduled_at)
  WHERE r.run_id = ANY ($1::uuid[])
), judged AS (
  SELECT n.run_id, c.check_id FROM news n JOIN checks c USING (job_id)
  UNION
  SELECT s.run_id, c.check_id FROM news n JOIN checks c USING (job_id)
  LEFT JOIN LATERAL (
    SELECT b.scheduled_at, b.run_id FROM {{schema}}.job_runs b
    WHERE b.job_id = n.job_id AND b.environment IS NOT DISTINCT FROM n.environment
      AND b.project_id IS NOT DISTINCT FROM n.project_id AND b.status = 'success'
      AND b.scheduled_at >= n.scheduled_at AND b.scheduled_at <= n.scheduled_at + interval '90 days'
      AND (b.scheduled_at, b.run_id) > (n.scheduled_at, n.run_id) AND {{seen by b}}
    ORDER BY b.scheduled_at, b.run_id LIMIT 1) next ON true
  CROSS JOIN LATERAL (
    SELECT l.run_id FROM {{schema}}.job_runs l
    WHERE l.job_id = n.job_id AND l.environment IS NOT DISTINCT FROM n.environment
      AND l.project_id IS NOT DISTINCT FROM n.project_id
      AND l.scheduled_at >= n.scheduled_at
      AND l.scheduled_at <= least(n.scheduled_at + interval '90 days', next.scheduled_at)
      AND (l.scheduled_at, l.run_id) > (n.scheduled_at, n.run_id)
      AND (next.run_id IS NULL OR (l.scheduled_at, l.run_id) <= (next.scheduled_at, next.run_id))
      AND EXISTS (SELECT FROM {{schema}}.dq_observations o
                  WHERE o.run_id = l.run_id AND o.table_name = c.table_name AND o.kind = c.kind)) s
  UNION
  SELECT t.run_id, c.check_id FROM unnest($1::uuid[]) AS n(run_id)
  JOIN {{schema}}.dq_check_results t ON t.details @> jsonb_build_object('baseline_run', n.run_id)
  JOIN checks c ON c.check_id = t.check_id
  WHERE t.run_id IS NOT NULL
)
SELECT j.run_id, c.check_id, before.run_id
FROM judged JOIN checks c USING (check_id)
JOIN {{schema}}.run_ids r ON r.run_id = judged.run_id
JOIN {{schema}}.job_runs j ON j.run_id = r.run_id AND j.scheduled_at = r.scheduled_at
LEFT JOIN LATERAL (
  SELECT b.run_id FROM {{schema}}.job_runs b
  WHERE b.job_id = j.job_id AND b.environment IS NOT DISTINCT FROM j.environment
    AND b.project_id IS NOT DISTINCT FROM j.project_id AND b.status = 'success'
    AND b.scheduled_at <= j.scheduled_at AND b.scheduled_at >= j.scheduled_at - interval '90 days'
    AND (b.scheduled_at, b.run_id) < (j.scheduled_at, j.run_id) AND {{seen by b}}
  ORDER BY b.scheduled_at DESC, b.run_id DESC LIMIT 1) before ON true)sql";
// Says something at the check: a rate has to be a number of the column.
constexpr std::string_view kSeenByB = R"sql(EXISTS (
      SELECT FROM {{schema}}.dq_observations o
      WHERE o.run_id = b.run_id AND o.table_name = c.table_name AND o.kind = c.kind
        AND (c.check_type <> 'null_rate' OR jsonb_typeof(o.data -> c.column_name) = 'number')))sql";

constexpr std::string_view kRuns = R"sql(
SELECT j.run_id, j.scheduled_at, j.status, j.state_attempt, j.job_id, j.correlation_id, j.request_id
FROM {{schema}}.run_ids r JOIN {{schema}}.job_runs j USING (run_id, scheduled_at) WHERE r.run_id = ANY ($1::uuid[]))sql";
// Rates are {column: rate}, columns as lines list them: [{name, type}].
constexpr std::string_view kObservations = R"sql(
SELECT o.run_id, o.id, o.observed_at, o.event_id, coalesce(o.attempt_no, 1), o.table_name, o.kind, o.row_count, e.key,
  e.value
FROM {{schema}}.dq_observations o
LEFT JOIN LATERAL (
  SELECT key, value FROM jsonb_each(CASE WHEN jsonb_typeof(o.data) = 'object' THEN o.data ELSE '{}' END)
  UNION ALL
  SELECT c ->> 'name', coalesce(c -> 'type', '""')
  FROM jsonb_array_elements(CASE WHEN jsonb_typeof(o.data) = 'array' THEN o.data ELSE '[]' END) c
  WHERE jsonb_typeof(c) = 'object' AND c ->> 'name' IS NOT NULL) m ON true
LEFT JOIN LATERAL (SELECT m.key, m.value #>> '{}' AS value
  WHERE o.kind <> 'null_rates' OR jsonb_typeof(m.value) = 'number') e ON true
WHERE o.run_id = ANY ($1::uuid[]) AND o.table_name = ANY ($2::text[])
ORDER BY o.run_id, o.id, o.observed_at)sql";

// As writers lock them, in the same order: neither the run's place nor its results change until the verdict is stored.
constexpr std::string_view kLockRuns = R"sql(
SELECT FROM {{schema}}.run_ids WHERE run_id = ANY ($1::uuid[]) ORDER BY run_id FOR UPDATE)sql";
// $1 runs, $2 their checks; $3 the results wanted.
constexpr std::string_view kRemove = R"sql(
DELETE FROM {{schema}}.dq_check_results t
USING unnest($1::uuid[], $2::uuid[]) AS j(run_id, check_id)
WHERE t.run_id = j.run_id AND t.check_id = j.check_id AND NOT EXISTS (
  SELECT FROM json_to_recordset($3::json) AS w(id uuid, created_at timestamptz)
  WHERE w.id = t.id AND w.created_at = t.created_at)
RETURNING t.run_id)sql";
constexpr std::string_view kWrite = R"sql(
INSERT INTO {{schema}}.dq_check_results AS t
  (id, created_at, check_id, run_id, job_id, attempt_no, type, status, metric, value, baseline, threshold, severity,
   table_name, column_name, details, correlation_id, request_id)
SELECT id, created_at, check_id, run_id, job_id, attempt_no, type, status, metric, value, baseline, threshold, severity,
  table_name, column_name, details, correlation_id, request_id
FROM json_to_recordset($1::json) AS w(id uuid, created_at timestamptz, check_id uuid, run_id uuid, job_id text,
  attempt_no integer, type text, status text, metric text, value double precision, baseline double precision,
  threshold double precision, severity text, table_name text, column_name text, details jsonb, correlation_id text,
  request_id text)
ORDER BY run_id, id, created_at
ON CONFLICT (id, created_at) DO UPDATE SET status = excluded.status, value = excluded.value,
  baseline = excluded.baseline, threshold = excluded.threshold, severity = excluded.severity,
  details = excluded.details, job_id = excluded.job_id, correlation_id = excluded.correlation_id,
  request_id = excluded.request_id
WHERE (t.status, t.value, t.baseline, t.threshold, t.severity, t.details, t.job_id, t.correlation_id, t.request_id)
  IS DISTINCT FROM (excluded.status, excluded.value, excluded.baseline, excluded.threshold, excluded.severity,
    excluded.details, excluded.job_id, excluded.correlation_id, excluded.request_id)
RETURNING t.run_id)sql";

struct Check {
  QualityCheck check;
  std::string metric;
};
struct Run {
  QualityRun run;
  std::string job_id;
  std::optional<std::string> correlation_id, request_id;
};
struct Pair {
  Uuid run_id, check_id;
  std::optional<Uuid> baseline;
};

std::string array_of(const auto& values, const auto& text_of) {
  std::string out = "{";
  for (const auto& value : values) out += (out.size() > 1 ? "," : "") + text_of(value);
  return out + '}';
}
std::string uuid_array(const std::set<Uuid>& ids) {
  return array_of(ids, [](const Uuid& id) { return to_string(id); });
}
std::string text_array(const std::set<std::string>& texts) {
  return array_of(texts, [](const std::string& text) {
    std::string quoted = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    return quoted + '"';
  });
}

template <typename T>
std::optional<T> cell(const PgResult& rows, int row, int column) {
  T value{};
  if (rows.is_null(row, column) || !pg_text::read(rows.text(row, column), value)) return std::nullopt;
  return value;
}

class Round {
 public:
  Round(PgConnection& connection, const std::string& schema, TimePoint now)
      : connection_(connection), schema_(schema), now_(now) {}

  PgOutcome<QualityRound> run(int news_max) {
    QualityRound round;
    auto progress = lock_progress(connection_, schema_, kName, now_);
    if (!progress) return progress.error();
    round.taken = !*progress;
    if (round.taken) return round;
    const std::int64_t from = (*progress)->seen_before;
    auto cut = ask(kNews, {std::to_string(from), std::to_string(news_max)});
    if (!cut) return cut.error();
    round.more = !cut->is_null(0, 0);
    const std::string upto = round.more ? std::string(cut->text(0, 0)) : "9223372036854775807";
    auto changed = ask(kChanged, {std::to_string(from), upto});
    if (!changed) return changed.error();
    std::set<Uuid> runs;
    for (int row = 0; row < changed->rows(); ++row) runs.insert(*cell<Uuid>(*changed, row, 0));
    if (!runs.empty()) {
      if (auto done = judge_all(runs, round); !done) return done.error();
    }
    const std::int64_t seen =
        round.more ? std::min(cut->integer(0, 0) + 1, (*progress)->ended_before) : (*progress)->ended_before;
    // An older transaction that is still open keeps what came after it new; that is no reason to turn in circles.
    round.more = round.more && seen > from;
    if (auto saved = save_progress(connection_, schema_, kName, seen, now_); !saved) return saved.error();
    return round;
  }

 private:
  PgOutcome<PgResult> ask(std::string_view sql, const PgParams& params) {
    std::string text(sql);
    constexpr std::string_view kSeen = "{{seen by b}}";
    for (std::size_t at = 0; (at = text.find(kSeen, at)) != text.npos;) text.replace(at, kSeen.size(), kSeenByB);
    return connection_.query(sql_for_schema(text, schema_), params);
  }

  PgOutcome<void> judge_all(const std::set<Uuid>& news, QualityRound& round) {
    if (auto read = read_checks(news); !read) return read.error();
    if (checks_.empty()) return {};
    auto pairs = read_pairs(news);
    if (!pairs) return pairs.error();
    std::set<Uuid> locked;
    for (const Pair& pair : *pairs) locked.insert(pair.run_id);
    if (auto done = ask(kLockRuns, {uuid_array(locked)}); !done) return done.error();
    if (auto read = read_runs(*pairs); !read) return read.error();
    std::vector<std::string> wanted;
    std::set<Uuid> judged;
    for (const Pair& pair : *pairs) {
      const auto check = checks_.find(pair.check_id);
      const auto run = runs_.find(pair.run_id);
      if (check == checks_.end() || run == runs_.end()) continue;
      judged.insert(pair.run_id);
      std::span<const QualityRun> others;
      if (pair.baseline && runs_.contains(*pair.baseline)) others = {&runs_.at(*pair.baseline).run, 1};
      for (const QualityVerdict& verdict : judge(check->second.check, run->second.run, others)) {
        wanted.push_back(result_of(check->second, run->second, verdict));
      }
    }
    round.runs = static_cast<std::int64_t>(judged.size());
    return write(*pairs, json_array(wanted), round);
  }

  PgOutcome<void> read_checks(const std::set<Uuid>& news) {
    auto rows = ask(kChecks, {uuid_array(news)});
    if (!rows) return rows.error();
    for (int row = 0; row < rows->rows(); ++row) {
      const auto type = to_check_type(rows->text(row, 1));
      if (!type) continue;
      Check& made = checks_[*cell<Uuid>(*rows, row, 0)];
      QualityCheck& check = made.check;
      check.id = *cell<Uuid>(*rows, row, 0);
      check.type = *type;
      check.table = rows->text(row, 2);
      check.column = rows->text(row, 3);
      check.threshold = cell<double>(*rows, row, 4);
      check.absolute_limit = cell<double>(*rows, row, 5);
      check.severity = rows->text(row, 6) == "fail" ? DqStatus::kFail : DqStatus::kWarn;
      if (rows->boolean(row, 7) && !check.expected) check.expected.emplace();
      if (!rows->is_null(row, 8)) (*check.expected)[std::string(rows->text(row, 8))] = rows->text(row, 9);
      made.metric = rows->text(row, 10);
    }
    return {};
  }

  PgOutcome<std::vector<Pair>> read_pairs(const std::set<Uuid>& news) {
    auto rows = ask(kPairs, {uuid_array(news)});
    if (!rows) return rows.error();
    std::vector<Pair> pairs;
    for (int row = 0; row < rows->rows(); ++row) {
      pairs.push_back({*cell<Uuid>(*rows, row, 0), *cell<Uuid>(*rows, row, 1), cell<Uuid>(*rows, row, 2)});
    }
    return pairs;
  }

  PgOutcome<void> read_runs(const std::vector<Pair>& pairs) {
    std::set<Uuid> ids;
    std::set<std::string> tables;
    for (const Pair& pair : pairs) {
      ids.insert(pair.run_id);
      if (pair.baseline) ids.insert(*pair.baseline);
    }
    for (const auto& [id, check] : checks_) tables.insert(check.check.table);
    auto rows = ask(kRuns, {uuid_array(ids)});
    if (!rows) return rows.error();
    for (int row = 0; row < rows->rows(); ++row) {
      Run& run = runs_[*cell<Uuid>(*rows, row, 0)];
      run.run.id = *cell<Uuid>(*rows, row, 0);
      run.run.scheduled_at = cell<TimePoint>(*rows, row, 1).value_or(TimePoint{});
      run.run.status = parse_run_status(rows->text(row, 2)).value_or(RunStatus::kRunning);
      run.run.attempt = static_cast<int>(rows->integer(row, 3));
      run.job_id = rows->text(row, 4);
      run.correlation_id = cell<std::string>(*rows, row, 5);
      run.request_id = cell<std::string>(*rows, row, 6);
    }
    auto seen = ask(kObservations, {uuid_array(ids), text_array(tables)});
    if (!seen) return seen.error();
    Uuid last{};
    for (int row = 0; row < seen->rows(); ++row) {
      const auto run = runs_.find(*cell<Uuid>(*seen, row, 0));
      if (run == runs_.end()) continue;
      std::vector<QualityObservation>& observations = run->second.run.observations;
      if (const Uuid id = *cell<Uuid>(*seen, row, 1); observations.empty() || id != last) {
        QualityObservation& made = observations.emplace_back();
        made.at = cell<TimePoint>(*seen, row, 2).value_or(TimePoint{});
        made.event_id = *cell<Uuid>(*seen, row, 3);
        made.attempt = static_cast<int>(seen->integer(row, 4));
        made.table = seen->text(row, 5);
        if (seen->text(row, 6) == "row_count") made.rows = cell<std::int64_t>(*seen, row, 7);
        if (seen->text(row, 6) == "null_rates") made.rates.emplace();
        if (seen->text(row, 6) == "columns") made.columns.emplace();
        last = id;
      }
      if (seen->is_null(row, 8)) continue;
      const std::string name(seen->text(row, 8));
      QualityObservation& made = observations.back();
      if (made.columns) (*made.columns)[name] = seen->text(row, 9);
      if (const auto rate = cell<double>(*seen, row, 9); made.rates && rate) (*made.rates)[name] = *rate;
    }
    return {};
  }

  static std::string result_of(const Check& check, const Run& run, const QualityVerdict& verdict) {
    JsonObject details;
    if (!verdict.reason.empty()) details.text("reason", verdict.reason);
    if (verdict.baseline_run) details.uuid("baseline_run", *verdict.baseline_run);
    if (verdict.rows) details.integer("rows", *verdict.rows);
    if (!verdict.added.empty()) details.texts("new", verdict.added);
    if (!verdict.missing.empty()) details.texts("missing", verdict.missing);
    std::vector<std::string> retyped;
    for (const RetypedColumn& column : verdict.retyped) {
      retyped.push_back(
          JsonObject().text("column", column.name).text("before", column.before).text("now", column.now).take());
    }
    if (!retyped.empty()) details.json("retyped", json_array(retyped));
    JsonObject row;
    row.uuid("id", result_id_of(run.run.id, verdict.attempt, check.check.id)).time("created_at", verdict.at);
    row.uuid("check_id", check.check.id).uuid("run_id", run.run.id).text("job_id", run.job_id);
    row.integer("attempt_no", verdict.attempt).text("type", to_string(check.check.type));
    row.text("status", to_string(verdict.status)).text("metric", check.metric);
    if (verdict.value) row.real("value", *verdict.value);
    if (verdict.baseline) row.real("baseline", *verdict.baseline);
    if (verdict.threshold) row.real("threshold", *verdict.threshold);
    row.text("severity", to_string(check.check.severity)).text("table_name", check.check.table);
    if (!check.check.column.empty()) row.text("column_name", check.check.column);
    row.json("details", details.take());
    if (run.correlation_id) row.text("correlation_id", *run.correlation_id);
    if (run.request_id) row.text("request_id", *run.request_id);
    return row.take();
  }

  PgOutcome<void> write(const std::vector<Pair>& pairs, const std::string& wanted, QualityRound& round) {
    const auto id_of = [](Uuid Pair::*member) {
      return [member](const Pair& pair) { return to_string(pair.*member); };
    };
    auto removed =
        ask(kRemove, {array_of(pairs, id_of(&Pair::run_id)), array_of(pairs, id_of(&Pair::check_id)), wanted});
    if (!removed) return removed.error();
    auto written = ask(kWrite, {wanted});
    if (!written) return written.error();
    round.removed = removed->rows();
    round.written = written->rows();
    std::set<Uuid> touched;
    for (const PgResult* rows : {&*removed, &*written}) {
      for (int row = 0; row < rows->rows(); ++row) touched.insert(*cell<Uuid>(*rows, row, 0));
    }
    if (touched.empty()) return {};
    // With the days whose summaries count them.
    auto done = connection_.query("WITH changed AS (" + set_run_quality(quote_identifier(schema_)) + ") INSERT INTO " +
                                      quote_identifier(schema_) +
                                      ".summary_dirty SELECT DISTINCT job_id, coalesce(environment, ''), (scheduled_at "
                                      "AT TIME ZONE 'UTC')::date, "
                                      "$2::timestamptz FROM changed ON CONFLICT DO NOTHING",
                                  PgParams{uuid_array(touched), to_rfc3339(now_)});
    if (!done) return done.error();
    return {};
  }

  PgConnection& connection_;
  const std::string& schema_;
  const TimePoint now_;
  std::map<Uuid, Check> checks_;
  std::map<Uuid, Run> runs_;
};

}  // namespace

Result<QualityRound> evaluate_quality(PgConnection& connection, const std::string& schema, TimePoint now,
                                      int news_max) {
  auto done = in_transaction(connection, [&] { return Round(connection, schema, now).run(news_max); });
  if (!done) return to_error(done.error(), "evaluate data quality");
  return *done;
}

}  // namespace runtail
