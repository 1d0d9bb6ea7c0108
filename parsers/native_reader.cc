#include "parsers/native_reader.h"

#include "parsers/json_value.h"

namespace runtail {
namespace {

namespace dom = simdjson::dom;
using Role = MemberMeaning::Role;

// What a line without an event is, by its status: said of the task it names, else of its run.
EventKind kind_of_status(const LogEvent& event) {
  const bool task = event.fields.has(Field::kTaskRunId) || event.fields.has(Field::kTask);
  switch (*event.status) {
    case RunStatus::kQueued:
      return task ? EventKind::kPlain : EventKind::kRunQueued;
    case RunStatus::kRunning:
      if (event.attempt_failed) return task ? EventKind::kPlain : EventKind::kAttemptFinished;
      return task ? EventKind::kTaskStarted : EventKind::kRunStarted;
    default:
      return task ? EventKind::kTaskFinished : EventKind::kRunFinished;
  }
}

}  // namespace

NativeReader::NativeReader(const DialectSpec& spec) : spec_(spec) {
  for (const auto& [path, field] : spec.fields) {
    const Role role = field == Field::kStatusText ? Role::kStatus
                      : field == Field::kPhase    ? Role::kPhase
                                                  : Role::kField;
    // {"error":{"message":..}} and {"error.message":..}; the two are one where the path has no dot.
    for (MemberMeaning* meaning : {&meaning_of(path), &members_.put(path)}) {
      meaning->role = role;
      meaning->field = field;
    }
  }
  const auto roles = [this](const std::vector<std::string>& names, Role role) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      MemberMeaning& meaning = meaning_of(names[i]);
      meaning.role = role;
      meaning.preference = static_cast<std::uint8_t>(i + 1);
    }
  };
  roles(spec.ts, Role::kTs);
  roles(spec.level, Role::kLevel);
  roles(spec.event, Role::kEvent);
  for (const auto& [kind, fields] : spec.own) {
    for (const auto& [name, field] : fields) {
      MemberMeaning& meaning = own_[kind].put(name);
      meaning.role = Role::kField;
      meaning.field = field;
    }
  }
}

MemberMeaning& NativeReader::meaning_of(std::string_view path) {
  FieldTable* table = &members_;
  for (std::size_t dot; (dot = path.find('.')) != std::string_view::npos; path.remove_prefix(dot + 1)) {
    MemberMeaning& parent = table->put(path.substr(0, dot));
    if (!parent.children) parent.children = std::make_unique<FieldTable>();
    table = parent.children.get();
  }
  return table->put(path);
}

bool NativeReader::knows(std::string_view name) const {
  const MemberMeaning* meaning = members_.find(name);
  return meaning && meaning->role != Role::kNone;
}

bool NativeReader::is_level(std::string_view name) const {
  const MemberMeaning* meaning = members_.find(name);
  return meaning && meaning->role == Role::kLevel;
}

NativeReader::Names NativeReader::look(const dom::object& object) const {
  Names names;
  for (const auto [key, value] : object) {
    const MemberMeaning* meaning = members_.find(key);
    if (!meaning) continue;
    names.hints |= meaning->hint | (meaning->number_hint && value.is_number() ? meaning->number_hint : 0);
    names.has_level |= meaning->role == Role::kLevel;
    names.has_msg |= meaning->role == Role::kField && meaning->field == Field::kMsg;
    names.has_run |= meaning->role == Role::kField && !value.is_null() &&
                     (meaning->field == Field::kRunId || meaning->field == Field::kTaskRunId);
  }
  return names;
}

std::uint64_t NativeReader::begin(const dom::object& object) {
  line_.clear();
  std::uint64_t hints = 0;
  for (const auto [key, value] : object) {
    const MemberMeaning* meaning = members_.find(key);
    if (meaning) hints |= meaning->hint | (meaning->number_hint && value.is_number() ? meaning->number_hint : 0);
    line_.push_back({key, value, meaning});
  }
  return hints;
}

void NativeReader::finish(const dom::object& object, EventBuilder& builder) {
  builder_ = &builder;
  event_word_.clear();
  event_text_ = {};
  phase_word_.clear();
  ts_preference_ = level_preference_ = event_preference_ = 0xFF;
  for (const Member& member : line_) read_member(member.key, member.value, member.meaning, {});
  finish_kind();
  LogEvent& event = builder.event;
  if (const auto found = own_.find(event.kind); found != own_.end()) read_own_members(object, found->second);
  if (!event.ts) builder.mark(ContractViolation::kTs);
  if (!event.level_stated) builder.mark(ContractViolation::kLevel);
  if (!event.fields.has(Field::kMsg)) builder.mark(ContractViolation::kMsg);
  if (event.kind >= EventKind::kRunQueued && event.kind <= EventKind::kTaskFinished) {
    if (!event.fields.has(Field::kJobId)) builder.mark(ContractViolation::kJobId);
    if (!event.fields.has(Field::kRunId)) builder.mark(ContractViolation::kRunId);
  }
}

void NativeReader::read_member(std::string_view key, const dom::element& value, const MemberMeaning* meaning,
                               std::string_view path) {
  if (meaning && (meaning->role != Role::kNone || meaning->children) && value.is_null()) return;
  if (meaning && meaning->children && value.is_object()) {
    const std::string_view below = path.empty() ? key : builder_->keep(std::string(path) + "." + std::string(key));
    for (const auto [child_key, child] : dom::object(value)) {
      read_member(child_key, child, meaning->children->find(child_key), below);
    }
    return;
  }
  LogEvent& event = builder_->event;
  std::string_view text;
  switch (meaning ? meaning->role : Role::kNone) {
    case Role::kField:
      builder_->put(meaning->field, value);
      return;
    case Role::kTs:
      if (meaning->preference <= ts_preference_) {
        if (const auto time = time_of(value, builder_->zone())) {
          event.ts = time;
          ts_preference_ = meaning->preference;
        } else {
          builder_->mark(ContractViolation::kBadType);
        }
      }
      return;
    case Role::kLevel:
      if (meaning->preference <= level_preference_ && value.get(text) == simdjson::SUCCESS &&
          builder_->set_level(text)) {
        level_preference_ = meaning->preference;
      }
      return;
    case Role::kEvent:
      if (meaning->preference <= event_preference_ && value.get(text) == simdjson::SUCCESS) {
        event_word_ = builder_->fold(text);
        event_text_ = text;
        event_preference_ = meaning->preference;
      }
      return;
    case Role::kStatus:
      status_is_word_ = value.get(text) == simdjson::SUCCESS;
      builder_->put_text(Field::kStatusText,
                         status_is_word_ ? text : builder_->keep(std::string(simdjson::minify(value))));
      return;
    case Role::kPhase:
      if (value.get(text) == simdjson::SUCCESS && text.size() <= 64) phase_word_ = builder_->fold(text);
      return;
    case Role::kNone:
      break;
  }
  builder_->add_node(path.empty() ? key : builder_->keep(std::string(path) + "." + std::string(key)), value);
}

// Kind and status from the words seen; they may stand anywhere on the line, so this comes last.
void NativeReader::finish_kind() {
  LogEvent& event = builder_->event;
  FieldSet& fields = event.fields;
  bool unknown_event = false;
  if (!event_word_.empty()) {
    const auto found = spec_.events.find(event_word_);
    unknown_event = found == spec_.events.end();
    if (!unknown_event) event.kind = found->second;
    // structlog says there what others call the message.
    if (unknown_event && !fields.has(Field::kMsg)) builder_->put_text(Field::kMsg, event_text_);
  }
  if (!phase_word_.empty()) {
    if (is_known_word(Field::kPhase, phase_word_)) {
      fields.put_text(Field::kPhase, builder_->keep(phase_word_));
    } else if (!spec_.phase_events.contains(phase_word_)) {
      builder_->mark(ContractViolation::kBadType);
    } else if (event_word_.empty() && fields.has(Field::kRunId)) {
      if (builder_->set_status(phase_word_)) event.kind = kind_of_status(event);
    }
  }
  finish_status(unknown_event);
  if (!fields.has(Field::kOutcome)) {
    if (const auto http_status = fields.integer(Field::kHttpStatus)) {
      fields.put_text(Field::kOutcome, *http_status >= 400 ? "error" : "success");
    }
  }
}

void NativeReader::finish_status(bool unknown_event) {
  LogEvent& event = builder_->event;
  FieldSet& fields = event.fields;
  const std::string_view status = fields.text(Field::kStatusText);
  if (unknown_event || event.kind >= EventKind::kDataset) {
    // The state of something else than a run: it stays as it is.
    if (event.kind == EventKind::kDq) {
      if ((!status.empty() || fields.has(Field::kCheck)) && !dq_status_of(status)) {
        builder_->mark(ContractViolation::kUnknownStatus);
      }
      return;
    }
    if (event.kind != EventKind::kDataset || status.empty()) return;
  } else if (status.empty()) {
    return;
  }
  const bool expected = is_finish(event.kind) || event.kind == EventKind::kDataset;
  if (!builder_->set_status(status)) {
    if (status_is_word_ || expected) builder_->mark(ContractViolation::kUnknownStatus);
    // Not nothing, which would mean success: a text may be lost to redaction, this is not.
    if (expected) event.status = RunStatus::kRunning;
  }
  if (event.kind == EventKind::kDataset) return;
  if (event.kind == EventKind::kPlain && event.status && fields.has(Field::kRunId)) event.kind = kind_of_status(event);
  // An end that asks for another attempt is no end of the run.
  if (event.kind == EventKind::kRunFinished && event.attempt_failed) event.kind = EventKind::kAttemptFinished;
  fields.remove(Field::kStatusText);
}

// The kind is known at the end of the line only; the few kinds with fields of their own are read a second time.
void NativeReader::read_own_members(const dom::object& object, const FieldTable& fields) {
  builder_->event.rest.clear();
  for (const auto [key, value] : object) {
    const MemberMeaning* own = fields.find(key);
    const MemberMeaning* meaning = own && !value.is_null() ? own : members_.find(key);
    // What its word means is known by now, and the word is gone where it was one of a run.
    if (meaning && meaning->role == Role::kStatus) continue;
    read_member(key, value, meaning, {});
  }
}

}  // namespace runtail
