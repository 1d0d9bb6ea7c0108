// runtail explain: what would be made of lines, and why; nothing is stored.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "agent/config_file.h"
#include "agent/dry_run.h"
#include "agent/verbs.h"
#include "config/dialect_files.h"
#include "core/event_json.h"
#include "core/exit_code.h"
#include "core/json_text.h"

namespace runtail {
namespace {

struct ExplainOptions {
  std::string config_path, output = "text", job;
  bool summary = false;
  std::vector<std::string> files;
};

constexpr char kFooter[] =
    "Lines may stand in their envelopes (docker, CRI, journald, fluent). Nothing is stored, and all that is shown is\n"
    "redacted. With --summary the lines are folded into runs, attempts, tasks, datasets and findings instead.\n"
    "Examples:\n"
    "  dbt build --log-format json | runtail explain\n"
    "  runtail explain --summary --output json /var/log/etl/*.log\n"
    "Exit codes: 0 all lines done, 1 a file cannot be read, 3 config.";

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out += out.back() == '{' ? "" : ",";
  append_json_string(out, name);
  out += ':';
  append_json_string(out, text);
}

// {"line":1,"dialect":"dbt","part":0,"dropped":"...","row":true,"run_id":"<uuid>","run_status":"running",
//  "task_run_id":"<uuid>","tables":["job_runs",...],"event":{...as runtail redact prints it...}}
std::string line_json(const DryRun::Line& line, const std::vector<std::string>& kinds) {
  std::string out = "{\"line\":" + std::to_string(line.number);
  append_member(out, "dialect", line.dialect);
  if (line.part > 0) out += ",\"part\":" + std::to_string(line.part);
  if (!line.dropped.empty()) append_member(out, "dropped", line.dropped);
  out += line.is_row ? ",\"row\":true" : ",\"row\":false";
  if (line.event) {
    if (const auto& run = line.derived->run) {
      append_member(out, "run_id", to_string(run->run_id));
      if (run->status) append_member(out, "run_status", to_string(*run->status));
      if (run->has_task) append_member(out, "task_run_id", to_string(run->task_run_id));
      if (run->task_status) append_member(out, "task_status", to_string(*run->task_status));
    }
    out += ",\"tables\":[";
    for (std::size_t i = 0; i < kTableCount; ++i) {
      if (!line.derived->has(static_cast<Table>(i))) continue;
      if (out.back() != '[') out += ',';
      append_json_string(out, to_string(static_cast<Table>(i)));
    }
    out += "],\"event\":";
    append_event_json(out, *line.event, kinds);
  }
  return out + "}\n";
}

// line 3  dbt  task.finished
//   status success, task_run_id model.shop.sales, records_loaded 512
//   -> log_events, job_runs, run_attempts, task_runs
std::string line_text(const DryRun::Line& line, const std::vector<std::string>& kinds) {
  std::string out = line.part > 0 ? "     and  " : "line " + std::to_string(line.number) + "  ";
  out += line.dialect;
  if (!line.dropped.empty()) out += "  dropped: " + std::string(line.dropped);
  if (!line.event) return out + '\n';
  out += "  " + std::string(to_string(line.event->kind)) + '\n';
  std::string json;
  append_event_json(json, *line.event, kinds);
  out += "  " + json + "\n  ->";
  for (std::size_t i = 0; i < kTableCount; ++i) {
    if (line.derived->has(static_cast<Table>(i))) out += " " + std::string(to_string(static_cast<Table>(i)));
  }
  if (line.derived->tables == 0) out += " nothing";
  if (const auto& run = line.derived->run) out += "  (run " + to_string(run->run_id) + ")";
  return out + '\n';
}

std::string summary_text(const DryRunSummary& summary) {
  std::string out = std::to_string(summary.lines) + " lines:";
  for (const auto& [dialect, lines] : summary.dialects) out += " " + dialect + " " + std::to_string(lines);
  for (const auto& [rule, lines] : summary.dropped) out += ", dropped as " + rule + " " + std::to_string(lines);
  out += '\n';
  const auto number = [](const std::optional<std::int64_t>& value) { return value ? std::to_string(*value) : "-"; };
  for (const auto& [id, record] : summary.runs) {
    const RunState& run = record.run;
    const std::string_view external = run.text(RunText::kExternalRunId);
    out += "run " + (external.empty() ? to_string(id) : std::string(external)) + "  job " + run.job_id + "  " +
           std::string(to_string(run.state.status)) + "  attempt " + std::to_string(run.attempt_count) + "  " +
           number(run.duration_ms()) + " ms  loaded " + number(run.records_loaded()) + '\n';
    for (const auto& [task_id, task] : record.tasks) {
      out += "  task " + (task.name.empty() ? to_string(task_id) : task.name) + "  " +
             std::string(to_string(task.state.status)) + "  " + number(task.state.duration_ms) + " ms  loaded " +
             number(task.records_loaded) + '\n';
    }
  }
  for (const auto& [name, dataset] : summary.datasets) out += "dataset " + name + "  " + dataset.status + '\n';
  for (const auto& check : summary.checks) {
    out += "finding " + check.kind + "  " + check.table + "  " + check.check + "  " + check.status + '\n';
  }
  return out;
}

int explain(const ExplainOptions& options) {
  const std::optional<Config> config = config_or_complain(options.config_path);
  if (!config) return kExitConfig;
  Result<Redactor> redactor = Redactor::make(config->redaction);
  if (!redactor) {
    std::fprintf(stderr, "runtail explain: %s\n", redactor.error().message.c_str());
    return kExitConfig;
  }
  DeriverSettings settings;
  settings.environment = config->environment;
  settings.service = config->service;
  const std::vector<std::string> kinds = redactor->kinds();
  const bool is_json = options.output == "json";
  DryRun::Visit visit;
  if (!options.summary) {
    visit = [&](const DryRun::Line& line) {
      const std::string text = is_json ? line_json(line, kinds) : line_text(line, kinds);
      std::fwrite(text.data(), 1, text.size(), stdout);
    };
  }
  FramingSettings framing;
  framing.unit_bytes_max = config->line_bytes_max;
  DryRun run(Parser(dialects_of(config->dialects)), std::move(*redactor), settings, framing, visit);
  int exit_code = kExitOk;
  const std::vector<std::string> files = options.files.empty() ? std::vector<std::string>{"-"} : options.files;
  for (const std::string& path : files) {
    std::ifstream file;
    if (path != "-") {
      file.open(path, std::ios::binary);
      if (!file || std::filesystem::is_directory(path)) {
        std::fprintf(stderr, "runtail explain: %s: %s\n", path.c_str(), std::strerror(file ? EISDIR : errno));
        exit_code = kExitIncomplete;
        continue;
      }
    }
    std::istream& in = path == "-" ? std::cin : file;
    const std::string name = !options.job.empty() ? options.job
                             : path == "-"        ? "stdin"
                                                  : std::filesystem::path(path).stem().string();
    run.read(name, [&in](std::string& line) { return static_cast<bool>(std::getline(in, line)); });
  }
  if (options.summary) {
    const std::string text = is_json ? to_json(run.summary()) + '\n' : summary_text(run.summary());
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
  return exit_code;
}

}  // namespace

void add_explain_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("explain", "Show which dialect claims each line, and what is derived from it");
  verb->footer(kFooter);
  const auto options = std::make_shared<ExplainOptions>();
  add_config_option(*verb, options->config_path);
  verb->add_flag("--summary", options->summary, "Fold the files into runs, tasks, datasets and findings");
  verb->add_option("--output", options->output, "text, or json: one object a line; with --summary one in all")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  verb->add_option("--job", options->job, "Job of lines that state none. Default: the file's name")->type_name("NAME");
  verb->add_option("files", options->files, "Files; - or none: stdin")->type_name("FILES");
  verb->callback([options, &exit_code] { exit_code = explain(*options); });
}

}  // namespace runtail
