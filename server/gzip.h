#pragma once

#include <string>
#include <string_view>

namespace runtail {

// Whether the value of an Accept-Encoding header asks for gzip.
bool accepts_gzip(std::string_view accept_encoding);
// One gzip member, made fast rather than small; "" when memory is short.
std::string gzip(std::string_view bytes);

}  // namespace runtail
