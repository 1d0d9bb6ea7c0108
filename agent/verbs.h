// Each verb of the command line lives in agent/verb_<name>.cc: it adds its sub-command, and when chosen sets
// `exit_code`.
#pragma once

namespace CLI {
class App;
}

namespace runtail {

void add_agent_verb(CLI::App& app, int& exit_code);
void add_exec_verb(CLI::App& app, int& exit_code);
void add_migrate_verb(CLI::App& app, int& exit_code);
void add_check_verb(CLI::App& app, int& exit_code);
void add_redact_verb(CLI::App& app, int& exit_code);
void add_runs_verb(CLI::App& app, int& exit_code);
void add_status_verb(CLI::App& app, int& exit_code);
void add_buffer_verb(CLI::App& app, int& exit_code);
void add_version_verb(CLI::App& app, int& exit_code);

}  // namespace runtail
