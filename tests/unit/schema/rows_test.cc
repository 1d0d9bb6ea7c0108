// Every row against the migrated tables: its columns are the table's, and what is written comes back.
#include <map>
#include <regex>
#include <type_traits>

#include "schema/rows/alerts.h"
#include "schema/rows/chat_message.h"
#include "schema/rows/delivery.h"
#include "schema/rows/document_event.h"
#include "schema/rows/jobs.h"
#include "schema/rows/log_event.h"
#include "schema/rows/metrics_aggregate.h"
#include "schema/rows/provider_sync_status.h"
#include "schema/rows/quality.h"
#include "schema/rows/runs.h"
#include "schema/rows/service.h"
#include "schema/rows/traces.h"
#include "tests/unit/schema/tables_fixture.h"

namespace runtail::test {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;

const std::string kSchema = "observability";

using AllRows = testing::Types<AccessLogRow, AlertChannelRow, AlertDeliveryRow, AlertEventRow, AlertRuleChannelRow,
                               AlertRuleRow, AuditEventRow, ChatMessageRow, DatasetStatusRow, DeadLetterRow,
                               DocumentEventRow, DqCheckDefinitionRow, DqCheckResultRow, DqObservationRow, EtlJobRow,
                               JobDailySummaryRow, JobRunRow, LogEventRow, MetricSnapshotRow, MetricsAggregateRow,
                               ProviderSyncStatusRow, RunAttemptRow, RunIdRow, RunStateChangeRow, ServiceHeartbeatRow,
                               SourceFactRow, SourceFileRow, SpanRow, SummaryDirtyRow, TaskRunRow, TraceRow,
                               AlertWatchRow, AlertSilenceRow, EvaluationProgressRow, FleetCountRow, FleetTotalRow>;

// Names of AllRows' tables, for the test that none is missing.
template <typename... Rows>
std::vector<std::string> table_names(testing::Types<Rows...>) {
  return {std::string(Rows::kTable)...};
}

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

// The column types that a member may stand for.
const char* pg_types(const std::string&) { return "text int8multirange"; }
const char* pg_types(std::int16_t) { return "smallint"; }
const char* pg_types(std::int32_t) { return "integer"; }
const char* pg_types(std::int64_t) { return "bigint"; }
const char* pg_types(double) { return "double precision"; }
const char* pg_types(bool) { return "boolean"; }
const char* pg_types(const Uuid&) { return "uuid"; }
const char* pg_types(TimePoint) { return "timestamp with time zone"; }
const char* pg_types(const Json&) { return "jsonb"; }
const char* pg_types(const Bytes&) { return "bytea"; }
const char* pg_types(UsdMicros) { return "numeric(10,6)"; }
const char* pg_types(std::chrono::sys_days) { return "date"; }
const char* pg_types(std::chrono::seconds) { return "interval"; }
const char* pg_types(const std::vector<std::int64_t>&) { return "bigint[]"; }

struct Described {
  std::string name, types;
  bool nullable, computed;
};
struct Describe {
  std::vector<Described> columns;
  template <typename T>
  void add(std::string_view name, bool computed) {
    if constexpr (IsOptional<T>::value) {
      columns.push_back({std::string(name), pg_types(typename T::value_type{}), true, computed});
    } else {
      columns.push_back({std::string(name), pg_types(T{}), false, computed});
    }
  }
  template <typename T>
  void operator()(std::string_view name, const T&) {
    add<T>(name, false);
  }
  template <typename T>
  void computed(std::string_view name, const T&) {
    add<T>(name, true);
  }
};

// A value for every column, another one for each `step`; words of closed sets as the table's CHECKs have them.
struct Fill {
  std::map<std::string, std::vector<std::string>> words;
  int step = 1;
  bool with_optional = true;
  int key_columns = 0;
  int column = 0;

  // Key columns are the same for every step.
  int variant() const { return column <= key_columns ? 1 : step; }
  void value(const std::string& name, std::string& out) {
    const auto known = words.find(name);
    if (known != words.end()) {
      out = known->second[static_cast<std::size_t>(variant() - 1) % known->second.size()];
    } else if (name == "trace_id" || name == "span_id") {
      out = std::string(name == "trace_id" ? 32 : 16, static_cast<char>('a' + variant()));
    } else if (name == "covered") {
      out = "{[0," + std::to_string(100 * variant()) + ")}";
    } else {
      out = name + " 'quoted', \"double\", \\ back\nslash \xC3\xA4 " + std::to_string(variant());
    }
  }
  void value(const std::string&, std::int16_t& out) { out = static_cast<std::int16_t>(variant()); }
  void value(const std::string&, std::int32_t& out) { out = 2'000'000'000 + variant(); }
  void value(const std::string&, std::int64_t& out) { out = 9'000'000'000'000'000'000 + variant(); }
  void value(const std::string&, double& out) { out = 0.1 + 1e-9 * variant(); }
  void value(const std::string&, bool& out) { out = variant() % 2 == 1; }
  void value(const std::string&, Uuid& out) { out.bytes.fill(static_cast<std::uint8_t>(0xA0 + variant())); }
  void value(const std::string&, TimePoint& out) {
    out = std::chrono::floor<std::chrono::days>(SystemClock().now()) + std::chrono::microseconds(variant());
  }
  void value(const std::string&, Json& out) {
    out.text = R"({"of": [1, "it's"], "step": )" + std::to_string(variant()) + "}";
  }
  void value(const std::string&, Bytes& out) {
    out.bytes = std::string("\0\xFF\\'123456789ab", 15) + static_cast<char>(variant());
  }
  void value(const std::string&, UsdMicros& out) { out.micros = -9'999'000'001 + variant(); }
  void value(const std::string&, std::chrono::sys_days& out) {
    out = std::chrono::sys_days(std::chrono::year(2026) / 2 / 27) + std::chrono::days(variant());
  }
  void value(const std::string&, std::chrono::seconds& out) {
    out = std::chrono::hours(100) + std::chrono::seconds(variant());
  }
  void value(const std::string&, std::vector<std::int64_t>& out) { out = {0, -1, 9'000'000'000 + variant()}; }
  template <typename T>
  void value(const std::string& name, std::optional<T>& out) {
    out.reset();
    if (with_optional) value(name, out.emplace());
  }
  template <typename T>
  void operator()(std::string_view name, T& out) {
    ++column;
    value(std::string(name), out);
  }
  // Of a total that is filled with the same value; null with it.
  template <typename T>
  void computed(std::string_view name, T& out) {
    (*this)(name, out);
  }
};

template <typename Row>
class RowTest : public TablesTest {
 protected:
  void SetUp() override {
    TablesTest::SetUp();
    // The tests of the tables are for foreign keys; here rows stand alone.
    run("SET LOCAL session_replication_role = replica");
  }

  Row row(int step, bool with_optional) {
    Fill fill;
    fill.words = words();
    fill.step = step;
    fill.with_optional = with_optional;
    fill.key_columns = Row::kKeyColumns;
    Row out;
    Row::columns(out, fill);
    return out;
  }
  // All rows of the table: there are none but the test's own.
  std::vector<Row> stored() {
    auto rows = read_rows<Row>(*connection_, kSchema, "");
    if (!rows) throw std::runtime_error(std::string(Row::kTable) + ": " + rows.error().message);
    return std::move(*rows);
  }

 private:
  std::map<std::string, std::vector<std::string>> words() {
    static const std::regex kCheck(R"(CHECK \(\((\w+) = ANY \(ARRAY\[(.*)\]\)\)\))"), kWord("'([^']*)'::text");
    std::map<std::string, std::vector<std::string>> found;
    for (const std::string& check :
         rows("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = 'observability." +
              std::string(Row::kTable) + "'::regclass")) {
      std::smatch match;
      if (!std::regex_match(check, match, kCheck)) continue;
      const std::string list = match[2];
      for (std::sregex_iterator word(list.begin(), list.end(), kWord), end; word != end; ++word) {
        found[match[1]].push_back((*word)[1]);
      }
    }
    return found;
  }
};
TYPED_TEST_SUITE(RowTest, AllRows);

TYPED_TEST(RowTest, ColumnsAreThoseOfTheTable) {
  Describe expected;
  const TypeParam row{};
  TypeParam::columns(row, expected);
  std::vector<std::string> wanted;
  const auto real = this->rows(
      "SELECT attname || '|' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN '!' ELSE '' END || "
      "attgenerated::text FROM pg_attribute WHERE attrelid = 'observability." +
      std::string(TypeParam::kTable) + "'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum");
  for (std::size_t at = 0; at < expected.columns.size(); ++at) {
    const Described& column = expected.columns[at];
    std::string type = column.types;
    if (at < real.size() && type == "text int8multirange") {
      type = real[at].find("|int8multirange") == std::string::npos ? "text" : "int8multirange";
    }
    wanted.push_back(column.name + "|" + type + (column.nullable ? "" : "!") + (column.computed ? "s" : ""));
  }
  EXPECT_THAT(wanted, ElementsAreArray(real));
}

TYPED_TEST(RowTest, KeyColumnsAreThePrimaryKey) {
  Describe described;
  const TypeParam row{};
  TypeParam::columns(row, described);
  std::vector<std::string> key;
  for (int at = 0; at < TypeParam::kKeyColumns; ++at)
    key.push_back(described.columns[static_cast<std::size_t>(at)].name);
  EXPECT_THAT(
      this->rows("SELECT a.attname FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(number, place) "
                 "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number "
                 "WHERE i.indisprimary AND i.indrelid = 'observability." +
                 std::string(TypeParam::kTable) + "'::regclass ORDER BY k.place"),
      ElementsAreArray(key));
}

TYPED_TEST(RowTest, ComesBackWithAllColumns) {
  const TypeParam row = this->row(1, true);
  const auto inserted = insert_row(*this->connection_, kSchema, row);
  ASSERT_TRUE(inserted) << inserted.error().message << inserted.error().constraint_name;
  EXPECT_TRUE(this->stored() == std::vector<TypeParam>{row});
}

TYPED_TEST(RowTest, ComesBackWithoutOptionalColumns) {
  const TypeParam row = this->row(1, false);
  const auto inserted = insert_row(*this->connection_, kSchema, row);
  ASSERT_TRUE(inserted) << inserted.error().message << inserted.error().constraint_name;
  EXPECT_TRUE(this->stored() == std::vector<TypeParam>{row});
}

TYPED_TEST(RowTest, IsChangedByItsKey) {
  if constexpr (!TypeParam::kInsertOnly) {
    const TypeParam first = this->row(1, true), second = this->row(2, true), bare = this->row(2, false);
    ASSERT_TRUE(insert_row(*this->connection_, kSchema, first));
    for (const TypeParam& changed : {second, bare, first}) {
      // Nothing but the key is left to change in the tables that are a key and no more.
      const auto updated = update_row(*this->connection_, kSchema, changed);
      ASSERT_TRUE(updated) << updated.error().message;
      EXPECT_TRUE(*updated);
      EXPECT_TRUE(this->stored() == std::vector<TypeParam>{changed});
    }
    this->run("DELETE FROM observability." + std::string(TypeParam::kTable));
    EXPECT_FALSE(*update_row(*this->connection_, kSchema, first));
    EXPECT_THAT(this->stored(), IsEmpty());
  }
}

TEST_F(TablesTest, EveryTableHasARow) {
  std::vector<std::string> expected = table_names(AllRows());
  for (const char* read_elsewhere : {"identity_key", "schema_migrations"}) expected.push_back(read_elsewhere);
  EXPECT_THAT(rows("SELECT relname FROM pg_class WHERE relnamespace = 'observability'::regnamespace AND relkind IN "
                   "('r', 'p') AND NOT relispartition"),
              testing::UnorderedElementsAreArray(expected));
}

TEST_F(TablesTest, ARowThatIsRefusedSaysByWhat) {
  AlertChannelRow row;
  row.name = "team";
  row.kind = "pigeon";
  row.source = "yaml";
  const auto inserted = insert_row(*connection_, kSchema, row);
  ASSERT_FALSE(inserted);
  EXPECT_EQ(inserted.error().constraint_name, "alert_channels_kind_is_known");
}

TEST_F(TablesTest, RowsAreReadByConditionInAnyTimeZoneOfTheSession) {
  run("SET LOCAL timezone = 'Asia/Kolkata'");
  SummaryDirtyRow row;
  row.job_id = "orders";
  row.day = std::chrono::sys_days(std::chrono::year(2024) / 2 / 29);
  row.since = *parse_rfc3339("2026-03-01T23:59:59.999999Z");
  ASSERT_TRUE(insert_row(*connection_, kSchema, row));
  row.job_id = "other";
  ASSERT_TRUE(insert_row(*connection_, kSchema, row));
  for (const char* zone : {"Asia/Kolkata", "UTC", "America/New_York"}) {
    run("SET LOCAL timezone = '" + std::string(zone) + "'");
    const auto found = read_rows<SummaryDirtyRow>(*connection_, kSchema, "WHERE job_id = $1", {"other"});
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_TRUE(*found == std::vector<SummaryDirtyRow>{row}) << zone;
  }
}

struct Wrong {
  std::int32_t count = 0;
  static void columns(auto& row, auto&& visit) { visit("count", row.count); }
};

TEST_F(TablesTest, AValueThatDoesNotReadIsAnErrorThatNamesItsColumn) {
  for (const char* value : {"NULL::int AS count", "'many' AS count", "3000000000 AS count"}) {
    const auto result = connection_->exec("SELECT " + std::string(value));
    const auto rows = rows_of<Wrong>(*result);
    ASSERT_FALSE(rows) << value;
    EXPECT_EQ(rows.error().message, "column count holds a value that does not read");
  }
}

TEST(PgText, AmountsBelowOneKeepTheirSign) {
  for (const std::int64_t micros : {0, 1, -1, 999'999, -999'999, 1'000'000, -1'000'001}) {
    UsdMicros read;
    ASSERT_TRUE(pg_text::read(pg_text::write(UsdMicros{micros}), read));
    EXPECT_EQ(read.micros, micros);
  }
  EXPECT_EQ(pg_text::write(UsdMicros{-1}), "-0.000001");
}

}  // namespace
}  // namespace runtail::test
