// Answers understood requests out of a history. Threads: any, each with a store of its own.
#pragma once

#include "server/api_call.h"

namespace runtail {

// 200, 304, 404, or a problem of the store's.
ApiResponse answer_call(const ApiCall& call, HistoryStore& store);
// Of a route that is open.
ApiResponse answer_open(const ApiCall& call);

}  // namespace runtail
