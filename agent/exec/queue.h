// What the holder of a worker's pipes keeps in memory until an agent has it durable.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "agent/exec/protocol.h"

namespace runtail {

// Frames in order, each with its place in the pipe's byte space.
// Bound: bytes_max, unacknowledged frames included. Beyond it new lines are dropped and counted, until a quarter is
//        free again; then one Lost frame tells how much. Notes (Alive, Exit, Lost: a few in all) always fit.
// Threads: one.
class ExecQueue {
 public:
  explicit ExecQueue(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Without its newline, at most kExecLineBytesMax.
  void line(TimePoint at, ExecOutput output, std::string_view bytes);
  void too_long(TimePoint at, ExecOutput output, std::uint64_t length);
  void alive(TimePoint at);
  void exit(TimePoint at, const WorkerExit& exit);  // the last

  // Bytes to send next on this connection; empty: all is sent.
  std::string_view unsent();
  void sent(std::size_t bytes);
  // A new connection: what lies at or after `emitted` is sent from a frame's beginning, what lies before is let go.
  void resume(std::uint64_t emitted);
  // The agent has everything before `emitted` durable.
  void ack(std::uint64_t emitted);
  // All sinks have everything before `emitted`.
  void delivered(std::uint64_t emitted);

  bool all_acked() const { return acked_ >= end_; }
  bool all_delivered() const { return delivered_ >= end_; }
  std::uint64_t bytes_unacked() const { return end_ - acked_; }  // of the pipe's byte space
  std::uint64_t bytes_held() const { return held_; }             // of memory
  std::uint64_t bytes_lost() const { return lost_total_; }
  std::uint64_t bytes_of_lines() const { return lines_total_; }  // all that came, lost ones too

 private:
  // Whole frames. The last one takes more as long as it has room; so acknowledged frames leave many at a time.
  struct Segment {
    std::string bytes;
    std::uint64_t to = 0;  // the byte space up to the end of its last frame
  };

  // The frames' home: the last segment, or a new one. Null: the queue is full.
  std::string* room_for(std::size_t frame_bytes, bool must_fit);
  bool make_room(std::size_t frame_bytes, std::uint64_t span);
  void take_span(std::uint64_t span);
  void drop_front();
  void tell_lost();

  const std::size_t bytes_max_;
  std::deque<Segment> segments_;
  std::size_t at_ = 0, position_ = 0;  // segment being sent, and bytes of it that are
  std::uint64_t end_ = 0;              // where the next frame lies
  std::uint64_t acked_ = 0, delivered_ = 0;
  std::uint64_t held_ = 0;
  std::uint64_t lost_ = 0;  // not yet told
  std::uint64_t lost_total_ = 0, lines_total_ = 0;
  bool is_dropping_ = false;
};

// Cuts one stream of the worker into lines.
class LineCutter {
 public:
  explicit LineCutter(ExecOutput output) : output_(output) {}

  void feed(std::string_view bytes, TimePoint at, ExecQueue& queue);
  // The stream ended: what has no newline is a line too.
  void finish(TimePoint at, ExecQueue& queue);

 private:
  void add(std::string_view bytes);  // to the partial line

  const ExecOutput output_;
  std::string partial_;       // empty once it is too long
  std::uint64_t length_ = 0;  // of the partial line
};

}  // namespace runtail
