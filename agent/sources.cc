#include "agent/sources.h"

#include <sys/resource.h>

#include <algorithm>

#include "agent/file_source.h"
#include "agent/journal_source.h"
#include "agent/line_defaults.h"
#include "agent/pipe_source.h"
#include "agent/pipeline.h"
#include "agent/stream_source.h"
#include "agent/worker_watch.h"

namespace runtail {
namespace {

// Files of one source that may be open at a time: half of what the process may have, shared by all; the other half is
// for the buffer, the database and scrapes.
std::size_t open_files_max(std::size_t sources) {
  rlimit limit{};
  const std::size_t allowed = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
  return std::clamp<std::size_t>(allowed / 2 / std::max<std::size_t>(sources, 1), 16, 1024);
}

}  // namespace

Result<std::vector<std::unique_ptr<Source>>> make_sources(const Config& config, const HashKey& key,
                                                          const DurableBuffer& buffer, MetricTable& metrics,
                                                          std::function<Sequence()> delivered,
                                                          HeldLines* standard_input) {
  std::vector<std::unique_ptr<Source>> sources;
  const std::vector<Position> positions = buffer.positions();
  const auto read_buffer = std::make_shared<ReadBuffer>(config.line_bytes_max);
  for (const SourceConfig& source : config.sources) {
    const Result<LineDefaults> defaults = line_defaults(source);
    if (!defaults) return defaults.error();
    if (source.type == "journald") {
      JournalSettings settings;
      settings.source = source;
      settings.defaults = *defaults;
      settings.framing.join_traces = source.join_traces;
      settings.framing.unit_bytes_max = config.line_bytes_max;
      settings.line_bytes_max = config.line_bytes_max;
      settings.ignore_older = config.ignore_older;
      sources.push_back(std::make_unique<JournalSource>(std::move(settings), buffer, metrics));
      continue;
    }
    if (source.type == "socket" || source.type == "stdin") {
      StreamSourceSettings settings{source, config.line_bytes_max, *defaults};
      sources.push_back(standard_input && source.type == "stdin"
                            ? std::make_unique<StreamSource>(std::move(settings), *standard_input, positions)
                            : std::make_unique<StreamSource>(std::move(settings), positions));
      continue;
    }
    FileSourceSettings settings;
    settings.source = source;
    settings.defaults = *defaults;
    settings.key = key;
    settings.line_bytes_max = config.line_bytes_max;
    settings.ignore_older = config.ignore_older;
    settings.never = {config.buffer.directory};
    if (!config.ndjson.path.empty()) settings.never.emplace_back(config.ndjson.path);
    settings.open_files_max = open_files_max(config.sources.size());
    sources.push_back(std::make_unique<FileSource>(std::move(settings), positions, read_buffer, metrics));
  }
  // Behind those they watch, whose scan comes first.
  for (std::size_t i = 0; i < config.sources.size(); ++i) {
    const SourceConfig& source = config.sources[i];
    if (!names_worker(source.worker)) continue;
    sources.push_back(
        std::make_unique<WorkerWatch>(source, *sources[i], positions, buffer.get(WorkerWatch::state_key(source.name))));
  }
  DeliveryProgress progress;
  if (delivered) progress = {[&buffer] { return buffer.appended().sequence; }, std::move(delivered)};
  sources.push_back(std::make_unique<PipeSource>(
      config.buffer.directory, config.name, positions, metrics, config.line_bytes_max, std::move(progress),
      [&buffer](const FileIdentity& pipe) { return Pipeline::has_open_worker(buffer, pipe); }));
  return sources;
}

}  // namespace runtail
