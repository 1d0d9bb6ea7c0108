// How well redaction does on the labelled corpus, category by category, against the goals written beside the
// categories. The whole table is printed. RUNTAIL_CORPUS_SHOW=category prints the lines of one that went wrong.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "tests/support/redaction_judge.h"
#include "tests/support/scale.h"

namespace runtail::test {
namespace {

// Recall that goals do not have yet: never much less than this. An entry that its goal has reached fails: strike it
// out.
const std::map<std::string, double, std::less<>> kNotYet = {};
constexpr double kFalsePositivesMax = 0.003, kKeepLossMax = 0.005, kMicroMin = 0.995, kMacroMin = 0.99;
// Categories outside the core: their goals are lower, or there is none.
const std::set<std::string, std::less<>> kStretch = {"base64_wrapped",     "homoglyph",        "pem_stream",
                                                     "csv_dataframe_dump", "obfuscated_email", "name_free_text"};
constexpr std::uint64_t kSeed = 1;
const std::size_t kLinesEach = by_scale<std::size_t>(90, 900);

bool is_core(std::string_view name) { return !name.starts_with("parity_") && !kStretch.contains(name); }

bool is_shown(std::string_view category) {
  const char* shown = std::getenv("RUNTAIL_CORPUS_SHOW");
  return shown && (category == shown || std::string_view(shown) == "all");
}

void show(const LabelledLine& line, const std::string& fault, const Judgement& judgement) {
  std::printf("  %s %s: %s\n", line.category.c_str(), line.source.c_str(), fault.c_str());
  for (const std::string& each : line.lines) std::printf("    in:  %.600s\n", each.c_str());
  std::printf("    out: %.600s\n", judgement.output.c_str());
}

// What holds for each line, whatever it is.
struct Sums {
  std::size_t lines = 0, keeps = 0, lost = 0, broken = 0, changed_again = 0;

  void add(const LabelledLine& line, const Judgement& judgement) {
    ++lines;
    keeps += line.keeps.size();
    lost += judgement.lost.size();
    broken += judgement.broken;
    changed_again += judgement.changed_again;
    if (is_shown(line.category)) {
      for (const std::string& keep : judgement.lost) show(line, "lost \"" + keep + '"', judgement);
      if (judgement.broken) show(line, "broken JSON", judgement);
      if (judgement.changed_again) show(line, "changed again", judgement);
    }
  }
  void print() const {
    std::printf("%zu lines: keep-loss %zu of %zu (%.3f %%), broken JSON %zu, changed by a second pass %zu\n", lines,
                lost, keeps, keeps == 0 ? 0.0 : 100.0 * static_cast<double>(lost) / static_cast<double>(keeps), broken,
                changed_again);
  }
  void expect_fine() const {
    EXPECT_LE(static_cast<double>(lost), kKeepLossMax * static_cast<double>(keeps));
    EXPECT_EQ(broken, 0u);
    EXPECT_EQ(changed_again, 0u);
  }
};

TEST(RedactionCorpus, NothingSurvivesThatMustNotByTheGoals) {
  const std::vector<CorpusCategory> categories = positive_categories();
  std::printf("%-28s %6s %8s %7s %6s\n", "category", "lines", "recall", "goal", "lost");
  RedactionJudge judge;
  RedactionValues values(kSeed);
  Sums sums;
  double core_lines = 0, core_clean = 0, core_recalls = 0, core_categories = 0;
  for (const CorpusCategory& category : categories) {
    std::size_t clean = 0, lost = 0;
    const std::vector<LabelledLine> lines = lines_of(category, kLinesEach, values);
    for (const LabelledLine& line : lines) {
      ASSERT_FALSE(line.secrets.empty()) << line.source;
      const Judgement judgement = judge.judge(line);
      sums.add(line, judgement);
      clean += judgement.survivors.empty();
      lost += judgement.lost.size();
      if (!judgement.survivors.empty() && is_shown(category.name)) {
        show(line, "\"" + judgement.survivors.front() + "\" survives", judgement);
      }
    }
    const double recall = static_cast<double>(clean) / static_cast<double>(lines.size());
    const auto not_yet = kNotYet.find(category.name);
    std::printf("%-28s %6zu %8.3f %7.3f %6zu%s\n", category.name.c_str(), lines.size(), recall, category.goal, lost,
                recall >= category.goal    ? ""
                : not_yet != kNotYet.end() ? "  not yet"
                                           : "  MISSED");
    if (not_yet != kNotYet.end()) {
      EXPECT_GE(recall, not_yet->second - 0.03) << category.name << " was better before";
      EXPECT_LT(recall, category.goal) << category.name << " has reached its goal: strike it out of kNotYet";
    } else {
      EXPECT_GE(recall, category.goal) << category.name << "; RUNTAIL_CORPUS_SHOW=" << category.name
                                       << " shows the lines";
    }
    if (!is_core(category.name)) continue;
    core_lines += static_cast<double>(lines.size());
    core_clean += static_cast<double>(clean);
    core_recalls += recall;
    ++core_categories;
  }
  const double micro = core_clean / core_lines, macro = core_recalls / core_categories;
  std::printf("core: micro %.4f (goal %.3f), macro %.4f (goal %.3f)\n", micro, kMicroMin, macro, kMacroMin);
  sums.print();
  if (kNotYet.empty()) {
    EXPECT_GE(micro, kMicroMin);
    EXPECT_GE(macro, kMacroMin);
  }
  sums.expect_fine();
  EXPECT_GE(categories.size(), 50u);
  EXPECT_GE(sums.lines, 3000u);
}

TEST(RedactionCorpus, LinesWithoutASecretStayAsTheyAre) {
  const std::vector<CorpusCategory> categories = negative_categories();
  RedactionJudge judge;
  RedactionValues values(kSeed);
  Sums sums;
  std::size_t changed_all = 0;
  std::printf("%-28s %6s %8s\n", "category", "lines", "changed");
  for (const CorpusCategory& category : categories) {
    std::size_t changed = 0;
    for (const LabelledLine& line : lines_of(category, kLinesEach, values)) {
      const Judgement judgement = judge.judge(line);
      sums.add(line, judgement);
      changed += judgement.changed;
      if (judgement.changed && is_shown(category.name)) show(line, "changed", judgement);
    }
    std::printf("%-28s %6zu %8zu%s\n", category.name.c_str(), kLinesEach, changed,
                changed == 0 ? "" : "  FALSE POSITIVES");
    if (category.goal == 0) {
      EXPECT_EQ(changed, 0u) << category.name << "; RUNTAIL_CORPUS_SHOW=" << category.name << " shows the lines";
    }
    changed_all += changed;
  }
  std::printf("%zu of %zu changed (%.2f %%, goal %.1f %%)\n", changed_all, sums.lines,
              100.0 * static_cast<double>(changed_all) / static_cast<double>(sums.lines), 100 * kFalsePositivesMax);
  sums.print();
  EXPECT_LE(static_cast<double>(changed_all), kFalsePositivesMax * static_cast<double>(sums.lines));
  sums.expect_fine();
  EXPECT_GE(categories.size(), 20u);
  EXPECT_GE(sums.lines, 1500u);
}

// The corpus judges the redactor; these judge the corpus.
TEST(RedactionCorpus, TheSameSeedGivesTheSameLines) {
  for (const CorpusCategory& category : positive_categories()) {
    RedactionValues one(7), two(7), other(8);
    const auto lines = lines_of(category, 20, one), same = lines_of(category, 20, two),
               others = lines_of(category, 20, other);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      EXPECT_EQ(lines[i].lines, same[i].lines);
      EXPECT_NE(lines[i].lines, others[i].lines) << category.name;
    }
  }
}

TEST(RedactionCorpus, EachLineHoldsItsSecretsAndKeeps) {
  RedactionValues values(kSeed);
  for (const CorpusCategory& category : positive_categories()) {
    for (const LabelledLine& line : lines_of(category, kLinesEach, values)) {
      std::string text;
      for (const std::string& each : line.lines) {
        if (!flat_text(each, text)) text += each + '\n';
      }
      bool any = false;
      for (const std::string& secret : line.secrets) any = any || survives(secret, text);
      EXPECT_TRUE(any || text.find("\"age\"") != text.npos || category.name == "age_over_89")
          << line.source << ": " << text;
      for (const std::string& keep : line.keeps) EXPECT_NE(text.find(keep), text.npos) << line.source << ": " << keep;
    }
  }
}

TEST(RedactionCorpus, CheckDigitsAreValid) {
  RedactionValues values(seed());
  EXPECT_EQ(luhn_digit("411111111111111"), '1');
  EXPECT_EQ(luhn_digit("37828224631000"), '5');
  for (int i = 0; i < 200; ++i) {
    const std::string card = values.make("card_plain");
    EXPECT_EQ(luhn_digit(card.substr(0, card.size() - 1)), card.back());
    const std::string iban = values.make("iban_plain");
    unsigned rest = 0;
    for (const char c : iban.substr(4) + iban.substr(0, 4)) {
      rest = c >= 'A' ? (rest * 100 + static_cast<unsigned>(c - 'A' + 10)) % 97
                      : (rest * 10 + static_cast<unsigned>(c - '0')) % 97;
    }
    EXPECT_EQ(rest, 1u) << iban;
    const std::string nhs = values.make("nhs_plain");
    unsigned sum = 0;
    for (std::size_t j = 0; j < 10; ++j) sum += static_cast<unsigned>(nhs[j] - '0') * static_cast<unsigned>(10 - j);
    EXPECT_EQ(sum % 11, 0u) << nhs;
  }
}

TEST(RedactionCorpus, HalfASecretIsFound) {
  EXPECT_TRUE(survives("abcdefghijklmnop", "x abcdefgh y"));
  EXPECT_FALSE(survives("abcdefghijklmnop", "x abcdefg y"));
  EXPECT_TRUE(survives("Anna", "{\"a\":\"Anna\"}"));
  EXPECT_FALSE(survives("Anna", "Annabel"));
  EXPECT_FALSE(survives("1234", "x91234"));
}

}  // namespace
}  // namespace runtail::test
