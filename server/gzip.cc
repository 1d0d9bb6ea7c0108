#include "server/gzip.h"

#include <zlib.h>

#include <cctype>

namespace runtail {

bool accepts_gzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    std::string_view coding = accept_encoding.substr(0, accept_encoding.find(','));
    accept_encoding.remove_prefix(std::min(accept_encoding.size(), coding.size() + 1));
    std::string name, weight;
    for (const char c : coding) {
      if (c == ' ' || c == '\t') continue;
      (weight.empty() && c != ';' ? name : weight) += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    if (name != "gzip" && name != "*") continue;
    // "q=0", "q=0.000" refuse it.
    return !weight.starts_with(";q=0") || weight.find_first_not_of(";q=0.") != std::string::npos;
  }
  return false;
}

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  constexpr int kGzipWindow = 15 + 16, kMemory = 8;
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(result == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

}  // namespace runtail
