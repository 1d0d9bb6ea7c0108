// The durable buffer as the history behind the API reads it.
#pragma once

#include "buffer/durable_buffer.h"
#include "history/kept_state.h"

namespace runtail {

// Threads: any.
class KeptHistory final : public KeptState {
 public:
  explicit KeptHistory(const DurableBuffer& buffer) : buffer_(buffer) {}  // outlives this

  std::optional<std::string> get(std::string_view key) const override { return buffer_.get(key); }
  void scan(std::string_view prefix, std::string_view from, const Visit& visit) const override {
    buffer_.each(prefix, from, visit);
  }
  Result<std::optional<Chunk>> chunk(Sequence sequence) const override;

 private:
  const DurableBuffer& buffer_;
};

// Makes the index of runs (history/run_index.h) if the buffer has none: one that an earlier version wrote, or an agent
// that had PostgreSQL. Before the first line is read. The errors of DurableBuffer::append().
Result<void> index_kept_runs(DurableBuffer& buffer);
// The index is kept up no longer.
void forget_index(DurableBuffer& buffer);

}  // namespace runtail
