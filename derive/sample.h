// The duration a line reports, for the distributions kept in the database.
#pragma once

#include "derive/deriver.h"

namespace runtail {

// Fills `out.sample` and adds its table: of a run's and a task's end, an HTTP request and a span that state how long
// they took. `out.run` and `out.own` are there already.
void derive_sample(const RedactedEvent& event, const Origin& origin, const DeriverSettings& settings, Derived& out);

}  // namespace runtail
