// log_events rows on their way into the server: encoded and sent in pieces while the server takes in those before.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "derive/deriver.h"
#include "schema/pg.h"
#include "sinks/postgres_copy.h"

namespace runtail {

class PostgresLines {
 public:
  // `rows` is memory reused from one to the next. All outlive this.
  PostgresLines(PgConnection& connection, const std::string& copy_statement, CopyRows& rows)
      : connection_(connection), copy_statement_(copy_statement), rows_(rows) {
    rows_.clear();
  }

  // `kinds` names RedactionCount::kind. The first row begins the COPY: nothing else may be asked until end().
  PgOutcome<void> add(const RedactedEvent& event, const Derived& derived, const Origin& origin, std::string_view stream,
                      const DeriverSettings& settings, const std::vector<std::string>& kinds);
  // Errors of rows show here. Nothing to do without rows.
  PgOutcome<void> end();

 private:
  PgConnection& connection_;
  const std::string& copy_statement_;
  CopyRows& rows_;
  bool begun_ = false;
};

}  // namespace runtail
