#include "alerts/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/alerts/alerts_fixture.h"

namespace runtail {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const TimePoint kAt = from_micros(1'780'000'000'000'000);

AlertDelivery failed() {
  AlertDelivery delivery;
  delivery.id = test::numbered(1);
  delivery.alert_id = test::numbered(2);
  delivery.kind = "firing";
  delivery.channel = "team";
  delivery.rule = "JobFailed";
  delivery.rule_kind = "JobFailed";
  delivery.severity = "critical";
  delivery.job_id = "orders";
  delivery.run = "r1";
  delivery.error_category = "DB";
  delivery.error_message = "relation <orders> & more";
  delivery.labels = {R"({"alertname": "JobFailed", "job_id": "orders"})"};
  delivery.fired_at = kAt;
  return delivery;
}

AlertDelivery resolved() {
  AlertDelivery delivery = failed();
  delivery.kind = "resolved";
  delivery.resolved_at = kAt + std::chrono::minutes(5);
  return delivery;
}

TEST(Message, SaysWhatIsKnownAndErrorsOnlyIfAsked) {
  EXPECT_EQ(subject_of(failed()), "[FIRING] JobFailed: orders (critical)");
  EXPECT_EQ(
      text_of(failed(), false),
      "The last run of the job failed.\njob: orders\nrun: r1\nerror category: DB\nsince: " + to_rfc3339(kAt) + "\n");
  EXPECT_THAT(text_of(failed(), true), HasSubstr("error: relation <orders> & more\n"));
  for (const std::string& body :
       {slack_body(failed(), false), webhook_body(failed(), false), alertmanager_body(failed(), false, kAt),
        mail_of(failed(), false, "a@b", {"c@d"}, kAt)}) {
    EXPECT_THAT(body, Not(HasSubstr("relation")));
  }
}

TEST(Message, AnEndSaysWhetherItWasAcknowledged) {
  EXPECT_EQ(subject_of(resolved()), "[RESOLVED] JobFailed: orders (critical)");
  EXPECT_THAT(text_of(resolved(), true), AllOf(StartsWith("It is over.\n"), Not(HasSubstr("relation"))));
  AlertDelivery by_ann = resolved();
  by_ann.acknowledged_by = "ann";
  EXPECT_THAT(text_of(by_ann, false), StartsWith("Acknowledged by ann.\n"));
}

TEST(Message, ForSlackMarkupIsEscaped) {
  EXPECT_THAT(slack_body(failed(), true), HasSubstr("relation &lt;orders&gt; &amp; more"));
}

TEST(Message, AnAlertmanagerHearsWhenItEnds) {
  EXPECT_THAT(alertmanager_body(failed(), false, kAt),
              AllOf(StartsWith(R"([{"labels":{"alertname": "JobFailed", "job_id": "orders"},)"),
                    HasSubstr(R"("startsAt":")" + to_rfc3339(kAt)),
                    HasSubstr(R"("endsAt":")" + to_rfc3339(kAt + kAlertmanagerForgets))));
  EXPECT_THAT(alertmanager_body(resolved(), false, kAt + std::chrono::hours(1)),
              HasSubstr(R"("endsAt":")" + to_rfc3339(kAt + std::chrono::minutes(5))));
}

// A job may be called anything.
TEST(Message, NoNameAddsAHeaderToAMail) {
  AlertDelivery delivery = failed();
  delivery.job_id = "orders\r\nBcc: eve@example.org";
  const std::string mail = mail_of(delivery, false, "etl@example.org", {"ann@example.org", "ben@example.org"}, kAt);
  EXPECT_THAT(mail, HasSubstr("Subject: [FIRING] JobFailed: orders  Bcc: eve@example.org (critical)\r\n"));
  EXPECT_THAT(mail, AllOf(HasSubstr("To: ann@example.org,\r\n ben@example.org\r\n"), Not(HasSubstr("\nBcc"))));
  EXPECT_THAT(mail, HasSubstr("Message-ID: <" + to_string(delivery.id) + "@runtail>\r\n"));
}

TEST(Message, AMailHasShortLinesAndPlainHeaders) {
  AlertDelivery delivery = failed();
  delivery.job_id = "Aufträge für Österreich und die übrigen Länder, täglich";
  delivery.error_message = std::string(2'000, 'x');
  std::istringstream lines(mail_of(delivery, true, "etl@example.org", {"ann@example.org"}, kAt));
  bool is_header = true;
  std::string subject;
  for (std::string line; std::getline(lines, line);) {
    ASSERT_THAT(line, EndsWith("\r"));
    EXPECT_LT(line.size(), 998u);
    is_header &= line != "\r";
    if (!is_header) continue;
    EXPECT_LE(line.size(), 90u) << line;
    for (const char c : line) EXPECT_LT(static_cast<unsigned char>(c), 0x80) << line;
    if (line.find("=?UTF-8?Q?") != line.npos) subject += line;
  }
  EXPECT_THAT(subject, AllOf(HasSubstr("=66=C3=BC=72"), HasSubstr("=C3=96"), Not(HasSubstr("=C3?="))));
}

}  // namespace
}  // namespace runtail
