// A text as it reads once its escapes are undone: \n \" \u0040 \u{40} \x40 \100, %40, &#64; &quot;, colours of a
// terminal, and letters that look like ASCII but are not (full width, Cyrillic а, zero-width spaces). For looking only:
// what is found there is masked in the source.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runtail {

struct DecodedView {
  std::string text;
  // Where in the source each byte of `text` comes from; one entry more for the end.
  std::vector<std::uint32_t> from;
  bool had_percent = false;  // a percent sign with two digits was among what was undone
};

// One layer off. false: there is none, `view` is not touched.
bool decode_layer(std::string_view source, DecodedView& view);

}  // namespace runtail
