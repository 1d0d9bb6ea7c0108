// Each verb of the command line lives in agent/verb_<name>.cc: it adds its sub-command, and when chosen sets
// `exit_code`.
#pragma once

#include <span>

namespace CLI {
class App;
}

namespace runtail {

void add_agent_verb(CLI::App& app, int& exit_code);
void add_exec_verb(CLI::App& app);
void add_journal_reader_verb(CLI::App& app, int& exit_code);  // not for people: not in --help
void add_describe_verb(CLI::App& app, int& exit_code);        // not for people: not in --help
void add_migrate_verb(CLI::App& app, int& exit_code);
void add_check_verb(CLI::App& app, int& exit_code);
void add_redact_verb(CLI::App& app, int& exit_code);
void add_replay_verb(CLI::App& app, int& exit_code);
void add_server_verb(CLI::App& app, int& exit_code);
void add_doctor_verb(CLI::App& app, int& exit_code);
void add_explain_verb(CLI::App& app, int& exit_code);
void add_runs_verb(CLI::App& app, int& exit_code);
void add_status_verb(CLI::App& app, int& exit_code);
void add_buffer_verb(CLI::App& app, int& exit_code);
void add_alerts_verb(CLI::App& app, int& exit_code);
void add_tap_verb(CLI::App& app, int& exit_code);
void add_token_verb(CLI::App& app, int& exit_code);
void add_version_verb(CLI::App& app, int& exit_code);

// `exec` has a command line of its own (agent/exec/command_line.h) and is only listed by CLI11. `words`: those after
// it.
int exec_verb(std::span<const char* const> words);

}  // namespace runtail
