#include "agent/look.h"

#include <algorithm>
#include <charconv>

#include "agent/control_socket.h"
#include "agent/text_table.h"
#include "config/line_share.h"
#include "core/event_codec.h"
#include "core/event_json.h"
#include "core/run_record.h"
#include "redaction/redactor.h"

namespace runtail {
namespace {

// An open run that has said nothing for so long is stalled, as in the view observability.runs.
constexpr std::chrono::minutes kStalledAfter{15};

struct Options {
  OutputFormat output = OutputFormat::kTable;
  std::size_t limit = 50;
  std::string job, status, text;
  std::optional<Sequence> after;
  Level level = Level::kTrace;
};

Result<Options> read_options(std::span<const std::string> words) {
  Options options;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals), value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (name == "output") {
      const auto output = parse_output(value);
      if (!output) return output.error();
      options.output = *output;
    } else if (name == "limit") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.limit);
      if (error != std::errc() || end != value.data() + value.size())
        return Error{ErrorCode::kInvalidInput, "limit \"" + value + "\" is not a number"};
    } else if (name == "after") {
      Sequence sequence = 0;
      if (std::from_chars(value.data(), value.data() + value.size(), sequence).ec != std::errc())
        return Error{ErrorCode::kInvalidInput, "after \"" + value + "\" is not a number"};
      options.after = sequence;
    } else if (name == "level") {
      const auto level = parse_level(value);
      if (!level)
        return Error{ErrorCode::kInvalidInput,
                     "level \"" + value + "\": choose TRACE, DEBUG, INFO, WARN, ERROR or FATAL"};
      options.level = *level;
    } else if (name == "text") {
      options.text = value;
    } else if (name == "job") {
      options.job = value;
    } else if (name == "status") {
      if (!parse_run_status(value)) {
        return Error{ErrorCode::kInvalidInput,
                     "status \"" + value + "\": choose queued, running, success, failed, cancelled or skipped"};
      }
      options.status = value;
    } else {
      return Error{ErrorCode::kInvalidInput, "\"" + word + "\" is not understood"};
    }
  }
  return options;
}

std::string number(const std::optional<std::int64_t>& value) { return value ? std::to_string(*value) : std::string(); }
std::string time_text(const std::optional<TimePoint>& value) { return value ? to_rfc3339(*value) : std::string(); }

// "1.2 s", "3 min 4 s", "2 h 5 min"
std::string duration_text(const std::optional<std::int64_t>& ms) {
  if (!ms) return {};
  const std::int64_t seconds = *ms / 1000;
  if (seconds < 60) return std::to_string(seconds) + "." + std::to_string(*ms % 1000 / 100) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
  return std::to_string(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60) + " min";
}

std::string runs(const DurableBuffer& buffer, const Options& options) {
  std::vector<RunRecord> found;
  for (const StateEntry& entry : buffer.scan("r/")) {
    auto record = decode_run_record(entry.value);
    if (!record || (!options.job.empty() && record->run.job_id != options.job)) continue;
    if (!options.status.empty() && to_string(record->run.state.status) != options.status) continue;
    found.push_back(std::move(*record));
  }
  const auto newer = [](const RunRecord& a, const RunRecord& b) {
    return std::pair(b.run.scheduled_at(), a.run.run_id) < std::pair(a.run.scheduled_at(), b.run.run_id);
  };
  std::sort(found.begin(), found.end(), newer);
  if (found.size() > options.limit) found.resize(options.limit);
  TextTable table;
  table.columns = {{"job_id"},
                   {"run"},
                   {"run_id", false, false},
                   {"external_run_id", false, false},
                   {"status"},
                   {"stalled"},
                   {"end_reason"},
                   {"attempts", true},
                   {"attempt_count", true, false},
                   {"started", false, true},
                   {"started_at", false, false},
                   {"finished_at", false, false},
                   {"scheduled_at", false, false},
                   {"duration"},
                   {"duration_ms", true, false},
                   {"rows", true},
                   {"records_extracted", true, false},
                   {"records_loaded", true, false},
                   {"tasks", true},
                   {"error_category"},
                   {"error_code", false, false},
                   {"error_message", false, false},
                   {"exit_code", true, false},
                   {"exit_signal", true, false},
                   {"verdict_source", false, false},
                   {"environment", false, false},
                   {"service", false, false},
                   {"correlation_id", false, false}};
  const TimePoint now = SystemClock().now();
  for (const RunRecord& record : found) {
    const RunState& run = record.run;
    const std::string id = to_string(run.run_id);
    const std::string external(run.text(RunText::kExternalRunId));
    const bool failed = run.state.status == RunStatus::kFailed;
    const ErrorGroup none, &error = failed ? run.error : none;
    const bool terminal = is_terminal(run.state.status);
    const auto started = run.started_at ? run.started_at : run.first_event_at;
    table.rows.push_back({run.job_id,
                          external.empty() ? id.substr(0, 8) : external,
                          id,
                          external,
                          std::string(to_string(run.state.status)),
                          !terminal && now - run.last_event_at.value_or(now) > kStalledAfter ? "yes" : "",
                          std::string(to_string(run.state.end_reason)),
                          std::to_string(run.attempt_count),
                          std::to_string(run.attempt_count),
                          started ? to_rfc3339(*started).substr(0, 19) + "Z" : "",
                          time_text(run.started_at),
                          time_text(run.state.finished_at),
                          time_text(run.scheduled_at()),
                          terminal ? duration_text(run.duration_ms()) : "",
                          terminal ? number(run.duration_ms()) : "",
                          number(run.records_loaded()),
                          number(run.records_extracted()),
                          number(run.records_loaded()),
                          std::to_string(record.tasks.size()),
                          std::string(to_string(error.category)),
                          error.code,
                          error.message,
                          number(run.exit_code),
                          number(run.exit_signal),
                          terminal ? std::string(to_string(run.state.verdict_source)) : "",
                          std::string(run.text(RunText::kEnvironment)),
                          std::string(run.text(RunText::kService)),
                          std::string(run.text(RunText::kCorrelationId))});
  }
  return render(table, options.output);
}

Result<std::string> buffer_ls(const DurableBuffer& buffer, const Options& options) {
  TextTable table;
  table.columns = {{"sequence", true}, {"stream"},   {"file"},        {"generation", true},
                   {"from", true},     {"to", true}, {"lines", true}, {"read_at"}};
  Sequence after = 0;
  if (const Sequence oldest = buffer.oldest(); oldest > 0) after = oldest - 1;
  while (table.rows.size() < options.limit) {
    const auto chunks = buffer.read_after(after, 1);
    if (!chunks) return chunks.error();
    if (chunks->empty()) break;
    const SequencedChunk& each = chunks->front();
    after = each.sequence;
    table.rows.push_back({std::to_string(each.sequence), each.chunk.file.stream,
                          to_hex(each.chunk.file.file_key).substr(0, 8), std::to_string(each.chunk.file.generation),
                          std::to_string(each.chunk.covers.from), std::to_string(each.chunk.covers.to),
                          std::to_string(each.chunk.lines), to_rfc3339(each.chunk.read_at)});
  }
  return render(table, options.output);
}

// The event as one line of JSON; "" if it is not one of those asked for.
std::string line_of(const RedactedEvent& event, const Options& options, const std::vector<std::string>& kinds) {
  if (event.level < options.level) return "";
  if (!options.job.empty() && event.fields.text(Field::kJobId) != options.job) return "";
  std::string line;
  append_event_json(line, event, kinds);
  return line.find(options.text) == std::string::npos ? "" : line + '\n';
}

Result<std::string> buffer_events(const DurableBuffer& buffer, const Options& options,
                                  const std::vector<std::string>& kinds) {
  std::string out;
  Sequence after = 0;
  if (const Sequence oldest = buffer.oldest(); oldest > 0) after = oldest - 1;
  for (std::size_t left = options.limit; left > 0;) {
    const auto chunks = buffer.read_after(after, 1);
    if (!chunks) return chunks.error();
    if (chunks->empty()) break;
    after = chunks->front().sequence;
    EventReader reader(chunks->front().chunk.events);
    while (left > 0 && reader.next()) {
      const std::string line = line_of(reader.event(), options, kinds);
      out += line;
      left -= line.empty() ? 0 : 1;
    }
  }
  return out;
}

// At most this many lines an answer: whoever asks asks again.
constexpr std::uint64_t kTapLines = 5'000;

Result<std::string> tap(const DurableBuffer& buffer, const Options& options, const std::vector<std::string>& kinds) {
  if (!options.after) return std::to_string(buffer.appended().sequence) + " 0\n";
  Sequence after = *options.after, missed = 0;
  if (const Sequence oldest = buffer.oldest(); oldest > after + 1) {
    missed = oldest - after - 1;
    after = oldest - 1;
  } else if (oldest == 0 && buffer.appended().sequence > after) {
    missed = buffer.appended().sequence - after;
    after = buffer.appended().sequence;
  }
  const auto chunks = buffer.read_after(after, kTapLines);
  if (!chunks) return chunks.error();
  std::string lines;
  for (const SequencedChunk& each : *chunks) {
    after = each.sequence;
    for (EventReader reader(each.chunk.events); reader.next();) lines += line_of(reader.event(), options, kinds);
  }
  return std::to_string(after) + " " + std::to_string(missed) + "\n" + lines;
}

std::string dead_letters(const DurableBuffer& buffer, const Options& options) {
  TextTable table;
  table.columns = {{"id", false, false},        {"at"},         {"reason"},      {"stream"}, {"file"},
                   {"generation", true, false}, {"from", true}, {"bytes", true}, {"body"}};
  for (const StateEntry& entry : buffer.scan("d/")) {
    const auto chunk = decode_chunk(entry.value);
    if (!chunk) continue;
    for (const DeadLetter& letter : chunk->dead_letters) {
      table.rows.push_back({to_string(letter.id), to_rfc3339(letter.at), letter.reason, chunk->file.stream,
                            to_hex(chunk->file.file_key).substr(0, 8), std::to_string(chunk->file.generation),
                            std::to_string(letter.bytes.from), std::to_string(letter.bytes.to - letter.bytes.from),
                            letter.body});
    }
  }
  if (table.rows.size() > options.limit) table.rows.resize(options.limit);
  return render(table, options.output);
}

}  // namespace

std::filesystem::path control_socket_path(const std::filesystem::path& directory) { return directory / "control.sock"; }

Result<std::string> look(const DurableBuffer& buffer, std::span<const std::string> words,
                         const std::vector<std::string>& kinds) {
  const auto word = [&](std::size_t at) {
    return at < words.size() ? std::string_view(words[at]) : std::string_view{};
  };
  const bool is_buffer = word(0) == "buffer";
  const auto options = read_options(words.subspan(std::min<std::size_t>(words.size(), is_buffer ? 2 : 1)));
  if (!options) return options.error();
  if (word(0) == "runs") return runs(buffer, *options);
  if (word(0) == "tap") return tap(buffer, *options, kinds);
  if (is_buffer && word(1) == "ls") return buffer_ls(buffer, *options);
  if (is_buffer && word(1) == "events") return buffer_events(buffer, *options, kinds);
  if (is_buffer && word(1) == "dead-letters") return dead_letters(buffer, *options);
  return Error{ErrorCode::kInvalidInput, "\"" + std::string(word(0)) + "\" is not understood"};
}

Result<std::string> look_in(const std::filesystem::path& directory, const std::vector<std::string>& words,
                            const RedactionConfig& redaction) {
  auto answer = ask(control_socket_path(directory), words, std::chrono::seconds(60));
  if (answer || answer.error().code != ErrorCode::kNotFound) return answer;
  BufferConfig config;
  config.directory = directory;
  const auto buffer = DurableBuffer::open_read_only(config);
  if (!buffer) return buffer.error();
  if (words.front() == "status") {
    return "no agent runs in " + directory.string() + "; its buffer holds chunks " +
           std::to_string((*buffer)->oldest()) + " to " + std::to_string((*buffer)->appended().sequence) + "\n";
  }
  const auto redactor = Redactor::make(redaction);
  return look(**buffer, words, redactor ? redactor->kinds() : std::vector<std::string>{});
}

}  // namespace runtail
