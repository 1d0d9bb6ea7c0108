// Which of a worker's surrounding ids an event takes.
#include "core/worker_ids.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

class WorkerIdsTest : public testing::Test {
 protected:
  WorkerIdsTest() {
    FieldSet stated;
    stated.put_text(Field::kJobId, "orders");
    stated.put_text(Field::kRunId, "manual-1");
    stated.put_text(Field::kTask, "load");
    stated.put_int(Field::kAttempt, 2);
    stated.put_int(Field::kTaskAttempt, 3);
    stated.put_text(Field::kTraceId, "trace");
    stated.put_text(Field::kSpanId, "span");
    ids = worker_ids_of(stated, [](std::string_view job, std::string_view text) {
      EXPECT_EQ(job, "orders");
      EXPECT_EQ(text, "manual-1");
      Uuid run;
      run.bytes.fill(7);
      return run;
    });
  }
  WorkerIds ids;
  FieldSet fields;
};

TEST_F(WorkerIdsTest, AnEventThatStatesNothingTakesAll) {
  ids.put_into(fields);
  EXPECT_EQ(fields.text(Field::kRunId), "07070707-0707-0707-0707-070707070707");
  EXPECT_EQ(fields.text(Field::kJobId), "orders");
  EXPECT_EQ(fields.text(Field::kTask), "load");
  EXPECT_EQ(fields.integer(Field::kAttempt), 2);
  EXPECT_EQ(fields.integer(Field::kTaskAttempt), 3);
  EXPECT_EQ(fields.text(Field::kTraceId), "trace");
  EXPECT_EQ(fields.text(Field::kSpanId), "span");
}

TEST_F(WorkerIdsTest, AnotherAgentReadsWhatThisOneWrote) {
  const auto again = decode_worker_ids(encode_worker_ids(ids));
  ASSERT_TRUE(again);
  again->put_into(fields);
  EXPECT_EQ(fields.integer(Field::kAttempt), 2);
  EXPECT_EQ(fields.integer(Field::kTaskAttempt), 3);
  EXPECT_EQ(fields.text(Field::kSpanId), "span");
  EXPECT_FALSE(decode_worker_ids(encode_worker_ids(ids).substr(0, 40)));
}

TEST_F(WorkerIdsTest, AnEventOfAnotherRunTakesNoTask) {
  fields.put_text(Field::kRunId, "other");
  ids.put_into(fields);
  EXPECT_EQ(fields.text(Field::kRunId), "other");
  EXPECT_FALSE(fields.has(Field::kJobId) || fields.has(Field::kTask) || fields.has(Field::kAttempt));
  EXPECT_EQ(fields.text(Field::kTraceId), "trace");
}

TEST_F(WorkerIdsTest, AnEventOfAnotherJobTakesNoRun) {
  fields.put_text(Field::kJobId, "other");
  ids.put_into(fields);
  EXPECT_FALSE(fields.has(Field::kRunId) || fields.has(Field::kTask));
}

TEST_F(WorkerIdsTest, AnEventThatSpellsTheSameRunBelongsToIt) {
  fields.put_text(Field::kRunId, "manual-1");
  fields.put_text(Field::kTask, "own step");
  ids.put_into(fields);
  EXPECT_EQ(fields.find(Field::kRunId)->kind, FieldValue::Kind::kUuid);
  EXPECT_EQ(fields.text(Field::kTask), "own step");
  EXPECT_EQ(fields.integer(Field::kAttempt), 2);
  EXPECT_FALSE(fields.has(Field::kTaskAttempt)) << "of another task";
}

TEST_F(WorkerIdsTest, AnEventOfAnotherTraceTakesNoSpan) {
  fields.put_text(Field::kTraceId, "other");
  ids.put_into(fields);
  EXPECT_FALSE(fields.has(Field::kSpanId));
}

TEST_F(WorkerIdsTest, WithoutARunOnlyTheTraceIsTaken) {
  ids.run = Uuid{};
  ids.put_into(fields);
  EXPECT_FALSE(fields.has(Field::kRunId) || fields.has(Field::kJobId) || fields.has(Field::kTask));
  EXPECT_TRUE(fields.has(Field::kTraceId));
}

}  // namespace
}  // namespace runtail
