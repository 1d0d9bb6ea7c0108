// What the operator may say about every line of a source (`fields` of a source).
#pragma once

#include <string>
#include <string_view>

namespace runtail {

// Of "name=value": what is wrong with it and what to write, "" if nothing. A name is a contract field that can be the
// same on every line (service, org_id, queue ...), or a member of the context that no line states as a contract field.
// A value is 1 to 255 bytes of printable UTF-8, for fields of a closed set one of its words.
std::string check_static_field(std::string_view entry);

}  // namespace runtail
