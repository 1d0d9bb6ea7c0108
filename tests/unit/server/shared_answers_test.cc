#include "server/shared_answers.h"

#include <gtest/gtest.h>

namespace runtail {
namespace {

using std::chrono::milliseconds;
const SharedAnswers::Time kNow{std::chrono::hours(1)};

ApiResponse answer(const std::string& body) {
  ApiResponse response;
  response.body = body;
  return response;
}

TEST(SharedAnswersTest, AnAnswerIsGivenForASecondSinceItWasAskedFor) {
  SharedAnswers answers;
  EXPECT_EQ(answers.find("a", kNow), nullptr);
  answers.put("a", answer("1"), kNow);
  ASSERT_NE(answers.find("a", kNow + milliseconds(1000)), nullptr);
  EXPECT_EQ(answers.find("a", kNow + milliseconds(1000))->body, "1");
  EXPECT_EQ(answers.find("a", kNow + milliseconds(1001)), nullptr);
  EXPECT_EQ(answers.find("b", kNow), nullptr);
}

TEST(SharedAnswersTest, ALaterAnswerTakesThePlaceOfTheEarlier) {
  SharedAnswers answers;
  answers.put("a", answer("1"), kNow);
  answers.put("a", answer("2"), kNow + milliseconds(900));
  ASSERT_NE(answers.find("a", kNow + milliseconds(1500)), nullptr);
  EXPECT_EQ(answers.find("a", kNow + milliseconds(1500))->body, "2");
}

TEST(SharedAnswersTest, BodiesBeyondTheLimitAndWhatIsOldAreLetGo) {
  SharedAnswers answers(10);
  answers.put("a", answer("12345"), kNow);
  answers.put("b", answer("12345"), kNow);
  EXPECT_NE(answers.find("a", kNow), nullptr);
  answers.put("c", answer("1"), kNow);
  EXPECT_EQ(answers.find("a", kNow), nullptr);
  EXPECT_NE(answers.find("b", kNow), nullptr);
  answers.put("d", answer("12345678901"), kNow);
  EXPECT_EQ(answers.find("d", kNow), nullptr) << "larger than all together may be";
  EXPECT_EQ(answers.find("c", kNow), nullptr);
}

}  // namespace
}  // namespace runtail
