// "Did you mean": the known word nearest to a mistyped one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runtail {

// The candidate with the fewest edits (insert, delete, replace, swap of neighbours) from `word`, at most a third of its
// length; else one that begins with it or that it begins with ("dir", "warning"); else "". Of equals the first.
std::string near_word(std::string_view word, const std::vector<std::string>& candidates);

// ` (did you mean "message"?)`, or "" where nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

// What is wrong with a word of a closed set, "" if nothing.
std::string check_one_of(std::string_view text, const std::vector<std::string>& words);

}  // namespace runtail
