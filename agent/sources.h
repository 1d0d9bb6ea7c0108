// The sources a configuration asks for.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "agent/held_lines.h"
#include "agent/source.h"
#include "buffer/durable_buffer.h"
#include "config/config.h"
#include "core/digest.h"
#include "core/metric.h"

namespace runtail {

// Those of config.sources and the one that listens for `runtail exec`. `buffer` and `metrics` outlive them.
// `delivered`: the last chunk that every sink has; null: there is no sink but the buffer. `standard_input`: for the
// source of type stdin, which is there only with it; outlives the sources.
// kInvalidInput: a time zone or directory the machine does not have.
Result<std::vector<std::unique_ptr<Source>>> make_sources(const Config& config, const HashKey& key,
                                                          const DurableBuffer& buffer, MetricTable& metrics,
                                                          std::function<Sequence()> delivered,
                                                          HeldLines* standard_input);

}  // namespace runtail
