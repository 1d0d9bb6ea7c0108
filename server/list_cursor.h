// Where a list goes on, as one opaque word. It holds the list's window too, so that all pages of a list are of one.
// It is no secret and no right: whoever makes one up sees what the token may see anyway.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "history/history_store.h"

namespace runtail {

struct ListCursor {
  std::string list;                // digest of the route and its filters: a cursor goes on with its own list only
  std::optional<TimeRange> range;  // the list's, where it has one
  std::optional<ListPlace> after;
  int skip = 0;  // for lists without places
};

std::string encode_cursor(const ListCursor& cursor);
std::optional<ListCursor> decode_cursor(std::string_view word);

}  // namespace runtail
