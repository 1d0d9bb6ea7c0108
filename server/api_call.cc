#include "server/api_call.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>
#include <vector>

#include "config/near_word.h"
#include "core/digest.h"
#include "core/json_text.h"
#include "server/api_problem.h"
#include "server/list_cursor.h"

namespace runtail {
namespace {

constexpr std::size_t kTargetMax = 8 * 1024;

struct Wrong {
  Problem problem;
  std::string detail;
  std::string parameter = {};
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Percent signs resolved; std::nullopt for what is no text: half an escape, a NUL, bytes that are no UTF-8.
std::optional<std::string> decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '%') {
      if (at + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[at + 1]), low = hex_digit(text[at + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      at += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (c == '\0') return std::nullopt;
    out += c;
  }
  if (!is_utf8(out)) return std::nullopt;
  return out;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool is_name(std::string_view segment) { return segment.starts_with('{'); }

bool leads_to(const std::vector<std::string_view>& path, const ApiRoute& route) {
  const auto pattern = split(route.path, '/');
  return pattern.size() == path.size() &&
         std::equal(pattern.begin(), pattern.end(), path.begin(), [](std::string_view want, std::string_view is) {
           return is_name(want) ? !is.empty() : want == is;
         });
}

std::string listed(std::span<const std::string_view> words) {
  std::string out;
  for (const std::string_view word : words) (out += out.empty() ? "" : ", ") += word;
  return out;
}

// A '+' that came unescaped reads as a blank, and the offset of a time has one: "2026-03-01T00:00:00 01:00".
std::optional<TimePoint> time_of(std::string text) {
  if (const auto time = parse_rfc3339(text)) return time;
  const std::size_t blank = text.rfind(' ');
  if (blank == std::string::npos) return std::nullopt;
  text[blank] = '+';
  return parse_rfc3339(text);
}

// What is wrong with the value, "" if nothing. Words and flags may come in any case, and are brought into theirs.
std::string check_value(const ApiParameter& parameter, std::string& value) {
  switch (parameter.type) {
    case ParameterType::kText:
      return value.size() <= kApiTextMax ? "" : "is longer than " + std::to_string(kApiTextMax) + " bytes";
    case ParameterType::kWord: {
      const auto same = [&](std::string_view word) {
        return std::equal(word.begin(), word.end(), value.begin(), value.end(),
                          [](char a, char b) { return (a | 0x20) == (b | 0x20); });
      };
      const auto found = std::find_if(parameter.words.begin(), parameter.words.end(), same);
      if (found == parameter.words.end()) {
        return "is none of " + listed(parameter.words) +
               did_you_mean(value, std::vector<std::string>(parameter.words.begin(), parameter.words.end()));
      }
      value = *found;
      return "";
    }
    case ParameterType::kTime: {
      const auto time = time_of(value);
      if (!time) return "is no time as RFC 3339 has it: 2026-03-01T00:00:00Z";
      value = to_rfc3339(*time);
      return "";
    }
    case ParameterType::kUuid: {
      const auto uuid = parse_uuid(value);
      if (!uuid) return "is no UUID: runs go by run_id, not by their scheduler's name";
      value = to_string(*uuid);
      return "";
    }
    case ParameterType::kNumber: {
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error == std::errc() && end == value.data() + value.size() && number >= parameter.least &&
          number <= parameter.most) {
        return "";
      }
      return "is no number from " + std::to_string(parameter.least) + " to " + std::to_string(parameter.most);
    }
    case ParameterType::kFlag:
      if (value == "1" || value == "TRUE" || value == "True") value = "true";
      if (value == "0" || value == "FALSE" || value == "False") value = "false";
      return value == "true" || value == "false" ? "" : "is neither true nor false";
    case ParameterType::kCursor:
      return decode_cursor(value) ? "" : "is no next_cursor of this API";
  }
  return "";
}

std::optional<Wrong> set_value(ApiCall& call, const ApiParameter& parameter, std::string value) {
  // As a form sends what was left empty: "?status=&q=".
  if (value.empty() && !parameter.in_path) return std::nullopt;
  if (const std::string wrong = check_value(parameter, value); !wrong.empty()) {
    return Wrong{Problem::kInvalidParameter, std::string(parameter.name) + " " + wrong, std::string(parameter.name)};
  }
  call.values[parameter.name] = std::move(value);
  return std::nullopt;
}

std::optional<Wrong> read_path(ApiCall& call, const std::vector<std::string_view>& path) {
  const auto pattern = split(call.route->path, '/');
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (!is_name(pattern[at])) continue;
    const auto value = decoded(path[at], false);
    if (!value) return Wrong{Problem::kMalformedRequest, "the path is no text in UTF-8"};
    const std::string_view name = pattern[at].substr(1, pattern[at].size() - 2);
    for (const ApiParameter& parameter : call.route->parameters) {
      if (parameter.name != name) continue;
      if (auto wrong = set_value(call, parameter, *value)) return wrong;
    }
  }
  return std::nullopt;
}

std::optional<Wrong> read_query(ApiCall& call, std::string_view query) {
  std::vector<std::string> seen;
  for (const std::string_view pair : split(query, '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const auto name = decoded(pair.substr(0, equals), true);
    const auto value = decoded(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
    if (!name || !value) return Wrong{Problem::kMalformedRequest, "the query is no text in UTF-8"};
    const auto& all = call.route->parameters;
    const auto parameter = std::find_if(all.begin(), all.end(),
                                        [&](const ApiParameter& each) { return !each.in_path && each.name == *name; });
    if (parameter == all.end()) {
      std::vector<std::string> names;
      for (const ApiParameter& each : all) {
        if (!each.in_path) names.emplace_back(each.name);
      }
      const std::string shown = name->substr(0, 64);
      return Wrong{Problem::kUnknownParameter,
                   "there is no parameter \"" + shown + "\" here" + did_you_mean(shown, names), shown};
    }
    if (std::find(seen.begin(), seen.end(), *name) != seen.end()) {
      return Wrong{Problem::kInvalidParameter, *name + " is given twice", *name};
    }
    seen.push_back(*name);
    if (auto wrong = set_value(call, *parameter, *value)) return wrong;
  }
  for (const ApiParameter& parameter : call.route->parameters) {
    if (!parameter.fallback.empty()) call.values.try_emplace(parameter.name, parameter.fallback);
  }
  return std::nullopt;
}

// Which list it is: a cursor of another one would skip rows.
std::string digest_of(const ApiCall& call) {
  std::string text(call.route->name);
  for (const auto& [name, value] : call.values) {
    if (name == "cursor" || name == "page" || name == "page_size" || name == "total" || name == "from" ||
        name == "to") {
      continue;
    }
    text.append(1, '\n').append(name).append(1, '=').append(value);
  }
  return to_hex(sha256(text)).substr(0, 16);
}

std::optional<Wrong> read_range(ApiCall& call, const std::optional<ListCursor>& cursor) {
  if (call.route->window.count() == 0) return std::nullopt;
  const auto from = call.text("from"), to = call.text("to");
  TimeRange range{};
  if (cursor && cursor->range) {
    range = *cursor->range;
    if ((from && *parse_rfc3339(*from) != range.from) || (to && *parse_rfc3339(*to) != range.to)) {
      return Wrong{Problem::kInvalidParameter, "cursor is of another list: leave from and to as they were", "cursor"};
    }
  } else {
    range.to = to ? *parse_rfc3339(*to) : from ? std::max(call.now, *parse_rfc3339(*from)) : call.now;
    range.from = from ? *parse_rfc3339(*from) : range.to - call.route->window;
  }
  if (range.from > range.to) return Wrong{Problem::kInvalidParameter, "from is after to", "from"};
  if (range.to - range.from > kApiWindowMax) {
    return Wrong{Problem::kInvalidParameter,
                 "from and to are more than " + std::to_string(kApiWindowMax.count()) + " days apart", "from"};
  }
  call.range = range;
  return std::nullopt;
}

std::optional<Wrong> read_slice(ApiCall& call) {
  if (!call.route->is_list) return std::nullopt;
  call.list = digest_of(call);
  call.slice.rows = std::stoi(*call.text("page_size"));
  call.slice.with_total = call.flag("total");
  std::optional<ListCursor> cursor;
  if (const auto word = call.text("cursor")) {
    if (call.values.contains("page")) {
      return Wrong{Problem::kInvalidParameter, "page and cursor exclude each other", "page"};
    }
    cursor = decode_cursor(*word);
    if (cursor->list != call.list || cursor->range.has_value() != (call.route->window.count() != 0)) {
      return Wrong{Problem::kInvalidParameter, "cursor is of another list: leave the filters as they were", "cursor"};
    }
    call.slice.after = cursor->after;
    call.slice.skip = cursor->skip;
  } else {
    const auto page = call.text("page");
    call.page = page ? std::stoi(*page) : 1;
    call.slice.skip = (*call.page - 1) * call.slice.rows;
  }
  if (!cursor && call.slice.skip > kApiSkipMax) {
    return Wrong{Problem::kInvalidParameter,
                 "pages by number end at row " + std::to_string(kApiSkipMax) + ": go on with next_cursor", "page"};
  }
  return read_range(call, cursor);
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

std::optional<Wrong> read_all(ApiCall& call, std::string_view target) {
  const std::size_t mark = target.find('?');
  if (auto wrong = read_path(call, split(path_of(target), '/'))) return wrong;
  const auto query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  if (auto wrong = read_query(call, query)) return wrong;
  if (call.route->conflict) {
    if (std::string wrong = call.route->conflict(call); !wrong.empty()) {
      return Wrong{Problem::kInvalidParameter, std::move(wrong), "status"};
    }
  }
  return read_slice(call);
}

}  // namespace

const ApiRoute* find_route(std::string_view target) {
  const auto path = split(path_of(target), '/');
  for (const ApiRoute& route : api_routes()) {
    if (leads_to(path, route)) return &route;
  }
  return nullptr;
}

std::variant<ApiCall, ApiResponse> parse_call(const ApiRequest& request, const Projects& projects, TimePoint now) {
  const auto problem = [&](const Wrong& wrong) {
    return problem_response(wrong.problem, wrong.detail, request.correlation_id, wrong.parameter);
  };
  if (request.target.size() > kTargetMax || !request.target.starts_with('/')) {
    return problem({Problem::kMalformedRequest, "the path begins with / and has 8 KiB with its query at most"});
  }
  ApiCall call;
  call.route = find_route(request.target);
  if (!call.route) return problem({Problem::kNotFound, "GET /v1/openapi.json lists the paths there are"});
  if (request.method != "GET" && request.method != "HEAD") {
    ApiResponse refused = problem({Problem::kMethodNotAllowed, "the history is read only"});
    refused.headers.emplace_back("Allow", "GET, HEAD");
    return refused;
  }
  call.now = now;
  call.projects = projects;
  call.correlation_id = request.correlation_id;
  call.if_none_match = request.if_none_match;
  if (const auto wrong = read_all(call, request.target)) return problem(*wrong);
  return call;
}

}  // namespace runtail
