// How the verbs ask a running agent: a unix stream socket in its directory.
//
//   request:  VERB WORD WORD\n           words parted by one space; in a word, '%', spaces and control characters are
//                                       %XX; a last word "\x7FSIZE" stands for SIZE bytes that follow, the last word
//   answer:   ok SIZE\n and SIZE bytes   or   error MESSAGE\n,
//             busy MESSAGE\n: at the moment; then the agent closes
//
// One request per connection. Limits: words 64 KiB, 64 MiB behind them, 5 s to send either and 5 s without progress in
// taking the answer, 16 connections (further ones wait in the kernel's queue). Mode 0600, and the peer must be the
// agent's user or root.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"

namespace runtail {

// `words` is never empty. An error's message goes to the asker as it is.
using ControlHandler = std::function<Result<std::string>(const std::vector<std::string>& words)>;

// Tests shorten these; nothing else has a reason to.
struct ControlLimits {
  std::chrono::milliseconds deadline{5'000};
  std::size_t connections_max = 16;
};

// Threads: the handler runs, one request at a time, on the socket's own thread; the rest from the owner's thread.
class ControlSocket {
 public:
  ControlSocket(std::filesystem::path path, ControlHandler handler, ControlLimits limits = {});
  ~ControlSocket();  // stop()
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  // Once. A socket file nobody listens on is replaced. kUnavailable: an agent listens there.
  // kInvalidInput: the path is over 107 bytes, taken by another kind of file, or not writable.
  Result<void> start();
  // Cuts open connections, for good, and removes the file. May come twice, or before start().
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;  // null once stopped
};

// Asks the agent that listens at `path`; gives the body of its answer. `words` must not be empty. `bytes`: the last
// word, as it is; null: there is none. kNotFound: no agent listens there. kInvalidInput: the agent said no (its
// message), the request is too long, or the socket is another user's. kUnavailable: no whole answer within `timeout`,
// or not now.
Result<std::string> ask(const std::filesystem::path& path, const std::vector<std::string>& words,
                        std::chrono::milliseconds timeout, const std::string* bytes = nullptr);

}  // namespace runtail
