// `runtail describe bash|zsh|fish|man`: the command line as shells and man(1) want it, made from the one CLI11 has. For
// the packaging.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "agent/exec/command_line.h"
#include "agent/verbs.h"
#include "core/build_info.h"
#include "core/embedded.h"
#include "core/exit_code.h"

namespace runtail {
namespace {

struct OptionText {
  std::vector<std::string> names;  // "--config", "-h"
  std::string argument;            // "FILE"; "" for a flag
  std::string description;
};

struct VerbText {
  std::string name;  // "buffer ls"
  std::string description, footer;
  std::vector<OptionText> options;
  bool has_verbs = false;
};

std::vector<OptionText> options_of(const CLI::App& app) {
  std::vector<OptionText> options;
  for (const CLI::Option* option : app.get_options()) {
    OptionText text;
    for (const std::string& name : option->get_lnames()) text.names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) text.names.push_back("-" + name);
    if (text.names.empty()) continue;  // positional
    text.argument = option->get_items_expected_max() == 0 ? "" : option->get_type_name();
    text.description = option->get_description();
    options.push_back(std::move(text));
  }
  return options;
}

// Those people use, a verb before what is below it.
void add_verbs(const CLI::App& app, const std::string& above, std::vector<VerbText>& out) {
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (verb->get_group().empty()) continue;
    VerbText& text = out.emplace_back();
    text.name = above + verb->get_name();
    text.description = verb->get_description();
    text.footer = verb->get_footer();
    text.options = options_of(*verb);
    // Its command line is not CLI11's.
    if (text.name == "exec") text.footer = exec_help(ExecProgram::kVerb);
    text.has_verbs = !verb->get_subcommands([](const CLI::App*) { return true; }).empty();
    const std::string name = text.name;
    add_verbs(*verb, name + " ", out);
  }
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// The names of the verbs right below `above` ("" or "buffer").
std::vector<std::string> below(const std::vector<VerbText>& verbs, const std::string& above) {
  std::vector<std::string> names;
  const std::string head = above.empty() ? "" : above + " ";
  for (const VerbText& verb : verbs) {
    if (verb.name.starts_with(head) && verb.name.find(' ', head.size()) == std::string::npos)
      names.push_back(verb.name.substr(head.size()));
  }
  return names;
}

std::vector<std::string> names_of(const std::vector<OptionText>& options) {
  std::vector<std::string> names;
  for (const OptionText& option : options) names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

// One function for bash and zsh, which has bash's way to complete, too.
std::string bash(const std::vector<VerbText>& verbs, const std::vector<OptionText>& options) {
  std::string text =
      "_runtail() {\n"
      "  local word=\"${COMP_WORDS[COMP_CWORD]}\" verb= i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"${COMP_WORDS[i]}\" in -*) continue ;; esac\n"
      "    case \"$verb ${COMP_WORDS[i]}\" in\n";
  for (const VerbText& verb : verbs) {
    const std::size_t blank = verb.name.find(' ');
    text += "      '" + (blank == std::string::npos ? " " + verb.name : verb.name) + "') verb='" + verb.name + "' ;;\n";
  }
  text +=
      "    esac\n"
      "  done\n"
      "  case \"$verb\" in\n";
  const auto add = [&](const std::string& name, const std::vector<std::string>& words) {
    text += "    '" + name + "') COMPREPLY=($(compgen -W '" + joined(words) + "' -- \"$word\")) ;;\n";
  };
  std::vector<std::string> first = below(verbs, "");
  for (const std::string& name : names_of(options)) first.push_back(name);
  add("", first);
  for (const VerbText& verb : verbs) {
    std::vector<std::string> words = verb.has_verbs ? below(verbs, verb.name) : std::vector<std::string>();
    for (const std::string& name : names_of(verb.options)) words.push_back(name);
    add(verb.name, words);
  }
  return text +
         "  esac\n"
         "  # Files, where nothing of ours fits.\n"
         "  if [ ${#COMPREPLY[@]} -eq 0 ] && [ \"${word#-}\" = \"$word\" ]; then COMPREPLY=($(compgen -f -- "
         "\"$word\")); fi\n"
         "}\n";
}

std::string fish(const std::vector<VerbText>& verbs) {
  const auto quoted = [](std::string text) {
    text = text.substr(0, text.find_first_of("\n;"));
    for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 2) text.insert(at, "\\");
    return "'" + text + "'";
  };
  std::string text;
  for (const VerbText& verb : verbs) {
    const std::size_t blank = verb.name.find(' ');
    const std::string above = verb.name.substr(0, blank),
                      last = verb.name.substr(blank == std::string::npos ? 0 : blank + 1);
    text += "complete -c runtail -n " +
            (blank == std::string::npos ? std::string("__fish_use_subcommand")
                                        : "'__fish_seen_subcommand_from " + above + "'") +
            " -a " + last + " -d " + quoted(verb.description) + "\n";
    for (const OptionText& option : verb.options) {
      text += "complete -c runtail -n '__fish_seen_subcommand_from " + last + "'";
      for (const std::string& name : option.names)
        text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!option.argument.empty()) text += " -r";
      text += " -d " + quoted(option.description) + "\n";
    }
  }
  return text;
}

// Text as roff has it: nothing in it is a request.
std::string roff(std::string_view text) {
  std::string out;
  bool at_start = true;
  for (const char c : text) {
    if (at_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    at_start = c == '\n';
  }
  return out;
}

std::string man(const CLI::App& root, const std::vector<VerbText>& verbs) {
  std::string text = ".TH RUNTAIL 1 \"\" \"runtail " + roff(build_version()) +
                     "\" \"User Commands\"\n.SH NAME\nruntail \\- " +
                     "run history and metrics from the output of ETL workers\n.SH SYNOPSIS\n.B runtail\n"
                     ".I VERB\n[\\fIOPTION\\fR]...\n.SH DESCRIPTION\n.nf\n" +
                     roff(root.get_description()) + "\n.fi\n";
  for (const VerbText& verb : verbs) {
    text += ".SH \"runtail " + roff(verb.name) + "\"\n" + roff(verb.description) + "\n";
    for (const OptionText& option : verb.options) {
      text += ".TP\n\\fB" + roff(joined(option.names)) + "\\fR" +
              (option.argument.empty() ? "" : " \\fI" + roff(option.argument) + "\\fR") + "\n" +
              roff(option.description) + "\n";
    }
    if (!verb.footer.empty()) text += ".PP\n.nf\n" + roff(verb.footer) + "\n.fi\n";
  }
  return text + ".SH \"EXIT CODES AND MORE\"\n.nf\n" + roff(root.get_footer()) +
         "\n.fi\n.SH \"SEE ALSO\"\n.BR runtail.yaml (5)\n";
}

// The reference file as it is: each setting stands below what it means.
std::string man_of_settings() {
  return ".TH RUNTAIL.YAML 5 \"\" \"runtail " + roff(build_version()) +
         "\" \"File Formats\"\n.SH NAME\nruntail.yaml \\- settings of runtail\n.SH DESCRIPTION\n"
         "All settings with their defaults. In a variable, a.b is RUNTAIL_A_B; variables win over the file.\n"
         ".SH SETTINGS\n.nf\n" +
         roff(embedded::runtail_reference_yaml()) + ".fi\n.SH \"SEE ALSO\"\n.BR runtail (1)\n";
}

}  // namespace

void add_describe_verb(CLI::App& app, int& exit_code) {
  CLI::App* verb = app.add_subcommand("describe", "Print shell completion or the manual page");
  verb->group("");  // for the packaging, not for people
  const auto format = std::make_shared<std::string>();
  verb->add_option("format", *format)->required()->check(CLI::IsMember({"bash", "zsh", "fish", "man", "man5"}));
  verb->callback([&app, format, &exit_code] {
    std::vector<VerbText> verbs;
    add_verbs(app, "", verbs);
    std::string text;
    if (*format == "bash") {
      text = bash(verbs, options_of(app)) + "complete -F _runtail runtail\n";
    } else if (*format == "zsh") {
      text = "#compdef runtail\nautoload -Uz bashcompinit && bashcompinit\n" + bash(verbs, options_of(app)) +
             "complete -F _runtail runtail\n";
    } else if (*format == "fish") {
      text = fish(verbs);
    } else if (*format == "man5") {
      text = man_of_settings();
    } else {
      text = man(app, verbs);
    }
    std::fputs(text.c_str(), stdout);
    exit_code = kExitOk;
  });
}

}  // namespace runtail
