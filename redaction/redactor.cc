#include "redaction/redactor.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <stdexcept>

#include "core/truncate.h"
#include "redaction/context.h"
#include "redaction/ip_prefix.h"
#include "redaction/key_lines.h"
#include "redaction/marker.h"
#include "redaction/ruleset.h"

namespace runtail {
namespace {

// Ids and names are kept in memory with their runs and indexed in the database: longer ones are cut.
constexpr std::size_t kNameBytesMax = 512;
// From nine digits on a number may be a card or an id.
constexpr double kLongNumber = 1e8;

constexpr bool is_typed(FieldValue::Kind kind) {
  return kind != FieldValue::Kind::kText && kind != FieldValue::Kind::kJson;
}

std::string_view text_of(const FieldValue& value) {
  const bool has_text = value.kind == FieldValue::Kind::kText || value.kind == FieldValue::Kind::kUuid;
  return has_text ? value.text : std::string_view{};
}

// Lines of one run and task are known by these: they are ids, whatever words they are given in.
constexpr bool tells_lines_apart(Field field) {
  return field == Field::kJobId || field == Field::kRunId || field == Field::kParentRunId ||
         field == Field::kTaskRunId || field == Field::kTask || field == Field::kParentJobId;
}

// Names of routes, tables and errors have none: what has is somebody's sentence.
bool has_space(std::string_view text) { return text.find_first_of(" \t\r\n") != std::string_view::npos; }

bool is_integer(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

struct Redactor::State {
  State(const RedactionConfig& settings, std::shared_ptr<const Ruleset> rules)
      : config(settings),
        ruleset(std::move(rules)),
        keeps_text(settings.free_text != "drop"),
        masker(ruleset),
        context_writer(*ruleset, keeps_text) {
    totals.masked_by_kind.resize(ruleset->kinds.names().size(), 0);
  }

  const RedactionConfig config;
  const std::shared_ptr<const Ruleset> ruleset;  // shared by clones
  const bool keeps_text;
  Masker masker;
  ContextWriter context_writer;
  RedactionTotals totals;
  RedactedEvent out;

  void write_envelope(const LogEvent& event);
  void write(const LogEvent& event, StreamMemory& memory);
  void write_field(Field field, const FieldValue& value);
  void write_message(const LogEvent& event, StreamMemory& memory);
  std::string_view mask_key_line(std::string_view text, std::size_t begin);
  void write_flags();
  void write_ip(const FieldValue& value);
  void write_user_id(const FieldValue& value);
  void write_rest(const LogEvent& event);
  void fail_closed(const LogEvent& event);
  std::string_view mask_and_cut(std::string_view text, std::size_t bytes_max);
};

// Nothing in it comes from text.
void Redactor::State::write_envelope(const LogEvent& event) {
  out.kind = event.kind;
  out.level = event.level;
  out.status = event.status;
  out.attempt_failed = event.attempt_failed;
  out.stored = true;
  out.repaired = event.repaired;
  out.verdict_source = event.verdict_source;
  out.ts = event.ts.value_or(TimePoint{});
  out.ts_source = TsSource::kLine;
  out.fields.clear();
  out.context = {};
  out.raw_text = {};
  out.dialect = event.dialect;
  out.redaction_state = RedactionState::kClean;
  out.pii_safe = true;
  out.counts.clear();
}

void Redactor::State::write(const LogEvent& event, StreamMemory& memory) {
  write_message(event, memory);
  event.fields.for_each([&](Field field, const FieldValue& value) {
    if (field == Field::kMsg) return;
    masker.set_place(spec_of(field).name);
    write_field(field, value);
  });
  write_rest(event);
}

// What a line says in words: `msg`, or the line itself where it is no JSON. A private key may come line by line.
void Redactor::State::write_message(const LogEvent& event, StreamMemory& memory) {
  const bool is_text = event.shape == LineShape::kText;
  const FieldValue* msg = event.fields.find(Field::kMsg);
  masker.set_place(is_text ? "text" : "msg");
  if (!is_text && !msg) return;
  if (!is_text && msg->kind != FieldValue::Kind::kText) return write_field(Field::kMsg, *msg);
  const std::string_view text = is_text ? event.text : msg->text;
  const std::size_t key = key_line_begin(text, memory);
  if (!keeps_text) return;
  const std::string_view safe = key == std::string_view::npos ? masker.mask(text) : mask_key_line(text, key);
  if (is_text) {
    out.raw_text = safe;
  } else {
    out.fields.put_text(Field::kMsg, safe);
  }
}

// `begin`: of what belongs to a private key.
std::string_view Redactor::State::mask_key_line(std::string_view text, std::size_t begin) {
  const std::string_view mark = masker.marker(ruleset->key_kind, {}, "private_key_lines");
  if (begin == 0) return mark;
  const std::string_view before = masker.mask(text.substr(0, begin));
  return masker.fresh_text().append(before).append(mark);
}

void Redactor::State::write_field(Field field, const FieldValue& value) {
  if (field == Field::kIp) return write_ip(value);
  if (field == Field::kUserId) return write_user_id(value);
  if (value.kind == FieldValue::Kind::kReal && std::abs(value.real) >= kLongNumber) {
    char digits[64];
    const int size = std::snprintf(digits, sizeof digits, "%.0f", value.real);
    const std::string_view text(digits, std::min<std::size_t>(static_cast<std::size_t>(size), sizeof digits - 1));
    if (masker.mask(text) != text) return;  // the mask is counted; a number has no place for a marker
  }
  if (is_typed(value.kind)) {
    out.fields.put(field) = value;
  } else if (value.kind == FieldValue::Kind::kText) {
    const bool is_free = spec_of(field).type == FieldType::kFreeText;
    if (!keeps_text && (is_free || (!tells_lines_apart(field) && has_space(value.text)))) return;
    const std::size_t bytes_max = field == Field::kErrorMessage ? config.error_message_bytes_max : kNameBytesMax;
    const bool is_cut = !is_free || field == Field::kErrorMessage;
    out.fields.put_text(field, is_cut ? mask_and_cut(value.text, bytes_max) : masker.mask(value.text));
  }
  // JSON text no one has scanned: the parser makes none, so nothing is lost.
}

void Redactor::State::write_ip(const FieldValue& value) {
  std::optional<std::string_view> kept;
  if (value.kind == FieldValue::Kind::kText) {
    const std::string_view text = value.text;
    if (text.empty() || marker_size(text, 0) == text.size()) {
      kept = text;
    } else if (const auto prefix = config.keep_ip_prefix ? ip_prefix(text) : std::nullopt) {
      kept = *prefix == text ? text : std::string_view(masker.fresh_text() = *prefix);
      if (*kept != text) masker.count_part(ruleset->ip_kind);
      out.pii_safe = false;
    }
  }
  if (kept) return out.fields.put_text(Field::kIp, *kept);
  out.fields.put_text(Field::kIp, masker.marker(ruleset->ip_kind, text_of(value)));
}

void Redactor::State::write_user_id(const FieldValue& value) {
  const bool is_text = value.kind == FieldValue::Kind::kText;
  if (is_text && (value.text.empty() || marker_size(value.text, 0) == value.text.size())) {
    return out.fields.put_text(Field::kUserId, value.text);
  }
  const bool is_number = is_text && is_integer(value.text);
  const bool is_id = is_text ? is_number || parse_uuid(value.text)
                             : value.kind == FieldValue::Kind::kUuid || value.kind == FieldValue::Kind::kInt;
  if (!config.keep_user_id || !is_id) {
    return out.fields.put_text(Field::kUserId, masker.marker(ruleset->user_id_kind, text_of(value)));
  }
  out.pii_safe = false;  // it stands for one person
  if (!is_text) {
    out.fields.put(Field::kUserId) = value;
  } else {
    // An integer that is a card number is masked as one.
    out.fields.put_text(Field::kUserId, is_number ? masker.mask(value.text) : value.text);
  }
}

void Redactor::State::write_rest(const LogEvent& event) {
  const std::vector<JsonNode>& nodes = event.rest;
  std::string* context = nullptr;
  bool first = true;
  for (std::size_t i = 0; i < nodes.size(); i = nodes[i].end) {
    const JsonNode& node = nodes[i];
    if (node.end <= i || node.end > nodes.size()) throw std::logic_error("a member reaches out of the line");
    if (node.is_field) {
      const std::optional<Field> field = find_field(node.key);
      if (!field) throw std::logic_error("a member is said to be a field and is none");
      std::string& text = masker.fresh_text();
      context_writer.append_value(text, nodes, i, masker);
      out.fields.put_text(*field, text);
      out.fields.put(*field).kind = FieldValue::Kind::kJson;
    } else if (!Allowlist::step(ruleset->allowlist.root(), node.key)) {
      ++totals.unlisted_fields;
    } else {
      if (!context) context = &(masker.fresh_text() = "{");
      totals.unlisted_fields +=
          context_writer.append_member(*context, first, nodes, i, ruleset->allowlist.root(), masker);
    }
  }
  if (first) return;
  *context += '}';
  out.context = *context;
}

// Cut only after masking: a cut through a secret would leave its head behind. What the cut brings to an end may itself
// look like something to mask (a longer number cut to the size of an SSN), so both alternate until neither changes
// anything. Each round leaves fewer bytes outside markers, so it ends.
std::string_view Redactor::State::mask_and_cut(std::string_view text, std::size_t bytes_max) {
  text = masker.mask(text);
  while (text.size() > bytes_max) {
    text = masker.mask(truncate_redacted(text, bytes_max));
  }
  return text;
}

void Redactor::State::fail_closed(const LogEvent& event) {
  masker.begin();
  write_envelope(event);
  event.fields.for_each([&](Field field, const FieldValue& value) {
    const bool kept = field == Field::kUserId ? config.keep_user_id : field != Field::kIp;
    if (kept && is_typed(value.kind)) out.fields.put(field) = value;
  });
  out.redaction_state = RedactionState::kFailedClosed;
  out.pii_safe = false;
  ++totals.failed_closed;
}

Redactor::Redactor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Redactor::Redactor(Redactor&&) noexcept = default;
Redactor& Redactor::operator=(Redactor&&) noexcept = default;
Redactor::~Redactor() = default;

Result<Redactor> Redactor::make(const RedactionConfig& config) {
  auto ruleset = make_ruleset(config);
  if (!ruleset) return ruleset.error();
  return Redactor(std::make_unique<State>(config, *ruleset));
}

Redactor Redactor::clone() const { return Redactor(std::make_unique<State>(state_->config, state_->ruleset)); }

void Redactor::State::write_flags() {
  if (!masker.masked_any()) return;
  const Remains& remains = masker.remains();
  out.redaction_state = remains.over_budget ? RedactionState::kFailedClosed
                        : remains.part      ? RedactionState::kPartial
                        : remains.hash      ? RedactionState::kPseudonymised
                                            : RedactionState::kMasked;
  totals.over_budget += remains.over_budget;
  // What is left of a person is a pseudonym, not nothing.
  if (remains.person || remains.over_budget) out.pii_safe = false;
  const std::vector<std::uint32_t>& counts = masker.counts();
  for (std::size_t kind = 0; kind < counts.size(); ++kind) {
    if (counts[kind] == 0) continue;
    constexpr std::uint32_t kCountMax = std::numeric_limits<std::uint16_t>::max();
    out.counts.push_back(
        {static_cast<std::uint8_t>(kind), static_cast<std::uint16_t>(std::min(counts[kind], kCountMax))});
    totals.masked_by_kind[kind] += counts[kind];
  }
}

RedactedEvent& Redactor::redact(const LogEvent& event) {
  StreamMemory memory;
  return redact(event, memory);
}

RedactedEvent& Redactor::redact(const LogEvent& event, StreamMemory& memory) {
  State& state = *state_;
  try {
    state.masker.begin();
    state.write_envelope(event);
    state.write(event, memory);
    state.write_flags();
  } catch (const std::exception&) {
    state.fail_closed(event);
  }
  return state.out;
}

RedactedEvent& Redactor::explain(const LogEvent& event, StreamMemory& memory, std::vector<Finding>& findings) {
  const std::size_t before = findings.size();
  state_->masker.explain(&findings);
  RedactedEvent& out = redact(event, memory);
  state_->masker.explain(nullptr);
  // A member may be called by a secret.
  for (std::size_t i = before; i < findings.size(); ++i) findings[i].place = state_->masker.mask(findings[i].place);
  return out;
}

std::string Redactor::redact_text(std::string_view text) {
  try {
    state_->masker.begin();
    return std::string(state_->masker.mask(text));
  } catch (const std::exception&) {
    std::string mark;
    append_marker(mark, "failed");
    return mark;
  }
}

const std::vector<std::string>& Redactor::kinds() const { return state_->ruleset->kinds.names(); }
std::string_view Redactor::action_of(std::size_t kind) const {
  return to_string(state_->ruleset->actions.of(static_cast<std::uint8_t>(kind)).kind);
}
const std::vector<std::string>& Redactor::packs() const { return state_->ruleset->packs; }
const std::string& Redactor::ruleset() const { return state_->ruleset->digest; }
const RedactionTotals& Redactor::totals() const { return state_->totals; }

}  // namespace runtail
