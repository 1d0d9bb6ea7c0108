#include "agent/exec/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace runtail {
namespace {

using testing::ElementsAre;

// Takes everything there is to send; what was read is named "offset:bytes", "offset:!length" or "offset:lost bytes".
std::vector<std::string> send_all(ExecQueue& queue, std::string& wire) {
  for (std::string_view bytes; !(bytes = queue.unsent()).empty(); queue.sent(bytes.size())) wire += bytes;
  std::vector<std::string> frames;
  ExecFrame frame;
  std::size_t size = 0;
  for (std::string_view rest = wire; read_frame(rest, frame, size) == ExecRead::kWhole; rest.remove_prefix(size)) {
    std::string text = std::to_string(frame.offset) + ":";
    if (frame.type == ExecFrameType::kLine) text += frame.bytes.substr(0, 8);
    if (frame.type == ExecFrameType::kTooLong) text += "!" + std::to_string(frame.length);
    if (frame.type == ExecFrameType::kLost) text += "lost " + std::to_string(frame.length);
    if (frame.type == ExecFrameType::kExit) text += "exit";
    frames.push_back(text);
  }
  return frames;
}

std::vector<std::string> send_all(ExecQueue& queue) {
  std::string wire;
  return send_all(queue, wire);
}

TEST(ExecQueue, LinesAreCutAcrossReadsAndEachStreamHasItsOwnPartialLine) {
  ExecQueue queue(1 << 20);
  LineCutter out(ExecOutput::kStdout), err(ExecOutput::kStderr);
  out.feed("one\ntw", {}, queue);
  err.feed("bad", {}, queue);
  out.feed("o\n\n", {}, queue);
  err.feed(" luck", {}, queue);
  out.finish({}, queue);
  err.finish({}, queue);
  EXPECT_THAT(send_all(queue), ElementsAre("0:one", "4:two", "8:", "9:bad luck"));
}

TEST(ExecQueue, ALineOfTheGreatestLengthStaysAndOneByteMoreIsTooLong) {
  ExecQueue queue(8 << 20);
  LineCutter cutter(ExecOutput::kStdout);
  cutter.feed(std::string(kExecLineBytesMax, 'a') + '\n', {}, queue);
  cutter.feed(std::string(kExecLineBytesMax, 'b'), {}, queue);
  cutter.feed("b\nshort\n", {}, queue);
  EXPECT_THAT(send_all(queue), ElementsAre("0:aaaaaaaa", "1048577:!1048577", "2097155:short"));
}

TEST(ExecQueue, AnotherConnectionGetsWhatIsNotAcknowledgedFromAFramesBeginning) {
  ExecQueue queue(1 << 20);
  queue.line({}, ExecOutput::kStdout, "one");
  queue.line({}, ExecOutput::kStdout, "two");
  queue.sent(queue.unsent().size() - 3);  // cut in the middle of a frame
  queue.resume(0);
  EXPECT_THAT(send_all(queue), ElementsAre("0:one", "4:two"));
  queue.ack(8);
  EXPECT_TRUE(queue.all_acked());
  EXPECT_EQ(queue.bytes_held(), 0u);
  queue.line({}, ExecOutput::kStdout, "three");
  queue.resume(8);
  EXPECT_THAT(send_all(queue), ElementsAre("8:three"));
}

TEST(ExecQueue, AnAckForMoreThanWasSentDoesNotCutAFrame) {
  ExecQueue queue(1 << 20);
  queue.line({}, ExecOutput::kStdout, "one");
  std::string wire(queue.unsent().substr(0, 9));
  queue.sent(wire.size());
  queue.ack(4);
  EXPECT_THAT(send_all(queue, wire), ElementsAre("0:one"));
}

TEST(ExecQueue, BeyondItsBoundLinesAreDroppedAndCountedAndTheExitStillFits) {
  ExecQueue queue(256 << 10);
  const std::string line(999, 'x');
  for (int i = 0; i < 1000; ++i) queue.line({}, ExecOutput::kStdout, line);
  EXPECT_LE(queue.bytes_held(), 256u << 10);
  queue.exit({}, {});
  const std::vector<std::string> frames = send_all(queue);
  const auto kept = static_cast<std::uint64_t>(frames.size() - 2);
  EXPECT_EQ(queue.bytes_lost(), (1000 - kept) * 1000);
  EXPECT_EQ(frames[kept], std::to_string(kept * 1000) + ":lost " + std::to_string(queue.bytes_lost()));
  EXPECT_EQ(frames[kept + 1], std::to_string(kept * 1000 + 4096) + ":exit");
}

TEST(ExecQueue, OnceThereIsRoomAgainTheLossIsToldBeforeTheNextLine) {
  ExecQueue queue(256 << 10);
  const std::string line(999, 'x');
  for (int i = 0; i < 400; ++i) queue.line({}, ExecOutput::kStdout, line);
  const std::uint64_t lost = queue.bytes_lost();
  std::string wire;
  const auto kept = send_all(queue, wire).size();
  queue.ack(kept * 1000);
  queue.line({}, ExecOutput::kStdout, "next");
  EXPECT_THAT(send_all(queue), ElementsAre(std::to_string(kept * 1000) + ":lost " + std::to_string(lost),
                                           std::to_string(kept * 1000 + 4096) + ":next"));
}

// Random lines, sends, acks and reconnections: each line arrives, in order, at its offset; known ones may come again.
TEST(ExecQueue, WhateverHappensToConnectionsNoLineIsMissingOrTorn) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  ExecQueue queue(8 << 20);
  std::vector<std::string> written, taken;
  std::uint64_t emitted = 0, durable = 0;
  std::string wire;
  const auto drain = [&] {
    ExecFrame frame;
    std::size_t size = 0;
    while (true) {
      const ExecRead read = read_frame(wire, frame, size);
      ASSERT_NE(read, ExecRead::kBroken);
      if (read == ExecRead::kPartial) return;
      if (frame.offset + frame.span > emitted) {
        ASSERT_EQ(frame.offset, emitted);
        emitted += frame.span;
        taken.emplace_back(frame.bytes);
      }
      wire.erase(0, size);
    }
  };
  for (int step = 0; step < 20'000; ++step) {
    switch (random() % 8) {
      case 0:
      case 1:
      case 2:
        written.push_back(
            std::string(random() % (step % 100 == 0 ? 100'000 : 300), static_cast<char>('a' + random() % 26)));
        queue.line({}, ExecOutput::kStdout, written.back());
        break;
      case 3:
      case 4:
      case 5: {
        const std::string_view bytes = queue.unsent().substr(0, random() % 5000);
        wire += bytes;
        queue.sent(bytes.size());
        drain();
        break;
      }
      case 6:
        durable = emitted;
        queue.ack(durable);
        break;
      default:
        if (random() % 20 == 0) {
          wire.clear();
          queue.resume(durable);
        }
    }
    ASSERT_EQ(queue.bytes_lost(), 0u) << "the bound is too small for this test";
  }
  for (std::string_view bytes; !(bytes = queue.unsent()).empty(); queue.sent(bytes.size())) wire += bytes;
  drain();
  EXPECT_EQ(taken, written);
}

}  // namespace
}  // namespace runtail
