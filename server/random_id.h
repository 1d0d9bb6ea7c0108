// Names nobody else has, of the kernel's randomness.
#pragma once

#include <string>

#include "core/uuid.h"

namespace runtail {

Uuid random_uuid();                         // version 4
std::string random_hex(std::size_t bytes);  // 1 to 32

}  // namespace runtail
