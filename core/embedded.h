// Files compiled into the binary (cmake/embed.cmake), so that it runs with nothing beside it.
#pragma once

#include <span>
#include <string_view>

namespace runtail::embedded {

struct File {
  std::string_view name;  // "native.yaml"
  std::string_view text;
};

std::string_view runtail_reference_yaml();   // config/runtail.yaml
std::span<const File> runtail_dialects();    // parsers/dialects/*.yaml
std::span<const File> runtail_rules();       // redaction/rules/*.yaml
std::span<const File> runtail_migrations();  // schema/sql/*.sql
std::string_view runtail_roles();            // schema/roles.sql

}  // namespace runtail::embedded
