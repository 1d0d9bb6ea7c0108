#include "agent/exec/holder.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "agent/exec/link.h"
#include "agent/exec/own_stream.h"
#include "agent/exec/queue.h"
#include "core/exit_code.h"

namespace runtail {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Time = ExecLink::Time;

// After the worker's end, while a child it left behind holds its pipes open.
constexpr seconds kSilenceMax{1}, kDrainMax{10};
// An agent that went away may be restarted by whoever runs it; after this we start one.
constexpr seconds kUnansweredMax{2};
// So many connections closed without an answer are no crash of an agent.
constexpr int kRefusalsMax = 3;
// Of a worker's pipe: so a worker that writes in bursts does not meet the moments we are not scheduled. All of it is
// read at once: then what is read ends where a write of the worker ended, and lines of two streams are not mixed.
constexpr int kPipeBytes = 1 << 20;
constexpr seconds kAgentPauseMin{2}, kAgentPauseMax{30};
constexpr int kForwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT};

Time steady_now() { return std::chrono::steady_clock::now(); }

std::int64_t micros(const timeval& time) { return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_usec; }

TimePoint wall_now() { return SystemClock().now(); }

// A closed 0, 1 or 2 would be given to our own files.
void fill_standard_descriptors() {
  for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR)) {
    if (fd <= STDERR_FILENO) continue;
    close(fd);
    return;
  }
}

// One of the worker's output streams on its way to our own.
struct Stream {
  Stream(ExecOutput output, int own_fd) : own(own_fd), redacted(own), lines(output) {}

  int from = -1;  // the worker's pipe; -1: ended
  OwnStream own;
  RedactedOutput redacted;
  std::vector<char> room = std::vector<char>(kPipeBytes);
  std::string_view pending;  // read, and not yet written
  LineCutter lines;
  Time moved_at{};
};

class Holder {
 public:
  explicit Holder(const HolderSettings& settings) : settings_(settings), queue_(settings.queue_bytes_max) {}

  int run() {
    take_signals_over();
    ExecHello hello = settings_.hello;
    hello.started_at = wall_now();
    hello.wants_redacted = settings_.pass_output == PassOutput::kRedacted;
    link_.emplace(settings_.socket, std::move(hello), queue_,
                  [this](const ExecFrame& frame) { redacted_of(frame.output).add(frame.bytes, frame.span); });
    const bool has_agent = !settings_.fail_closed || reach_agent();
    if (has_agent) {
      start_worker();
      while (!is_done()) step(steady_now() + kAgentPauseMax);
      tell_what_is_missing();
    } else {
      complain("no agent answers and --fail-closed is set: the worker was not started");
    }
    link_.reset();
    end_agent();
    return has_agent ? exit_code() : kExitExecFailed;
  }

 private:
  std::string complaint(const std::string& what) const {
    return settings_.program + ": " + what + " (socket " + settings_.socket.native() +
           "; the agent's own words: " + (settings_.socket.parent_path() / "agent.log").native() + ")\n";
  }
  void complain(const std::string& what) const { dprintf(STDERR_FILENO, "%s", complaint(what).c_str()); }

  void tell_what_is_missing() const {
    if (!queue_.all_acked()) {
      complain("no agent took all of this run in time: its end is lost, and up to " +
               std::to_string(queue_.bytes_unacked() - kExecNoteSpan + queue_.bytes_lost()) + " bytes of output");
    } else if (queue_.bytes_lost() > 0) {
      complain("the agent was too slow or away: it did not get " + std::to_string(queue_.bytes_lost()) +
               " bytes of output");
    } else if (!queue_.all_delivered() && settings_.drain.count() > 0 && agent_ > 0) {
      complain("not all of this run is in the database yet: it is kept in the buffer, and the next agent delivers it");
    }
    if (settings_.pass_output != PassOutput::kRedacted) return;
    const std::uint64_t shown = streams_[0].redacted.bytes_done() + streams_[1].redacted.bytes_done();
    if (shown < queue_.bytes_of_lines()) {
      complain("--stdout=redacted: " + std::to_string(queue_.bytes_of_lines() - shown) +
               " bytes of output are not shown: no agent redacted them in time, or whoever reads was too slow");
    }
  }

  RedactedOutput& redacted_of(ExecOutput output) { return streams_[output == ExecOutput::kStderr].redacted; }

  // Signals come through a descriptor from here on.
  void take_signals_over() {
    struct sigaction plain {};
    plain.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &plain, &pipe_action_);
    plain.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &plain, &child_action_);
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGCHLD);
    for (const int number : kForwarded) sigaddset(&taken, number);
    sigprocmask(SIG_BLOCK, &taken, &mask_);
    signals_ = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  // As this process was started.
  void give_back_signals() const {
    sigaction(SIGPIPE, &pipe_action_, nullptr);
    sigaction(SIGCHLD, &child_action_, nullptr);
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }

  bool reach_agent() {
    const Time until = steady_now() + settings_.agent_reach_wait;
    while (!link_->is_up() && steady_now() < until && !is_hurried_) step(until);
    return link_->is_up();
  }

  void start_worker() {
    started_at_ = steady_now();
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    const bool has_pipes = pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0;
    worker_ = has_pipes ? fork() : -1;
    if (worker_ < 0) {
      dprintf(STDERR_FILENO, "%s: %s; the worker runs without a wrapper\n", settings_.program.c_str(),
              std::strerror(errno));
      if (settings_.pass_output != PassOutput::kRaw) show_nothing();
      become_worker();
    }
    if (worker_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(err[1], STDERR_FILENO);
      become_worker();
    }
    close(out[1]);
    close(err[1]);
    // Only the worker reads stdin now: whoever writes into it must notice when it no longer does.
    if (const int null = open("/dev/null", O_RDWR | O_CLOEXEC); null >= 0) {
      dup2(null, STDIN_FILENO);
      close(null);
    }
    open_stream(streams_[0], out[0]);
    open_stream(streams_[1], err[0]);
  }

  // Never returns. A failure is said on the worker's own stderr, so that the agent learns of it too.
  [[noreturn]] void become_worker() const {
    give_back_signals();
    const std::string& job = settings_.hello.job.empty() ? settings_.hello.command : settings_.hello.job;
    const auto stated = std::find_if(settings_.hello.ids.begin(), settings_.hello.ids.end(),
                                     [](const ExecId& id) { return id.field == "run_id"; });
    const std::string run = stated == settings_.hello.ids.end() ? to_string(settings_.hello.run) : stated->value;
    setenv("RUNTAIL_RUN_ID", run.c_str(), 1);
    setenv("RUNTAIL_JOB_ID", job.c_str(), 1);
    std::vector<char*> argv;
    for (const std::string& word : settings_.command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    const bool is_missing = errno == ENOENT;
    dprintf(STDERR_FILENO, "%s: %s: %s; %s\n", settings_.program.c_str(), argv[0], std::strerror(errno),
            is_missing ? "is it spelled right, and in PATH?" : "is it a program this user may execute?");
    _exit(is_missing ? kExitNotFound : kExitNotExecutable);
  }

  static void show_nothing() {
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0) _exit(kExitExecFailed);  // rather no worker than one whose secrets are seen
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
  }

  void open_stream(Stream& stream, int from) {
    fcntl(from, F_SETFL, O_NONBLOCK);
    fcntl(from, F_SETPIPE_SZ, kPipeBytes);  // fails where the user's share of pipes is used up: then it stays 64 KiB
    stream.from = from;
    stream.moved_at = started_at_;
  }

  // Waits for the next event, or for the next thing that is due, and does what is to be done.
  void step(Time until) {
    Time now = steady_now();
    do_what_is_due(now);
    if (is_done()) return;
    for (const Time due : {due_, link_->due()}) until = std::min(until, due);

    std::vector<pollfd>& fds = polled_;
    fds.clear();
    fds.push_back({signals_, POLLIN, 0});
    fds.push_back({link_->fd(), link_->fd() >= 0 ? link_->events() : short{0}, 0});
    for (const Stream& stream : streams_) {
      const bool is_blocked = !stream.pending.empty();
      fds.push_back({is_blocked ? stream.own.fd() : stream.from, is_blocked ? short{POLLOUT} : short{POLLIN}, 0});
    }
    for (const Stream& stream : streams_) {
      fds.push_back({stream.redacted.is_waiting() ? stream.redacted.fd() : -1, POLLOUT, 0});
    }
    const auto wait = std::chrono::ceil<milliseconds>(until - now).count();
    if (poll(fds.data(), fds.size(), static_cast<int>(std::clamp<std::int64_t>(wait, 0, 60'000))) < 0) return;

    now = steady_now();
    for (std::size_t i = 0; i < 2; ++i) {
      if (fds[2 + i].revents == 0) continue;
      if (!streams_[i].pending.empty()) {
        pass_on(streams_[i], now);
      } else {
        read_from(streams_[i], now);
      }
    }
    if (fds[0].revents != 0) take_signals(now);
    // Also without an event: new lines are there to be sent.
    if (link_->fd() >= 0) link_->on_ready(now);
    for (Stream& stream : streams_) stream.redacted.write();
  }

  void do_what_is_due(Time now) {
    due_ = Time::max();
    const auto not_yet = [&](Time at) {
      if (now < at) due_ = std::min(due_, at);
      return now < at;
    };
    if (std::exchange(was_connected_, false) && link_->fd() < 0) agent_due_ = now + kUnansweredMax;
    link_->tick(now);
    if (link_->is_up()) {
      answered_at_ = now;
      agent_failed_ = false;
      agent_pause_ = kAgentPauseMin;
    }
    if (link_->fd() >= 0) {
      was_connected_ = true;
    } else if (settings_.start_agent && agent_ < 0 && !not_yet(agent_due_)) {
      agent_ = settings_.start_agent();
      agent_failed_ |= agent_ < 0;
      agent_due_ = now + agent_pause_;
      link_->hurry(now);
    }
    tell_of_absence(not_yet);
    if (worker_ < 0) return;
    if (!is_worker_ended_ && !is_alive_told_ && !not_yet(started_at_ + settings_.alive_after)) {
      queue_.alive(wall_now());
      is_alive_told_ = true;
    }
    if (!is_worker_ended_) return;
    for (Stream& stream : streams_) {
      if (stream.from < 0 || !stream.pending.empty()) continue;
      const Time silent_at = std::max(stream.moved_at, ended_at_) + kSilenceMax;
      if (!not_yet(std::min(silent_at, ended_at_ + kDrainMax))) end_stream(stream);
    }
    if (!is_exit_told_ && streams_[0].from < 0 && streams_[1].from < 0) {
      queue_.exit(ended_wall_, exit_);
      is_exit_told_ = true;
      exit_told_at_ = now;
      link_->hurry(now);
    }
    if (!is_exit_told_) return;
    is_drain_over_ = !not_yet(exit_told_at_ + settings_.drain);
    is_given_up_ = !not_yet(exit_told_at_ + end_wait()) && (!queue_.all_acked() || is_drained());
  }

  // Once, and only what the end does not say anyway.
  template <typename NotYet>
  void tell_of_absence(const NotYet& not_yet) {
    if (is_absence_told_ || is_exit_told_) return;
    std::string what;
    if (link_->refusals() >= kRefusalsMax) {
      what = "the agent there does not answer: is it of another version? The worker goes on without it";
    } else if (!settings_.start_agent && worker_ > 0 && !link_->is_up() &&
               !not_yet(std::max(started_at_, answered_at_) + settings_.unanswered_after)) {
      what = "no agent answers, and no runtail is found to start one: the worker runs without one, up to " +
             std::to_string(settings_.queue_bytes_max >> 20) + " MiB of its lines wait for an agent to come";
    }
    if (what.empty()) return;
    is_absence_told_ = true;
    say_meanwhile(complaint(what));
  }

  // Whatever takes our stderr may make a writer wait, a file on a busy disk too: then a child waits, not the worker.
  void say_meanwhile(const std::string& text) {
    const pid_t pid = fork();
    if (pid < 0) streams_[1].own.write(text);
    if (pid != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    give_back_signals();
    for (const Stream& stream : streams_) close(stream.from);  // the worker must notice when we no longer read
    close(link_->fd());
    dprintf(STDERR_FILENO, "%s", text.c_str());
    _exit(0);
  }

  milliseconds end_wait() const {
    const bool is_hopeless = link_->fd() < 0 && agent_ < 0 && agent_failed_;
    return is_hopeless ? std::min(settings_.hopeless_wait, settings_.ack_wait) : settings_.ack_wait;
  }

  bool is_drained() const { return is_drain_over_ || queue_.all_delivered(); }

  bool is_done() const {
    if (!is_exit_told_ || !streams_[0].pending.empty() || !streams_[1].pending.empty()) return false;
    const bool is_shown = !streams_[0].redacted.is_waiting() && !streams_[1].redacted.is_waiting();
    return (queue_.all_acked() && is_drained() && is_shown) || is_given_up_ || is_hurried_;
  }

  void read_from(Stream& stream, Time now) {
    const ssize_t got = read(stream.from, stream.room.data(), stream.room.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
      end_stream(stream);
      return;
    }
    const std::string_view bytes(stream.room.data(), static_cast<std::size_t>(got));
    stream.moved_at = now;
    stream.lines.feed(bytes, wall_now(), queue_);
    if (settings_.pass_output != PassOutput::kRaw) return;
    stream.pending = bytes;
    pass_on(stream, now);
  }

  void end_stream(Stream& stream) {
    close(std::exchange(stream.from, -1));
    stream.lines.finish(wall_now(), queue_);
  }

  void pass_on(Stream& stream, Time now) {
    const ssize_t written = stream.own.write(stream.pending);
    if (written < 0) {
      // A reader that left must reach the worker as it would without us; no other error may harm it.
      if (errno == EPIPE && stream.from >= 0) end_stream(stream);
      stream.pending = {};
      return;
    }
    if (written == 0) return;
    stream.pending.remove_prefix(static_cast<std::size_t>(written));
    stream.moved_at = now;
  }

  void take_signals(Time now) {
    signalfd_siginfo info{};
    while (read(signals_, &info, sizeof info) == sizeof info) {
      const int number = static_cast<int>(info.ssi_signo);
      if (number == SIGCHLD) {
        reap(now);
        continue;
      }
      // A key pressed on the terminal reached the worker already: it is in the same foreground group.
      const bool is_key = (number == SIGINT || number == SIGQUIT) && info.ssi_code == SI_KERNEL;
      if (worker_ > 0 && !is_worker_ended_) {
        if (!is_key) kill(worker_, number);
      } else if (number == SIGTERM || number == SIGINT) {
        is_hurried_ = true;
      }
    }
  }

  // As PID 1 of a container other processes' orphans come to us too.
  void reap(Time now) {
    int status = 0;
    rusage used{};
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &used)) > 0;) {
      if (pid == worker_) {
        is_worker_ended_ = true;
        ended_at_ = now;
        ended_wall_ = wall_now();
        exit_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        exit_.exit_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        exit_.duration_ms = std::chrono::duration_cast<milliseconds>(now - started_at_).count();
        exit_.cpu_us = micros(used.ru_utime) + micros(used.ru_stime);
        exit_.max_rss_bytes = std::int64_t{used.ru_maxrss} * 1024;
      } else if (pid == agent_) {
        agent_ = -1;
        agent_failed_ = true;
        agent_due_ = now + agent_pause_;
        agent_pause_ = std::min(agent_pause_ * 2, kAgentPauseMax);
      }
    }
  }

  void end_agent() {
    if (agent_ <= 0) return;
    kill(agent_, SIGTERM);
    const Time until = steady_now() + settings_.agent_end_wait;
    for (Time now = steady_now(); agent_ > 0 && now < until; now = steady_now()) {
      pollfd ready{signals_, POLLIN, 0};
      poll(&ready, 1, static_cast<int>(std::chrono::ceil<milliseconds>(until - now).count()));
      take_signals(now);
    }
  }

  int exit_code() const { return exit_.exit_signal != 0 ? 128 + exit_.exit_signal : exit_.exit_code; }

  const HolderSettings& settings_;
  ExecQueue queue_;
  std::optional<ExecLink> link_;
  Stream streams_[2] = {{ExecOutput::kStdout, STDOUT_FILENO}, {ExecOutput::kStderr, STDERR_FILENO}};
  std::vector<pollfd> polled_;
  Time due_ = Time::max();  // the next thing to do without an event

  int signals_ = -1;
  sigset_t mask_{};  // these three: as we found them, for the worker
  struct sigaction pipe_action_ {
  }, child_action_{};

  pid_t worker_ = -1;
  Time started_at_{}, ended_at_{}, exit_told_at_{};
  Time answered_at_{};  // when an agent was last there
  TimePoint ended_wall_{};
  WorkerExit exit_;
  bool is_alive_told_ = false, is_worker_ended_ = false, is_exit_told_ = false;
  bool is_drain_over_ = false;
  bool is_given_up_ = false;  // no agent took everything in time
  bool is_absence_told_ = false;
  bool is_hurried_ = false;  // asked to end while waiting for an agent

  bool was_connected_ = false;
  pid_t agent_ = -1;                            // one we started
  bool agent_failed_ = !settings_.start_agent;  // none has answered yet, and ours ended or there is none to start
  Time agent_due_{};                            // when we may start one
  seconds agent_pause_ = kAgentPauseMin;
};

}  // namespace

int hold_worker(const HolderSettings& settings) {
  fill_standard_descriptors();
  return Holder(settings).run();
}

}  // namespace runtail
