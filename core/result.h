// Errors are values. Exceptions stop in the file that touches a throwing library and become an Error there.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <utility>

namespace runtail {

// One code per decision the caller makes.
enum class ErrorCode {
  kNotFound,      // the thing named is not there
  kUnavailable,   // try later: a connection, a full disk
  kInUse,         // another process holds it: try a little longer, then give up
  kCorrupt,       // bytes did not decode
  kInvalidInput,  // the operator must change config, arguments or a file
};

// `message` names the thing, the place and the remedy: "read /var/log/etl.log at 4096: Input/output error".
struct Error {
  ErrorCode code = ErrorCode::kUnavailable;
  std::string message;

  // The same error with `context` in front: "open buffer /x: lock held by another process".
  Error in(const std::string& context) const { return {code, context + ": " + message}; }
};

// Called by Result::value() on an error: a mistake of ours, since has_value() comes first.
[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::logic_error("unchecked error: " + error.message);
}

template <typename T>
using Result = boost::system::result<T, Error>;

}  // namespace runtail
