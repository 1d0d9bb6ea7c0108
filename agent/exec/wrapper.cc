#include "agent/exec/wrapper.h"

#include <sys/prctl.h>
#include <sys/random.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "agent/exec/agent_program.h"

namespace runtail {
namespace {

template <std::size_t N>
std::array<std::uint8_t, N> random_bytes() {
  std::array<std::uint8_t, N> bytes{};
  if (getrandom(bytes.data(), N, 0) != static_cast<ssize_t>(N)) std::perror("getrandom");
  return bytes;
}

Uuid random_uuid() {
  Uuid uuid{random_bytes<16>()};
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0F) | 0x40);  // RFC 9562: version 4
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3F) | 0x80);
  return uuid;
}

// What the command line says outranks the scheduler.
void put(std::vector<ExecId>& ids, const char* field, const std::string& value) {
  std::erase_if(ids, [&](const ExecId& id) { return id.field == field; });
  ids.push_back({field, value});
}

}  // namespace

HolderSettings holder_settings(ExecProgram program, const ExecCommandLine& line, const EnvironmentLookup& environment,
                               const AgentToUse& agent) {
  HolderSettings settings;
  settings.program = to_string(program);
  settings.command = line.command;
  settings.socket = exec_socket_path(agent.directory);
  settings.pass_output = line.pass_output;
  settings.fail_closed = line.fail_closed;
  settings.drain = line.drain;
  if (!agent.program.empty()) {
    settings.start_agent = [agent] { return start_agent(agent.program, agent.directory, agent.config_path); };
  }

  ExecHello& hello = settings.hello;
  hello.instance = random_bytes<16>();
  hello.run = line.run_id ? *line.run_id : random_uuid();
  hello.command = safe_name(std::filesystem::path(line.command.front()).filename().native());
  SchedulerIds known = scheduler_ids(environment);
  if (line.run_id && known.has("run_id")) put(known.ids, "run_id", to_string(*line.run_id));
  if (!line.job.empty() && known.has("job_id")) put(known.ids, "job_id", line.job);
  hello.job = line.job.empty() && is_job_name(known.value("job_id")) ? std::string(known.value("job_id")) : line.job;
  using Scope = ExecCommandLine::Scope;
  const bool is_task = line.scope == Scope::kTask || (line.scope == Scope::kAuto && known.is_task);
  hello.scope = is_task ? ExecScope::kTask : ExecScope::kRun;
  // Airflow counts the tries of a task. Where the task's program is all of the run, they are the run's.
  for (ExecId& id : known.ids) {
    if (!is_task && id.field == "task_attempt") id.field = "attempt";
  }
  if (is_task && !known.is_task) known.ids.push_back({"task", hello.command});
  if (is_task && !known.has("run_id")) known.ids.push_back({"run_id", to_string(hello.run)});
  hello.ids = std::move(known.ids);
  return settings;
}

int wrap_worker(ExecProgram program, const ExecCommandLine& line, const AgentToUse& agent) {
  const HolderSettings settings = holder_settings(
      program, line, [](const char* name) { return std::getenv(name); }, agent);
  if (const auto address = exec_socket_address(settings.socket); !address) {
    std::fprintf(stderr, "%s: %s\n", to_string(program), address.error().message.c_str());
  }
  prctl(PR_SET_DUMPABLE, 0);  // raw lines pass through our memory: no core of it, and no debugger
  return hold_worker(settings);
}

}  // namespace runtail
