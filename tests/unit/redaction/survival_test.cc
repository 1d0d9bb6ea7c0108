// Property: no secret of the zero-survivor kinds survives, however it is wrapped and wherever it stands; the rest of
// the line stays, what comes out is JSON, and a second pass changes nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/json_text.h"
#include "tests/support/redaction_judge.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

struct Phrase {
  std::string kind, text, secret;
};

struct PhraseSpec {
  const char* kind;
  const char* before;  // what stands before the value: how it is known for one
  const char* after;
};

// With each a way it is met in lines.
constexpr PhraseSpec kPhrases[] = {
    {"jwt", "", ""},
    {"aws_key_id", "", ""},
    {"aws_secret", "aws_secret_access_key=", ""},
    {"github_pat", "", ""},
    {"github_fine", "", ""},
    {"gitlab_pat", "", ""},
    {"slack_bot", "", ""},
    {"stripe_secret", "", ""},
    {"gcp_api_key", "", ""},
    {"azure_account_key", "AccountKey=", ""},
    {"private_key", "", ""},
    {"pgp_private", "", ""},
    {"password_plain", "postgres://loader:", "@db-7.internal:5432/warehouse"},
    {"opaque", "Authorization: Bearer ", ""},
    {"basic_pair", "Authorization: Basic ", ""},
    {"hex32", "X-Api-Key: ", ""},
    {"hex32", "sessionid=", ""},
    {"password", "password=", ""},
    {"password", "{\"password\": \"", "\"}"},
    {"password", "password = = ", ""},
    {"password", "[{\"value\": \"", "\", \"name\": \"DB_PASSWORD\"}]"},
    {"email", "Key (email)=(", ") already exists."},
    {"person", "Failing row contains (17, ", ", null)."},
    {"email", "", ""},
    {"ssn", "", ""},
    {"card_plain", "", ""},
    {"iban_plain", "", ""},
    {"person", "{\"patient_name\": \"", "\"}"},
    {"street_address", "{\"home_address\": \"", "\"}"},
    {"passport", "passport number ", ""},
};

Phrase make_phrase(const PhraseSpec& spec, RedactionValues& values) {
  Phrase phrase;
  phrase.kind = std::string(spec.before) + spec.kind;
  phrase.secret = values.make(spec.kind);
  phrase.text = spec.before + phrase.secret + spec.after;
  return phrase;
}

constexpr std::string_view kForms[] = {"plain", "json",     "json2", "u",      "u_signs", "url", "url2",   "form",
                                       "html",  "html_hex", "b64",   "b64url", "hex",     "csv", "colours"};
bool is_token(std::string_view form) { return form == "b64" || form == "b64url" || form == "hex"; }

enum class Spot { kMsg, kError, kText, kMember, kNested, kKey, kDeepKey, kCount };
constexpr const char* kSpotNames[] = {"msg", "error_message", "text", "member", "nested", "key", "deep key"};

std::string as_json(const std::string& text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

LabelledLine place(const Phrase& phrase, std::string_view form, Spot spot, std::size_t pad, RedactionValues& values) {
  LabelledLine line;
  // Tokens shorter than 24 bytes are not looked into.
  const std::string text_inside = phrase.text + (is_token(form) && phrase.text.size() < 18 ? " of one row" : "");
  const std::string wrapped = form == "plain" ? phrase.text : wrap(text_inside, form, values);
  line.secrets = {phrase.secret};
  if (form != "plain") line.secrets.push_back(is_token(form) ? wrapped : wrap(phrase.secret, form, values));
  line.category = phrase.kind;
  line.source = std::string(form) + " in " + kSpotNames[static_cast<int>(spot)];

  std::string text;
  if (pad > 0) {
    text = "head" + std::to_string(values.below(10));
    // The cut takes the end; what stands before it stays.
    line.keeps.push_back(text);
    text += ' ';
    while (text.size() < pad) text += values.word("word") + ' ';
    text.resize(pad - 1);
    text += ' ';
  }
  text += wrapped;
  if (values.below(2) == 0) text += std::string(values.below(2) ? "\n" : " ") + "tail of it";

  const std::string run = values.make("uuid");
  const std::string head =
      R"({"level":"INFO","job_id":"nightly_orders","run_id":")" + run + R"(","records_loaded":4711,)";
  const auto keep_envelope = [&] {
    for (const char* word : {"nightly_orders", "4711"}) line.keeps.emplace_back(word);
    line.keeps.push_back(run);
  };
  switch (spot) {
    case Spot::kMsg:
      line.lines = {head + "\"msg\":" + as_json(text) + '}'};
      keep_envelope();
      break;
    case Spot::kError:
      line.lines = {head + "\"msg\":\"failed\",\"error\":{\"type\":\"E\",\"message\":" + as_json(text) + "}}"};
      keep_envelope();
      break;
    case Spot::kText:
      line.lines = {text};
      break;
    case Spot::kMember:
      line.lines = {head + "\"extra\":{\"info\":" + as_json(text) + ",\"beside\":\"stays\"}}"};
      line.keeps.emplace_back("stays");
      keep_envelope();
      break;
    case Spot::kNested: {
      std::string open, close;
      for (std::uint64_t depth = values.between(1, 20); depth > 0; --depth) {
        const bool array = values.below(2) == 0;
        open += array ? "[1," : "{\"a\":";
        close.insert(0, array ? ",\"stays\"]" : "}");
      }
      line.lines = {head + "\"extra\":" + open + as_json(text) + close + '}'};
      keep_envelope();
      break;
    }
    case Spot::kKey:
      line.lines = {head + "\"extra\":{" + as_json(text) + ":17,\"beside\":\"stays\"}}"};
      line.keeps.emplace_back("stays");
      keep_envelope();
      break;
    default:
      line.lines = {head + "\"extra\":{\"list\":[[{" + as_json(text) + ":{\"x\":true}}],\"stays\"]}}"};
      line.keeps.emplace_back("stays");
      keep_envelope();
  }
  return line;
}

// Sums faults by their sort and the kind of secret, and fails once at the end with the first line of each.
class Faults {
 public:
  void look(const LabelledLine& line, const Judgement& judgement) {
    ++lines_;
    if (!judgement.survivors.empty()) note("survives", line, judgement);
    if (!judgement.lost.empty()) note("loses \"" + judgement.lost.front() + '"', line, judgement);
    if (judgement.broken) note("no JSON", line, judgement);
    if (judgement.changed_again) note("changed again", line, judgement);
  }
  void expect_none() const {
    for (const auto& [sort, fault] : faults_) {
      std::string ways;
      for (const std::string& way : fault.ways) ways += "\n  " + way;
      ADD_FAILURE() << sort << ": " << fault.count << " of " << lines_ << " lines:" << ways << "\n" << fault.first;
    }
    std::printf("%zu lines\n", lines_);
  }

 private:
  struct Fault {
    std::size_t count = 0;
    std::set<std::string> ways;
    std::string first;
  };
  void note(const std::string& what, const LabelledLine& line, const Judgement& judgement) {
    Fault& fault = faults_[what + ": " + line.category];
    fault.ways.insert(line.source);
    if (fault.count++ > 0) return;
    const auto end_of = [](const std::string& text) {
      return text.substr(text.size() - std::min<std::size_t>(text.size(), 900));
    };
    fault.first = "in:  " + end_of(line.lines.front()) + "\nout: " + end_of(judgement.output);
  }
  std::size_t lines_ = 0;
  std::map<std::string, Fault> faults_;
};

TEST(Survival, NoneInAnyFormAtAnyPlace) {
  RedactionJudge judge;
  RedactionValues values(seed());
  Faults faults;
  const int rounds = by_scale(3, 100);
  for (int round = 0; round < rounds; ++round) {
    for (const PhraseSpec& spec : kPhrases) {
      for (const std::string_view form : kForms) {
        for (int spot = 0; spot < static_cast<int>(Spot::kCount); ++spot) {
          const std::size_t pad = values.below(3) == 0 ? 0 : values.between(12, 200);
          const LabelledLine line = place(make_phrase(spec, values), form, static_cast<Spot>(spot), pad, values);
          faults.look(line, judge.judge(line));
        }
      }
    }
  }
  faults.expect_none();
}

// The message is cut to 2 KB only when nothing is left to be cut through.
TEST(Survival, NoneAtAnyPositionBesideTheCut) {
  constexpr std::size_t kCut = 2048;
  RedactionJudge judge;
  RedactionValues values(seed());
  Faults faults;
  for (const PhraseSpec& spec : kPhrases) {
    for (const std::string_view form : kForms) {
      const Phrase sample = make_phrase(spec, values);
      const std::size_t size = form == "plain" ? sample.text.size() : wrap(sample.text, form, values).size();
      const std::size_t from = kCut - std::min(kCut - 20, size + 2);
      const std::size_t step = by_scale<std::size_t>((kCut + 4 - from) / 12 + 1, 1);
      for (std::size_t pad = from + values.below(step); pad <= kCut + 2; pad += step) {
        const LabelledLine line = place(make_phrase(spec, values), form, Spot::kError, pad, values);
        faults.look(line, judge.judge(line));
      }
    }
  }
  faults.expect_none();
}

// A number is no text, and identifies all the same.
TEST(Survival, NoneAsANumber) {
  RedactionJudge judge;
  RedactionValues values(seed());
  Faults faults;
  for (int round = 0; round < by_scale(200, 20000); ++round) {
    static constexpr std::pair<const char*, const char*> kNumbers[] = {{"card_plain", "value"},
                                                                       {"card_plain", "card_number"},
                                                                       {"ssn_number", "ssn"},
                                                                       {"ssn_number", "patientSsn"},
                                                                       {"nhs_plain", "nhs_number"},
                                                                       {"npi", "npi"},
                                                                       {"mrn", "mrn"},
                                                                       {"mrn", "password"},
                                                                       {"phone_digits", "phone"}};
    const auto& [kind, key] = kNumbers[values.below(std::size(kNumbers))];
    const std::string number = values.make(kind);
    static constexpr const char* kTails[] = {"", ".0", "e0"};
    const std::string written = number + kTails[values.below(std::size(kTails))];
    const std::string member = '"' + std::string(key) + "\":";
    static constexpr const char *kSpotsOpen[] = {"{", "{\"a\":[1,{", "[[{"}, *kSpotsClose[] = {"}", "}]}", "}]]"};
    const std::size_t spot = values.below(3);
    const bool in_array = values.below(3) == 0 && std::string_view(key) == "value";
    LabelledLine line;
    line.category = kind;
    line.source = std::string("number under ") + (in_array ? "an array" : key);
    line.lines = {R"({"level":"INFO","msg":"stays here","extra":)" + std::string(kSpotsOpen[spot]) +
                  (in_array ? "\"values\":[7," + written + ",8]" : member + written) + kSpotsClose[spot] + '}'};
    line.secrets = {number};
    line.keeps = {"stays here"};
    faults.look(line, judge.judge(line));
  }
  faults.expect_none();
}

// Secrets side by side, without a space, in one string.
TEST(Survival, NoneOfSeveralInOneText) {
  RedactionJudge judge;
  RedactionValues values(seed());
  Faults faults;
  for (int round = 0; round < by_scale(400, 40000); ++round) {
    static constexpr const char* kJoins[] = {" ", ", ", ";", "|", "\n", "\t", "\",\"", "<br>", " and "};
    LabelledLine line;
    line.category = line.source = "several";
    std::string text;
    for (std::uint64_t n = values.between(2, 5); n > 0; --n) {
      // Those known by their own shape: what is known by its name may end where the next begins.
      static constexpr const char* kKinds[] = {"jwt",   "aws_key_id", "github_pat", "slack_bot",  "stripe_secret",
                                               "email", "ssn",        "card_plain", "iban_plain", "gitlab_pat"};
      const std::string secret = values.make(kKinds[values.below(std::size(kKinds))]);
      line.secrets.push_back(secret);
      text += secret + kJoins[values.below(std::size(kJoins))];
    }
    line.lines = {R"({"level":"INFO","job_id":"nightly_orders","msg":)" + as_json(text) + '}'};
    line.keeps = {"nightly_orders"};
    faults.look(line, judge.judge(line));
  }
  faults.expect_none();
}

// Any line: what comes out is JSON and stays as it is; corpus lines cut, glued and spoilt.
TEST(Survival, SpoiltLinesStayJsonAndChangeOnce) {
  RedactionJudge judge;
  RedactionValues values(seed());
  std::vector<LabelledLine> lines;
  for (const CorpusCategory& category : positive_categories()) {
    for (LabelledLine& line : lines_of(category, 20, values)) lines.push_back(std::move(line));
  }
  Faults faults;
  for (int round = 0; round < by_scale(4000, 400'000); ++round) {
    std::string text = lines[values.below(lines.size())].lines.front();
    for (std::uint64_t n = values.below(3); n > 0; --n) {
      const std::size_t at = values.below(text.size() + 1);
      switch (values.below(5)) {
        case 0:
          text.resize(at);
          break;
        case 1:
          text.erase(0, at);
          break;
        case 2:
          text.insert(at, lines[values.below(lines.size())].lines.front().substr(0, 80));
          break;
        case 3:
          text.insert(at, 1, static_cast<char>(values.below(256)));
          break;
        default:
          text.insert(at, "[REDACTED:email]");
          break;
      }
    }
    LabelledLine line;
    line.category = line.source = "spoilt";
    line.lines = {text};
    faults.look(line, judge.judge(line));
  }
  faults.expect_none();
}

}  // namespace
}  // namespace runtail::test
