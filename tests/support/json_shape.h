// Whether a JSON value is what a schema says: the part of JSON Schema 2020-12 that the API's document uses.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

namespace runtail::test {

// What is wrong with the value, with its place: "/data/0/end_at: a number is no string or null". "" if nothing.
// `document`: where "$ref" leads.
std::string shape_fault(const boost::json::value& value, const boost::json::value& schema,
                        const boost::json::value& document, const std::string& place = "");

// The value at a JSON pointer. Throws std::runtime_error if there is none.
const boost::json::value& at_pointer(const boost::json::value& document, std::string_view pointer);

}  // namespace runtail::test
