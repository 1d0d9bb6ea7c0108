// The SQL for records of lines of their own kind, made for the configured schema. Parameter $1: the rows as one JSON
// array (postgres_record_fold.h).
#pragma once

#include <string>
#include <string_view>

namespace runtail {

struct PostgresRecordStatements {
  explicit PostgresRecordStatements(std::string_view schema);

  // Adds to traces what the spans bring that were not there, and gives their number.
  std::string insert_spans;
  std::string insert_chats, insert_documents, insert_snapshots;
  std::string upsert_providers, upsert_heartbeats;
  // Gives id, bucket (microseconds since 1970), metric, buckets, min and max (microseconds) of the merged rows.
  std::string merge_aggregates, set_quantiles;
};

}  // namespace runtail
