// What a replay and the running agent whose own store it fills say to each other over the control socket.
//
//   replay begin RULESET   -> ReplayStart: the key of identities, and what of each file is read
//   replay put BATCH       -> PastAnswer
//   replay stored LINES    -> "1": one of these lines left something behind; "0"
// Both are the same version, or the agent refuses: there is none in it beyond that of the request.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/replay_store.h"
#include "core/chunk.h"
#include "core/position.h"
#include "core/result.h"

namespace runtail {

// Chunks of one file, in ascending order.
struct PastBatch {
  std::vector<Chunk> chunks;
  ReplayStep step;
};
std::string encode_past_batch(std::span<const SequencedChunk> chunks, const ReplayStep& step);
// kInvalidInput: these are not the bytes of one.
Result<PastBatch> decode_past_batch(std::string_view bytes);

// How far a file is read.
struct FilePlace {
  std::uint64_t emitted = 0;
  Bytes32 confirm{};          // keyed hash of the bytes before
  bool is_followed = false;   // the agent has it open and reads it itself
  bool is_all_there = false;  // all that the batch covers
  bool is_as_known = false;   // of what the batch covers that is there which its sender knows of
};

struct PastAnswer {
  bool is_taken = false;  // durable
  std::string not_now;    // why it takes nothing at the moment; "": the file stands elsewhere
  FilePlace place;        // where it stands otherwise
  RunChanges runs;        // of what was taken
  RecordCounts expired;   // of what was taken: of runs too old to be kept
};
std::string encode_past_answer(const PastAnswer& answer);
Result<PastAnswer> decode_past_answer(std::string_view bytes);

std::string encode_start(const ReplayStart& start);
Result<ReplayStart> decode_start(std::string_view bytes);

std::string encode_file(const FileIdentity& file, std::span<const LineTrace> lines);
// Of the lines ids and times.
Result<std::pair<FileIdentity, std::vector<LineTrace>>> decode_file(std::string_view bytes);

}  // namespace runtail
