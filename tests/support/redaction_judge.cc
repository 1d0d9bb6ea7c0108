#include "tests/support/redaction_judge.h"

#include <simdjson.h>

#include <algorithm>
#include <stdexcept>

#include "core/event_json.h"

namespace runtail::test {
namespace {

void append_flat(const simdjson::dom::element& element, std::string& out) {
  switch (element.type()) {
    case simdjson::dom::element_type::OBJECT:
      for (const auto& [key, value] : simdjson::dom::object(element)) {
        out.append(key).append("\n");
        append_flat(value, out);
      }
      return;
    case simdjson::dom::element_type::ARRAY:
      for (const simdjson::dom::element each : simdjson::dom::array(element)) append_flat(each, out);
      return;
    case simdjson::dom::element_type::STRING:
      out.append(std::string_view(element)).append("\n");
      return;
    default:
      out.append(simdjson::minify(element)).append("\n");
  }
}

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

Redactor made(const RedactionConfig& config) {
  Result<Redactor> redactor = Redactor::make(config);
  if (!redactor) throw std::runtime_error(redactor.error().message);
  return std::move(*redactor);
}

RedactionConfig allowing_all(RedactionConfig config) {
  config.allow_all = true;
  return config;
}

}  // namespace

bool flat_text(std::string_view json, std::string& out) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (parser.parse(json.data(), json.size()).get(root) != simdjson::SUCCESS) return false;
  append_flat(root, out);
  return true;
}

bool survives(std::string_view secret, std::string_view text) {
  constexpr std::size_t kShort = 8, kEnough = 16;
  if (secret.size() <= kShort) {
    for (std::size_t at = text.find(secret); at != std::string_view::npos; at = text.find(secret, at + 1)) {
      const std::size_t end = at + secret.size();
      if ((at == 0 || !is_alnum(text[at - 1])) && (end == text.size() || !is_alnum(text[end]))) return true;
    }
    return false;
  }
  // Where its letters begin: one spelled as \u0041 has six bytes.
  std::vector<std::size_t> letters;
  for (std::size_t at = 0; at < secret.size(); at += secret.substr(at).starts_with("\\u00") ? 6 : 1)
    letters.push_back(at);
  letters.push_back(secret.size());
  const std::size_t piece = std::min(std::clamp(letters.size() / 2, kShort, kEnough), letters.size() - 1);
  for (std::size_t i = 0; i + piece < letters.size(); ++i) {
    if (text.find(secret.substr(letters[i], letters[i + piece] - letters[i])) != std::string_view::npos) return true;
  }
  return false;
}

RedactionJudge::RedactionJudge(RedactionConfig config)
    : parser_(built_in_dialects()), redactor_(made(allowing_all(std::move(config)))) {}

std::string RedactionJudge::redact(std::string_view line) {
  std::string out;
  append_event_json(out, redactor_.redact(parser_.parse(line)), redactor_.kinds());
  return out;
}

// Only what came out of the line itself is a line again: not what the writer says about it.
bool RedactionJudge::changes_again(const std::string& output) {
  simdjson::dom::parser parser;
  simdjson::dom::object root;
  if (parser.parse(output).get(root) != simdjson::SUCCESS) return false;
  std::string line = "{";
  for (const auto& [key, value] : root) {
    if (key == "text") {
      // As text: what was broken JSON before masking may be JSON now, which is another line.
      const std::string_view text(value);
      return redactor_.redact_text(text) != text;
    }
    if (key == "redacted" || key == "state" || key == "counts") continue;
    if (line.size() > 1) line += ',';
    line += '"' + std::string(key) + "\":" + simdjson::minify(value);
  }
  return redactor_.redact(parser_.parse(line + '}')).redaction_state != RedactionState::kClean;
}

Judgement RedactionJudge::judge(const LabelledLine& line) {
  Judgement judgement;
  std::string flat;
  StreamMemory stream;
  for (const std::string& each : line.lines) {
    const RedactedEvent& event = redactor_.redact(parser_.parse(each), stream);
    judgement.changed = judgement.changed || event.redaction_state != RedactionState::kClean;
    std::string out;
    append_event_json(out, event, redactor_.kinds());
    judgement.output += out + '\n';
    judgement.broken = judgement.broken || !flat_text(out, flat);
  }
  // In order, so that the lines of a stream are not mixed with their second reading.
  for (std::size_t at = 0; at < judgement.output.size();) {
    const std::size_t end = judgement.output.find('\n', at);
    judgement.changed_again = judgement.changed_again || changes_again(judgement.output.substr(at, end - at));
    at = end + 1;
  }
  for (const std::string& secret : line.secrets) {
    if (survives(secret, judgement.output) || survives(secret, flat)) judgement.survivors.push_back(secret);
  }
  for (const std::string& keep : line.keeps) {
    if (flat.find(keep) == std::string::npos) judgement.lost.push_back(keep);
  }
  return judgement;
}

}  // namespace runtail::test
