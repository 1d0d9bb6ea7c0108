// runtail token: a token for the history API, on stdout.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/config_file.h"
#include "agent/verbs.h"
#include "config/quantity.h"
#include "core/exit_code.h"
#include "core/time.h"
#include "server/access_token.h"

namespace runtail {
namespace {

// A token cannot be taken back: to end one early its key must go.
constexpr std::chrono::hours kTtlMax{24 * 366};

constexpr char kFooter[] =
    "Signs with a secret of api.keys (HS256, HS384, HS512); tokens of RS keys are made by whoever has their private "
    "half.\n"
    "A token cannot be taken back before it ends, except by removing its key. Example:\n"
    "  $ openssl rand -hex 32 > api.key    # api: {keys: [{id: main, file: /etc/runtail/api.key}]}\n"
    "  $ curl -H \"Authorization: Bearer $(runtail token --scope obs.read --ttl 1h)\" "
    "http://127.0.0.1:9848/v1/obs/jobs\n"
    "Exit codes: 0 ok, 2 usage, 3 configuration (no such key, or an unreadable one).";

struct TokenOptions {
  std::string config_path, key, ttl = "1h", subject = "runtail-token";
  std::vector<std::string> scopes{std::string(kScopeRead)}, projects;
};

int print_token(const TokenOptions& options) {
  const auto complain = [](const std::string& what, int code) {
    std::fprintf(stderr, "runtail token: %s\n", what.c_str());
    return code;
  };
  const auto ttl = parse_duration(options.ttl);
  if (!ttl || *ttl < std::chrono::seconds(1) || *ttl > kTtlMax)
    return complain("--ttl " + options.ttl + ": write 1s to 366d, as in 30m, 12h or 7d", kExitUsage);
  const std::optional<Config> config = config_or_complain(options.config_path);
  if (!config) return kExitConfig;
  const auto verifier = TokenVerifier::make(config->api);
  if (!verifier) return complain(verifier.error().message, kExitConfig);
  TokenVerifier::Grant grant{options.subject, options.scopes, std::nullopt,
                             std::chrono::duration_cast<std::chrono::seconds>(*ttl)};
  if (!options.projects.empty()) grant.projects = options.projects;
  const auto token = verifier->mint(grant, options.key, SystemClock().now());
  if (!token) return complain(token.error().message, kExitConfig);
  std::printf("%s\n", token->c_str());
  return kExitOk;
}

}  // namespace

void add_token_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("token", "Make a token for the history API");
  verb->footer(kFooter);
  const auto options = std::make_shared<TokenOptions>();
  add_config_option(*verb, options->config_path);
  verb->add_option("--scope", options->scopes, "What it allows; default obs.read")->type_name("SCOPE");
  verb->add_option("--ttl", options->ttl, "How long it is good; default 1h")->type_name("DURATION");
  verb->add_option("--project", options->projects, "Only rows of this project_id; may come several times")
      ->type_name("ID");
  verb->add_option("--subject", options->subject, "Who it is for, as access_log shows it")->type_name("NAME");
  verb->add_option("--key", options->key, "Which of several api.keys, by id")->type_name("ID");
  verb->callback([options, &exit_code] { exit_code = print_token(*options); });
}

}  // namespace runtail
