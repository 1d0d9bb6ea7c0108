#include "tests/support/redaction_values.h"

#include <fstream>
#include <functional>
#include <stdexcept>

namespace runtail::test {
namespace {

constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kUpperDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr std::string_view kAlnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

// Sections "[name]" of one word or phrase a line; '#' begins a comment.
using Lists = std::map<std::string, std::vector<std::string>, std::less<>>;

const Lists& lists() {
  static const Lists kLists = [] {
    Lists lists;
    const std::string path = RUNTAIL_SOURCE_DIR "/tests/testdata/redaction/words.txt";
    std::ifstream file(path);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::vector<std::string>* list = nullptr;
    for (std::string line; std::getline(file, line);) {
      if (line.empty() || line[0] == '#') continue;
      if (line[0] == '[') {
        list = &lists[line.substr(1, line.size() - 2)];
      } else if (list) {
        list->push_back(line);
      }
    }
    return lists;
  }();
  return kLists;
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

// As names stand in addresses and logins.
std::string plain_name(const std::string& name) {
  std::string out;
  for (const char c : lower(name)) {
    if (c != '\'') out += c;
  }
  return out;
}

std::string two(std::uint64_t value) {
  return {static_cast<char>('0' + value / 10), static_cast<char>('0' + value % 10)};
}

std::string base64(std::string_view text, std::string_view alphabet, bool pad) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j)
      word = word << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0);
    for (std::size_t j = 0; j < 4; ++j) {
      if (i + j <= text.size()) {
        out += alphabet[word >> (18 - 6 * j) & 63];
      } else if (pad) {
        out += '=';
      }
    }
  }
  return out;
}

using V = RedactionValues;

// A word any reader takes for a password: letters of both cases and digits, often a sign.
std::string password(V& v) {
  static constexpr std::string_view kSigns = "!#$*-_.~^%";
  switch (v.below(4)) {
    case 0:
      return v.word("password_word") + std::to_string(v.between(10, 9999));
    case 1:
      return v.word("password_word") + kSigns[v.below(kSigns.size())] + v.letters(4, kAlnum) + v.letters(1, kDigits);
    default:
      return v.letters(v.between(9, 22), kAlnum) + v.letters(1, kDigits) + v.letters(1, kUpper);
  }
}

std::string ssn(V& v, std::string_view separator) {
  std::string area;
  do {
    area = std::string(1, static_cast<char>('0' + v.below(9))) + two(v.below(100));
  } while (area == "000" || area == "666");
  const std::string serial = std::to_string(v.between(1001, 9999));
  return area + std::string(separator) + two(v.between(1, 99)) + std::string(separator) + serial;
}

std::string card_digits(V& v) {
  static constexpr std::string_view kHeads[] = {"4",    "51", "52", "53",   "54", "55",
                                                "2221", "34", "37", "6011", "36", "3528"};
  const std::string_view head = kHeads[v.below(std::size(kHeads))];
  const std::size_t size = head == "34" || head == "37" ? 15 : head == "36" ? 14 : 16;
  std::string card(head);
  card += v.digits(size - 1 - card.size());
  return card + luhn_digit(card);
}

std::string in_groups(std::string_view digits, std::string_view separator) {
  const bool amex = digits.size() == 15;
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (amex ? i == 4 || i == 10 : i % 4 == 0)) out += separator;
    out += digits[i];
  }
  return out;
}

std::string iban(V& v, bool grouped) {
  struct Country {
    std::string_view code, bank;
    std::size_t digits;
  };
  static constexpr Country kCountries[] = {{"DE", "", 18},  {"FR", "", 23}, {"ES", "", 20},     {"AT", "", 16},
                                           {"BE", "", 12},  {"PL", "", 24}, {"GB", "WEST", 14}, {"NL", "ABNA", 10},
                                           {"IT", "X", 22}, {"CH", "", 17}, {"PT", "", 21},     {"DK", "", 14},
                                           {"SE", "", 20}};
  const Country& country = kCountries[v.below(std::size(kCountries))];
  const std::string account = std::string(country.bank) + v.digits(country.digits);
  const std::string turned = account + std::string(country.code) + "00";
  unsigned rest = 0;
  for (const char c : turned) {
    rest = c >= 'A' ? (rest * 100 + static_cast<unsigned>(c - 'A' + 10)) % 97
                    : (rest * 10 + static_cast<unsigned>(c - '0')) % 97;
  }
  const std::string whole = std::string(country.code) + two(98 - rest) + account;
  return grouped ? in_groups(whole + (whole.size() == 15 ? " " : ""), " ") : whole;
}

std::string nhs(V& v, std::string_view separator) {
  while (true) {
    const std::string nine = v.digits(9);
    unsigned sum = 0;
    for (std::size_t i = 0; i < 9; ++i) sum += static_cast<unsigned>(nine[i] - '0') * static_cast<unsigned>(10 - i);
    const unsigned check = (11 - sum % 11) % 11;
    if (check == 10) continue;
    const std::string s(separator);
    return nine.substr(0, 3) + s + nine.substr(3, 3) + s + nine.substr(6) + static_cast<char>('0' + check);
  }
}

std::string dea(V& v) {
  const std::string six = v.digits(6);
  const auto at = [&](std::size_t i) { return six[i] - '0'; };
  const int check = (at(0) + at(2) + at(4) + 2 * (at(1) + at(3) + at(5))) % 10;
  return v.letters(1, "ABFGM") + v.letters(1, kUpper) + six + static_cast<char>('0' + check);
}

std::string npi(V& v) {
  const std::string nine = v.letters(1, "12") + v.letters(8, kDigits);
  return nine + luhn_digit("80840" + nine);
}

// Medicare beneficiary identifier: fixed places for digits and letters, no S, L, O, I, B, Z.
std::string mbi(V& v) {
  static constexpr std::string_view kLetters = "ACDEFGHJKMNPQRTUVWXY";
  static constexpr std::string_view kBoth = "ACDEFGHJKMNPQRTUVWXY0123456789";
  return v.letters(1, "123456789") + v.letters(1, kLetters) + v.letters(1, kBoth) + v.letters(1, kDigits) +
         v.letters(1, kLetters) + v.letters(1, kBoth) + v.letters(1, kDigits) + v.letters(2, kLetters) +
         v.letters(2, kDigits);
}

std::string ipv4(V& v) {
  static constexpr int kHeads[] = {23, 34, 52, 81, 91, 103, 130, 151, 172, 185, 192, 203, 10, 198};
  std::string out = std::to_string(kHeads[v.below(std::size(kHeads))]);
  for (int i = 0; i < 3; ++i) out += '.' + std::to_string(v.between(1, 254));
  return out;
}

std::string ipv6(V& v) {
  std::string out = "2001:" + v.letters(1, "123456789abcdef") + v.letters(3, kHex);
  switch (v.below(3)) {
    case 0:
      for (int i = 0; i < 6; ++i) out += ':' + v.letters(1, "123456789abcdef") + v.letters(v.below(4), kHex);
      return out;
    case 1:
      return out + ':' + v.letters(4, kHex) + "::" + v.letters(1, "123456789abcdef") + v.letters(2, kHex);
    default:
      return "fe80::" + v.letters(4, kHex) + ':' + v.letters(4, kHex) + ':' + v.letters(4, kHex) + ':' +
             v.letters(4, kHex);
  }
}

std::string mac(V& v) {
  const bool upper = v.below(2) == 0;
  const std::string_view alphabet = upper ? "0123456789ABCDEF" : kHex;
  const char separator = v.below(3) == 0 ? '-' : ':';
  std::string out = v.letters(1, "0123456789") + v.letters(1, upper ? "02468ACE" : "02468ace");
  for (int i = 0; i < 5; ++i) out += separator + v.letters(2, alphabet);
  return out;
}

std::string login(V& v) {
  return lower(v.word("first")).substr(0, 1) + plain_name(v.word("last")) +
         (v.below(2) ? std::to_string(v.between(1, 99)) : "");
}

std::string email(V& v) {
  const std::string first = lower(v.word("first")), last = plain_name(v.word("last"));
  static constexpr std::string_view kJoins[] = {".", "_", "-", ""};
  std::string local = first + std::string(kJoins[v.below(4)]) + last;
  if (v.below(3) == 0) local += std::to_string(v.between(1, 999));
  return local + '@' + v.word("mail_domain");
}

std::string phone_us(V& v) {
  const std::string area = std::to_string(v.between(2, 9)) + v.letters(1, "0123") + v.letters(1, "023456789");
  const std::string mid = std::to_string(v.between(2, 9)) + v.letters(1, "02345678") + v.letters(1, kDigits),
                    end = v.letters(4, kDigits);
  switch (v.below(6)) {
    case 0:
      return '(' + area + ") " + mid + '-' + end;
    case 1:
      return area + '-' + mid + '-' + end;
    case 2:
      return area + '.' + mid + '.' + end;
    case 3:
      return "+1 " + area + ' ' + mid + ' ' + end;
    case 4:
      return "+1-" + area + '-' + mid + '-' + end;
    default:
      return "1-" + area + '-' + mid + '-' + end;
  }
}

std::string phone_intl(V& v) {
  const auto d = [&](std::size_t n) { return v.letters(n, kDigits); };
  switch (v.below(8)) {
    case 0:
      return "+44 20 7" + d(3) + ' ' + d(4);
    case 1:
      return "+49 30 " + v.digits(4) + d(4);
    case 2:
      return "+33 1 " + v.digits(2) + ' ' + d(2) + ' ' + d(2) + ' ' + d(2);
    case 3:
      return "+48 5" + d(2) + ' ' + d(3) + ' ' + d(3);
    case 4:
      return "+61 4" + d(2) + ' ' + d(3) + ' ' + d(3);
    case 5:
      return "+4479" + d(8);
    case 6:
      return "+49-171-" + v.digits(7);
    default:
      return "+91 9" + d(4) + ' ' + d(5);
  }
}

std::string date_in(V& v, std::uint64_t from, std::uint64_t to) {
  const std::string year = std::to_string(v.between(from, to)), month = two(v.between(1, 12)),
                    day = two(v.between(1, 28));
  static constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  switch (v.below(6)) {
    case 0:
      return month + '/' + day + '/' + year;
    case 1:
      return day + '.' + month + '.' + year;
    case 2:
      return day + '-' + std::string(kMonths[v.below(12)]) + '-' + year;
    default:
      return year + '-' + month + '-' + day;
  }
}

std::string jwt(V& v) {
  const std::string subject =
      "{\"sub\":\"" + v.digits(8) + "\",\"iss\":\"" + v.word("host") + "\",\"exp\":" + v.digits(10) + '}';
  const std::string_view algorithm = v.below(2) ? "HS256" : "RS256";
  const std::string header = "{\"alg\":\"" + std::string(algorithm) + "\",\"typ\":\"JWT\"}";
  return base64(header, kBase64Url, false) + '.' + base64(subject, kBase64Url, false) + '.' + v.letters(43, kBase64Url);
}

std::string pem(V& v, std::string_view name, std::string_view newline) {
  std::string out = "-----BEGIN " + std::string(name) + "-----";
  for (std::uint64_t i = v.between(3, 12); i > 0; --i) out += std::string(newline) + v.letters(64, kBase64);
  return out + std::string(newline) + v.letters(34, kBase64) + "==" + std::string(newline) + "-----END " +
         std::string(name) + "-----";
}

std::string uuid(V& v) {
  return v.letters(8, kHex) + '-' + v.letters(4, kHex) + "-4" + v.letters(3, kHex) + '-' + v.letters(1, "89ab") +
         v.letters(3, kHex) + '-' + v.letters(12, kHex);
}

// Between words a person uses: a token that stands for nothing known.
std::string opaque(V& v) { return v.letters(v.between(24, 48), kAlnum) + v.letters(1, kDigits); }

// A name, a sign and a shape: sk_live_..., glpat-...
struct Vendor {
  std::string_view kind, head;
  std::size_t size;
  std::string_view alphabet;
};
constexpr Vendor kVendors[] = {
    {"github_pat", "ghp_", 36, kAlnum},
    {"github_oauth", "gho_", 36, kAlnum},
    {"github_server", "ghs_", 36, kAlnum},
    {"github_refresh", "ghr_", 36, kAlnum},
    {"gitlab_pat", "glpat-", 20, kBase64Url},
    {"gitlab_runner", "glrt-", 20, kBase64Url},
    {"gitlab_deploy", "gldt-", 20, kBase64Url},
    {"gitlab_trigger", "glptt-", 40, kHex},
    {"stripe_secret", "sk_live_", 24, kAlnum},
    {"stripe_test", "sk_test_", 24, kAlnum},
    {"stripe_restricted", "rk_live_", 24, kAlnum},
    {"stripe_webhook", "whsec_", 32, kAlnum},
    {"gcp_api_key", "AIza", 35, kBase64Url},
    {"gcp_oauth", "ya29.", 64, kBase64Url},
    {"gcp_client_secret", "GOCSPX-", 28, kBase64Url},
    {"npm_token", "npm_", 36, kAlnum},
    {"pypi_token", "pypi-AgEIcHlwaS5vcmc", 60, kBase64Url},
    {"twilio_key", "SK", 32, kHex},
    {"databricks_token", "dapi", 32, kHex},
    {"digitalocean_token", "dop_v1_", 64, kHex},
    {"shopify_token", "shpat_", 32, kHex},
    {"huggingface_token", "hf_", 34, kAlnum},
    {"grafana_token", "glsa_", 32, kAlnum},
    {"newrelic_key", "NRAK-", 27, kUpperDigits},
    {"postman_key", "PMAK-", 24, kHex},
    {"linear_key", "lin_api_", 40, kAlnum},
    {"vault_token", "hvs.", 90, kBase64Url},
    {"doppler_token", "dp.pt.", 43, kAlnum},
    {"anthropic_key", "sk-ant-api03-", 93, kBase64Url},
    {"openai_key", "sk-proj-", 64, kAlnum},
    {"atlassian_token", "ATATT3xFfGF0", 60, kBase64Url},
    {"planetscale_token", "pscale_tkn_", 43, kBase64Url},
    {"pulumi_token", "pul-", 40, kHex},
    {"telegram_token", "", 0, kAlnum},
    {"sendgrid_key", "", 0, kAlnum},
    {"slack_bot", "", 0, kAlnum},
    {"slack_user", "", 0, kAlnum},
};

using Maker = std::function<std::string(V&)>;

const std::map<std::string, Maker, std::less<>>& makers() {
  static const auto* kMakers = new std::map<std::string, Maker, std::less<>>{
      // People.
      {"person", [](V& v) { return v.word("first") + ' ' + v.word("last"); }},
      {"person_comma", [](V& v) { return v.word("last") + ", " + v.word("first"); }},
      {"email", email},
      {"email_plus", [](V& v) { return lower(v.word("first")) + '+' + lower(v.word("word")) + '@' + v.word("mail_domain"); }},
      {"email_upper", [](V& v) { return v.word("first") + ".Whitcombe@Example.COM"; }},
      {"email_intl", [](V& v) { return lower(v.word("first")) + '.' + v.word("intl_name") + '@' + v.word("intl_domain"); }},
      {"email_ip", [](V& v) { return login(v) + "@[" + ipv4(v) + ']'; }},
      {"login", login},
      {"password_sign", [](V& v) { return v.make("password") + '&' + v.digits(1); }},
      {"phone_us", phone_us},
      {"phone_intl", phone_intl},
      {"ssn", [](V& v) { return ssn(v, "-"); }},
      {"ssn_space", [](V& v) { return ssn(v, " "); }},
      {"ssn_plain", [](V& v) { return ssn(v, ""); }},
      {"card", [](V& v) { return in_groups(card_digits(v), v.below(2) ? " " : "-"); }},
      {"card_plain", card_digits},
      {"iban", [](V& v) { return iban(v, true); }},
      {"iban_plain", [](V& v) { return iban(v, false); }},
      {"nhs", [](V& v) { return nhs(v, " "); }},
      {"nhs_dash", [](V& v) { return nhs(v, "-"); }},
      {"nhs_plain", [](V& v) { return nhs(v, ""); }},
      {"npi", npi},
      {"dea", dea},
      {"mbi", mbi},
      {"mbi_dash", [](V& v) { const std::string id = mbi(v); return id.substr(0, 4) + '-' + id.substr(4, 3) + '-' + id.substr(7); }},
      {"ipv4", ipv4},
      {"ipv6", ipv6},
      {"mac", mac},
      {"dob", [](V& v) { return date_in(v, 1931, 2008); }},
      {"dob_iso", [](V& v) { return std::to_string(v.between(1931, 2008)) + '-' + two(v.between(1, 12)) + '-' + two(v.between(1, 28)); }},
      {"dob_hl7", [](V& v) { return std::to_string(v.between(1931, 2008)) + two(v.between(1, 12)) + two(v.between(1, 28)); }},
      {"death_date", [](V& v) { return date_in(v, 2015, 2024); }},
      {"mrn", [](V& v) { return v.digits(v.between(6, 10)); }},
      {"mrn_letters", [](V& v) { return v.letters(2, kUpper) + v.digits(7); }},
      {"passport", [](V& v) { return v.letters(1, "ABCEHKLMNPX") + v.digits(8); }},
      {"passport_digits", [](V& v) { return v.digits(9); }},
      {"licence", [](V& v) { return v.letters(1, kUpper) + v.digits(7); }},
      {"licence_long", [](V& v) { return v.letters(1, kUpper) + v.digits(3) + '-' + v.digits(4) + '-' + v.digits(4); }},
      {"street_address", [](V& v) { return std::to_string(v.between(2, 9899)) + ' ' + v.word("street") + ' ' + v.word("street_kind"); }},
      {"zip", [](V& v) { return v.digits(5); }},
      {"age90", [](V& v) { return std::to_string(v.between(90, 104)); }},
      {"age_member", [](V& v) { return "\"age\":" + std::to_string(v.between(90, 104)); }},
      {"phone_digits", [](V& v) { return "49171" + v.digits(7); }},
      {"ssn_number", [](V& v) { return v.letters(1, "1234578") + v.letters(1, kDigits) + v.letters(1, "12345789") + v.letters(1, "123456789") + v.digits(5); }},
      {"age_phrase", [](V& v) { return v.word("age_word") + std::to_string(v.between(90, 104)); }},
      {"years90", [](V& v) { return std::to_string(v.between(90, 104)) + (v.below(2) ? " years" : "-year"); }},
      {"subject_id", [](V& v) { return v.letters(3, kUpper) + '-' + two(v.between(1, 99)) + v.letters(1, kDigits) + '-' + v.digits(4); }},
      {"usubjid", [](V& v) { return v.letters(4, kUpper) + two(v.between(1, 99)) + '-' + v.digits(3) + '-' + v.digits(5); }},
      {"subject_number", [](V& v) { return v.digits(4); }},
      {"kit_number", [](V& v) { return "K" + v.digits(6); }},
      {"randomisation", [](V& v) { return "R" + v.digits(5); }},
      {"obfuscated_email",
       [](V& v) {
         static constexpr std::string_view kAts[] = {" at ", " [at] ", "(at)", " AT "}, kDots[] = {" dot ", " [dot] ", "(dot)", " DOT "};
         const std::size_t style = v.below(4);
         std::string domain;
         for (const char c : v.word("mail_domain")) domain += c == '.' ? std::string(kDots[style]) : std::string(1, c);
         return lower(v.word("first")) + std::string(kDots[style]) + plain_name(v.word("last")) + std::string(kAts[style]) + domain;
       }},
      // What opens a door.
      {"password", password},
      {"password_plain", [](V& v) { return v.letters(14, kAlnum); }},
      {"password_spaces", [](V& v) { return v.word("password_word") + ' ' + lower(v.word("word")) + ' ' + v.digits(3); }},
      {"password_sign", [](V& v) { return v.letters(6, kAlnum) + v.letters(1, "@:!#") + v.letters(6, kAlnum) + v.digits(1); }},
      {"jwt", jwt},
      {"opaque", opaque},
      {"opaque_url", [](V& v) { return v.letters(v.between(32, 56), kBase64Url) + v.letters(2, kDigits); }},
      {"hex32", [](V& v) { return v.letters(32, kHex); }},
      {"hex8", [](V& v) { return v.letters(1, "abcdef") + v.letters(7, kHex); }},
      {"hex16", [](V& v) { return v.letters(1, "abcdef") + v.letters(15, kHex); }},
      {"hex40", [](V& v) { return v.letters(40, kHex); }},
      {"hex64", [](V& v) { return v.letters(64, kHex); }},
      {"base64_40", [](V& v) { return v.letters(43, kBase64) + '='; }},
      {"basic_pair", [](V& v) { return base64(login(v) + ':' + password(v), kBase64, true); }},
      {"aws_key_id", [](V& v) { return (v.below(3) ? "AKIA" : "ASIA") + v.letters(16, kBase32); }},
      {"aws_secret", [](V& v) { return v.letters(38, kBase64) + v.letters(1, kDigits) + v.letters(1, kUpper); }},
      {"aws_session", [](V& v) { return "FwoGZXIvYXdzE" + v.letters(180, kBase64) + "=="; }},
      {"azure_account_key", [](V& v) { return v.letters(86, kBase64) + "=="; }},
      {"azure_client_secret", [](V& v) { return v.letters(3, kAlnum) + v.letters(1, kDigits) + "Q~" + v.letters(34, kAlnum); }},
      {"azure_sas", [](V& v) { return v.letters(40, kAlnum) + "%2B" + v.letters(2, kAlnum) + "%3D"; }},
      {"github_fine", [](V& v) { return "github_pat_" + v.letters(22, kAlnum) + '_' + v.letters(59, kAlnum); }},
      {"slack_bot", [](V& v) { return "xoxb-" + v.digits(12) + '-' + v.digits(12) + '-' + v.letters(24, kAlnum); }},
      {"slack_user", [](V& v) { return "xoxp-" + v.digits(12) + '-' + v.digits(12) + '-' + v.digits(12) + '-' + v.letters(32, kHex); }},
      {"slack_app", [](V& v) { return "xapp-1-A" + v.letters(10, kUpperDigits) + '-' + v.digits(13) + '-' + v.letters(64, kHex); }},
      {"slack_hook", [](V& v) { return "T" + v.letters(9, kUpperDigits) + "/B" + v.letters(9, kUpperDigits) + '/' + v.letters(24, kAlnum); }},
      {"sendgrid_key", [](V& v) { return "SG." + v.letters(22, kBase64Url) + '.' + v.letters(43, kBase64Url); }},
      {"telegram_token", [](V& v) { return v.digits(10) + ":AA" + v.letters(33, kBase64Url); }},
      {"age_key", [](V& v) { return "AGE-SECRET-KEY-1" + v.letters(58, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"); }},
      {"private_key", [](V& v) { return pem(v, v.word("private_key_name"), "\n"); }},
      {"private_key_flat", [](V& v) { return pem(v, v.word("private_key_name"), "\\n"); }},
      {"private_key_bare", [](V& v) { return pem(v, v.word("private_key_name"), ""); }},
      {"private_key_head", [](V& v) { return pem(v, v.word("private_key_name"), "\n").substr(0, 160); }},
      {"pgp_private", [](V& v) { return pem(v, "PGP PRIVATE KEY BLOCK", "\n"); }},
      {"pgp_private_flat", [](V& v) { return pem(v, "PGP PRIVATE KEY BLOCK", "\\n"); }},
      {"pem_line", [](V& v) { return v.letters(64, kBase64); }},
      {"credentials_json", [](V& v) { return "{\"user\":\"" + login(v) + "\",\"password\":\"" + password(v) + "\"}"; }},
      {"credentials_pair", [](V& v) { return "password=" + password(v) + " user=" + login(v); }},
      {"connection_url", [](V& v) { return "postgres://" + login(v) + ':' + v.letters(14, kAlnum) + '@' + v.word("host") + ":5432/warehouse"; }},
      // What must stay.
      {"uuid", uuid},
      {"sha1", [](V& v) { return v.letters(40, kHex); }},
      {"sha7", [](V& v) { return v.letters(1, "abcdef") + v.letters(5, kHex) + v.letters(1, kDigits); }},
      {"sha256", [](V& v) { return v.letters(64, kHex); }},
      {"digest64", [](V& v) { return v.letters(43, kBase64) + '='; }},
      {"int", [](V& v) { return std::to_string(v.between(1, 99999)); }},
      {"n2", [](V& v) { return std::to_string(v.between(10, 89)); }},
      {"big", [](V& v) { return v.digits(v.between(6, 8)); }},
      {"real", [](V& v) { return std::to_string(v.between(0, 999)) + '.' + v.letters(v.between(1, 4), kDigits); }},
      {"day", [](V& v) { return "2026-" + two(v.between(1, 12)) + '-' + two(v.between(1, 28)); }},
      {"day_flat", [](V& v) { return "2026" + two(v.between(1, 12)) + two(v.between(1, 28)); }},
      {"clock", [](V& v) { return two(v.below(24)) + ':' + two(v.below(60)) + ':' + two(v.below(60)); }},
      {"ts", [](V& v) { return v.make("day") + 'T' + v.make("clock") + '.' + v.letters(3, kDigits) + 'Z'; }},
      {"ts_offset", [](V& v) { return v.make("day") + 'T' + v.make("clock") + '.' + v.letters(6, kDigits) + "+02:00"; }},
      {"epoch_s", [](V& v) { return "17" + v.letters(8, kDigits); }},
      {"epoch_ms", [](V& v) { return "17" + v.letters(11, kDigits); }},
      {"epoch_us", [](V& v) { return "17" + v.letters(14, kDigits); }},
      {"version", [](V& v) { return std::to_string(v.below(20)) + '.' + std::to_string(v.below(30)) + '.' + std::to_string(v.below(12)); }},
      {"pod", [](V& v) { return v.word("service") + '-' + v.letters(9, "bcdfghjklmnpqrstvwxz2456789") + '-' + v.letters(5, "bcdfghjklmnpqrstvwxz2456789"); }},
      {"run_text", [](V& v) { return "scheduled__" + v.make("day") + 'T' + v.make("clock") + "+00:00"; }},
  };
  return *kMakers;
}

}  // namespace

char luhn_digit(std::string_view digits) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    unsigned digit = static_cast<unsigned>(digits[digits.size() - 1 - i] - '0');
    if (i % 2 == 0) digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return static_cast<char>('0' + (10 - sum % 10) % 10);
}

RedactionValues::RedactionValues(std::uint64_t seed) : random_(seed) {}

std::string RedactionValues::letters(std::size_t count, std::string_view alphabet) {
  std::string out(count, '\0');
  for (char& c : out) c = alphabet[below(alphabet.size())];
  return out;
}

std::string RedactionValues::digits(std::size_t count) {
  return count == 0 ? "" : letters(1, "123456789") + letters(count - 1, kDigits);
}

const std::string& RedactionValues::word(std::string_view list) {
  const auto found = lists().find(list);
  if (found == lists().end() || found->second.empty()) {
    throw std::out_of_range("no kind of value and no list of words: " + std::string(list));
  }
  return found->second[below(found->second.size())];
}

std::string RedactionValues::make(std::string_view kind) {
  const auto maker = makers().find(kind);
  if (maker != makers().end()) return maker->second(*this);
  for (const Vendor& vendor : kVendors) {
    if (vendor.kind == kind) return std::string(vendor.head) + letters(vendor.size, vendor.alphabet);
  }
  if (kind == "vendor_token") {
    static constexpr std::size_t kFirst = 15;  // those before have categories of their own
    return make(kVendors[kFirst + below(std::size(kVendors) - kFirst)].kind);
  }
  return word(kind);
}

}  // namespace runtail::test
