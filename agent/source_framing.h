// What a source of files says of its lines beyond their defaults: the same for who follows them and who reads them
// again.
#pragma once

#include <cstddef>
#include <string>

#include "agent/line_block.h"
#include "agent/pod_path.h"
#include "config/config.h"
#include "parsers/framing.h"

namespace runtail {

FramingSettings framing_of(const SourceConfig& source, std::size_t line_bytes_max);

// The stream and job of a container's log, and the members of its lines' context that say whose it is.
void name_pod(const PodPath& pod, std::string& stream, std::string& default_job, LineDefaults& defaults);

}  // namespace runtail
