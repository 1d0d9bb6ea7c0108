// Writes the folded records of lines of their own kind in an open transaction.
#pragma once

#include "core/chunk.h"
#include "schema/pg.h"
#include "sinks/postgres_aggregate_fold.h"
#include "sinks/postgres_record_fold.h"
#include "sinks/postgres_record_statements.h"

namespace runtail {

// Takes the rows out of `records`. Gives the records that were there already: their positions were lost, they were not.
// After an error the transaction can only be rolled back, to a savepoint or whole.
PgOutcome<RecordCounts> write_records(PgConnection& connection, const PostgresRecordStatements& sql,
                                      PostgresRecordFold& records, const PostgresAggregateFold& aggregates);

}  // namespace runtail
