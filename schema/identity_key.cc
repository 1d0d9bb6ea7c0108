#include "schema/identity_key.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace runtail {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<HashKey> parse_hex(std::string_view digits) {
  HashKey key;
  if (digits.size() != 2 * key.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < key.bytes.size(); ++i) {
    const int high = hex_value(digits[2 * i]);
    const int low = hex_value(digits[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    key.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return key;
}

}  // namespace

Result<HashKey> new_identity_key() {
  HashKey key;
  // Up to 256 bytes come whole, once the kernel's pool is filled.
  if (::getrandom(key.bytes.data(), key.bytes.size(), 0) != static_cast<ssize_t>(key.bytes.size())) {
    return Error{ErrorCode::kUnavailable, "make identity key: getrandom: " + std::string(std::strerror(errno))};
  }
  return key;
}

Result<HashKey> read_identity_key_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  // A file of another kind may be endless.
  std::string text(512, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.empty()) {
    return Error{ErrorCode::kInvalidInput,
                 "read identity key file " + path.string() + ": cannot be read, or is empty; it holds 64 hex digits"};
  }
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  const std::size_t last = text.find_last_not_of(kSpace);
  const auto key =
      first == std::string::npos ? std::nullopt : parse_hex(std::string_view(text).substr(first, last - first + 1));
  if (!key) {
    return Error{ErrorCode::kInvalidInput,
                 "identity key file " + path.string() +
                     ": must hold exactly 64 hex digits; make one with: openssl rand -hex 32"};
  }
  return *key;
}

Result<HashKey> read_identity_key(PgConnection& connection, const std::string& schema) {
  auto rows = connection.exec("SELECT encode(key, 'hex') FROM " + quote_identifier(schema) + ".identity_key");
  if (!rows) return to_error(rows.error(), "read " + schema + ".identity_key");
  const auto key = rows->rows() == 1 ? parse_hex(rows->text(0, 0)) : std::nullopt;
  if (!key) {
    return Error{ErrorCode::kNotFound, schema + ".identity_key holds no key; run: runtail migrate"};
  }
  return *key;
}

}  // namespace runtail
