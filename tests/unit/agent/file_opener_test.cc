#include "agent/file_opener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>

#include "tests/support/scale.h"
#include "tests/support/temp_dir.h"

namespace runtail {
namespace {

namespace fs = std::filesystem;

// What the kernel answers to openat2.
enum class Openat2 { kThere, kForbidden, kMissing };

// For the calling thread, for good.
void refuse_openat2(int number) {
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(number)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, steps};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
  ASSERT_EQ(syscall(SYS_openat2, -1, "", nullptr, 0), -1);
  ASSERT_EQ(errno, number);
}

void write_file(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

std::string text_of(const OpenedFile& file) {
  std::string text(100, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, pread(file.fd(), text.data(), text.size(), 0))));
  return text;
}

// <dir>/logs is the root, with a.log and deep/b.log; <dir>/pods may be one; <dir>/etc never is.
class FileOpenerTest : public testing::TestWithParam<Openat2> {
 protected:
  void SetUp() override {
    fs::permissions(dir_.path(), fs::perms(0755));
    for (const char* each : {"logs", "logs/deep", "logs/other", "pods", "etc"}) fs::create_directory(dir_ / each);
    write_file(logs_ / "a.log", "inside");
    write_file(logs_ / "deep/b.log", "inside");
    write_file(dir_ / "pods/0.log", "pod");
    write_file(dir_ / "etc/shadow", "outside");
    write_file(dir_ / "etc/b.log", "outside");
  }

  // In a thread of its own, for which openat2 is as the parameter says.
  void run(const std::function<void()>& body) {
    std::thread([&] {
      if (GetParam() == Openat2::kForbidden) refuse_openat2(EPERM);
      if (GetParam() == Openat2::kMissing) refuse_openat2(ENOSYS);
      if (!HasFatalFailure()) body();
    }).join();
  }
  Result<OpenedFile> open(const fs::path& path) { return open_below({logs_}, path); }
  Result<OpenedFile> open_below(const std::vector<fs::path>& roots, const fs::path& path) {
    std::optional<Result<OpenedFile>> opened;
    run([&] { opened.emplace(FileOpener(roots).open(path)); });
    if (!opened) return Error{ErrorCode::kCorrupt, "openat2 could not be refused"};
    return std::move(*opened);
  }
  // What is read through `path`, or the error's message.
  std::string read(const fs::path& path) { return read_below({logs_}, path); }
  std::string read_below(const std::vector<fs::path>& roots, const fs::path& path) {
    const auto file = open_below(roots, path);
    return file ? text_of(*file) : file.error().message;
  }
  void expect_outside(const fs::path& path, const fs::path& real) {
    const auto file = open(path);
    ASSERT_FALSE(file) << text_of(*file);
    EXPECT_EQ(file.error().code, ErrorCode::kInvalidInput);
    EXPECT_EQ(file.error().message, "open " + path.string() + ": it leads to " + real.string() +
                                        ", outside of the directories this source may read (" + logs_.string() +
                                        "); add its directory to sources[].roots");
  }
  void expect_type(const fs::path& path, const std::string& type) {
    const auto file = open(path);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code, ErrorCode::kInvalidInput);
    EXPECT_NE(file.error().message.find("it is " + type), std::string::npos) << file.error().message;
  }

  test::TempDir dir_;
  const fs::path logs_ = dir_ / "logs";
};

INSTANTIATE_TEST_SUITE_P(, FileOpenerTest, testing::Values(Openat2::kThere, Openat2::kForbidden, Openat2::kMissing),
                         [](const auto& each) {
                           return each.param == Openat2::kThere       ? "WithOpenat2"
                                  : each.param == Openat2::kForbidden ? "Openat2Forbidden"
                                                                      : "Openat2Missing";
                         });

TEST_P(FileOpenerTest, OpensAFileAndTellsItsFacts) {
  const auto file = open(logs_ / "deep/b.log");
  ASSERT_TRUE(file) << file.error().message;
  struct stat status {};
  ASSERT_EQ(stat((logs_ / "deep/b.log").c_str(), &status), 0);
  EXPECT_EQ(text_of(*file), "inside");
  EXPECT_EQ(file->size, 6U);
  EXPECT_EQ(file->mtime_ns, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec);
  EXPECT_TRUE(fcntl(file->fd(), F_GETFD) & FD_CLOEXEC);
  EXPECT_TRUE(fcntl(file->fd(), F_GETFL) & O_NONBLOCK);
}

TEST_P(FileOpenerTest, ClosesWhatItOpenedOnceAndOnly) {
  int fd = -1;
  {
    auto file = open(logs_ / "a.log");
    ASSERT_TRUE(file);
    OpenedFile moved = std::move(*file);
    EXPECT_EQ(file->fd(), -1);
    fd = moved.fd();
    EXPECT_EQ(text_of(moved), "inside");
    EXPECT_EQ(moved.size, 6U);
    moved = OpenedFile();
  }
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

TEST_P(FileOpenerTest, LeavesNoDescriptorBehind) {
  fs::create_symlink(dir_ / "etc", logs_ / "out");
  fs::create_symlink("deep/b.log", logs_ / "link");
  run([&] {
    const FileOpener opener({logs_});
    const auto count = [] { return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()); };
    const auto before = count();
    for (const char* name : {"a.log", "deep/b.log", "link", "out/shadow", "none", "deep", "deep/../a.log"}) {
      (void)opener.open(logs_ / name);
    }
    EXPECT_EQ(count(), before);
  });
}

TEST_P(FileOpenerTest, RefusesALinkToOutside) {
  fs::create_symlink(dir_ / "etc/shadow", logs_ / "absolute.log");
  fs::create_symlink("../etc/shadow", logs_ / "relative.log");
  fs::create_symlink("../../etc/shadow", logs_ / "deep/relative.log");
  for (const char* name : {"absolute.log", "relative.log", "deep/relative.log"}) {
    expect_outside(logs_ / name, dir_ / "etc/shadow");
  }
}

TEST_P(FileOpenerTest, RefusesAPathThroughADirectoryThatIsALinkToOutside) {
  fs::create_symlink(dir_ / "etc", logs_ / "absolute");
  fs::create_symlink("../etc", logs_ / "relative");
  fs::create_symlink("relative", logs_ / "chain");
  for (const char* name : {"absolute", "relative", "chain"})
    expect_outside(logs_ / name / "shadow", dir_ / "etc/shadow");
}

TEST_P(FileOpenerTest, RefusesTheMagicLinksOfProc) {
  const OpenedFile secret(::open((dir_ / "etc/shadow").c_str(), O_RDONLY | O_CLOEXEC));
  fs::create_symlink("/proc/self/fd/" + std::to_string(secret.fd()), logs_ / "magic.log");
  expect_outside(logs_ / "magic.log", dir_ / "etc/shadow");
}

TEST_P(FileOpenerTest, FollowsLinksThatStayInside) {
  fs::create_symlink("a.log", logs_ / "relative.log");
  fs::create_symlink(logs_ / "a.log", logs_ / "absolute.log");
  fs::create_symlink("deep", logs_ / "directory");
  fs::create_symlink("../directory/b.log", logs_ / "other/chain.log");
  fs::create_symlink("other/chain.log", logs_ / "chain.log");
  for (const char* name : {"relative.log", "absolute.log", "directory/b.log", "other/chain.log", "chain.log"}) {
    EXPECT_EQ(read(logs_ / name), "inside") << name;
  }
}

TEST_P(FileOpenerTest, FollowsALinkOutOfTheRootAndBackIn) {
  fs::create_symlink(dir_.path(), logs_ / "up");
  EXPECT_EQ(read(logs_ / "up/logs/deep/b.log"), "inside");
  expect_outside(logs_ / "up/etc/shadow", dir_ / "etc/shadow");
}

TEST_P(FileOpenerTest, FollowsALinkToAnotherRoot) {
  fs::create_symlink(dir_ / "pods/0.log", logs_ / "absolute.log");
  fs::create_symlink("../pods/0.log", logs_ / "relative.log");
  fs::create_symlink("../pods", logs_ / "pods");
  for (const char* name : {"absolute.log", "relative.log", "pods/0.log"}) {
    EXPECT_EQ(read_below({logs_, dir_ / "pods"}, logs_ / name), "pod") << name;
    expect_outside(logs_ / name, dir_ / "pods/0.log");
  }
}

TEST_P(FileOpenerTest, SaysThatLinksLeadToEachOther) {
  fs::create_symlink("two", logs_ / "one");
  fs::create_symlink("one", logs_ / "two");
  const auto file = open(logs_ / "one");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kInvalidInput);
  EXPECT_NE(file.error().message.find("lead to each other"), std::string::npos) << file.error().message;
}

TEST_P(FileOpenerTest, NothingWhereALinkLeadsIsNotFound) {
  fs::create_symlink("gone.log", logs_ / "link.log");
  const auto file = open(logs_ / "link.log");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kNotFound);
}

TEST_P(FileOpenerTest, DotDotMeansWhatTheKernelMeansByIt) {
  EXPECT_EQ(read(logs_ / "deep/../a.log"), "inside");
  EXPECT_EQ(read(logs_ / "deep/../../logs/./a.log"), "inside");
  expect_outside(logs_ / "../etc/shadow", dir_ / "etc/shadow");
  expect_outside(logs_ / "deep/../../etc/shadow", dir_ / "etc/shadow");
  // Behind a link, ".." is the parent of where it leads.
  fs::create_directories(logs_ / "far/away");
  write_file(logs_ / "far/c.log", "far");
  write_file(logs_ / "c.log", "near");
  fs::create_symlink("far/away", logs_ / "link");
  EXPECT_EQ(read(logs_ / "link/../c.log"), "far");
}

TEST_P(FileOpenerTest, ANeighbourWhoseNameBeginsLikeTheRootIsOutside) {
  fs::create_directory(dir_ / "logs2");
  write_file(dir_ / "logs2/a.log", "outside");
  expect_outside(dir_ / "logs2/a.log", dir_ / "logs2/a.log");
}

TEST_P(FileOpenerTest, APathMayBeRelativeToTheWorkingDirectory) {
  const fs::path before = fs::current_path();
  fs::current_path(dir_.path());
  EXPECT_EQ(read_below({"logs"}, "logs/a.log"), "inside");
  EXPECT_EQ(read_below({"."}, "./logs/a.log"), "inside");
  EXPECT_NE(read_below({"logs"}, "etc/shadow"), "outside");
  fs::current_path(before);
}

TEST_P(FileOpenerTest, AHardLinkIsAFileLikeAnyOther) {
  fs::create_hard_link(logs_ / "a.log", logs_ / "again.log");
  const auto file = open(logs_ / "again.log");
  ASSERT_TRUE(file);
}

TEST_P(FileOpenerTest, APipeIsRefusedUnopened) {
  ASSERT_EQ(mkfifo((logs_ / "pipe").c_str(), 0600), 0);
  const OpenedFile opens(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(inotify_add_watch(opens.fd(), (logs_ / "pipe").c_str(), IN_OPEN), 0);
  expect_type(logs_ / "pipe", "a named pipe");
  char event[1'000];
  EXPECT_EQ(::read(opens.fd(), event, sizeof event), -1);  // a writer would have been let in
}

TEST_P(FileOpenerTest, NamesTheTypeOfWhatIsNoFile) {
  expect_type(logs_ / "deep", "a directory");
  expect_type(logs_, "a directory");
  const OpenedFile socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (logs_ / "socket").string().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(socket.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  expect_type(logs_ / "socket", "a socket");
  if (mknod((logs_ / "null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0) expect_type(logs_ / "null", "a device");
}

TEST_P(FileOpenerTest, TellsWhyItCannotBeOpened) {
  const auto missing = open(logs_ / "none.log");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  const auto below_a_file = open(logs_ / "a.log/b.log");
  ASSERT_FALSE(below_a_file);
  EXPECT_EQ(below_a_file.error().code, ErrorCode::kNotFound);

  fs::permissions(logs_ / "a.log", fs::perms::none);
  run([&] {
    setfsuid(65534);  // for this thread alone; root reads everything
    const auto unreadable = FileOpener({logs_}).open(logs_ / "a.log");
    ASSERT_FALSE(unreadable);
    EXPECT_EQ(unreadable.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(unreadable.error().message, "open " + (logs_ / "a.log").string() +
                                              ": Permission denied; give the user of runtail the right to read it");
  });
}

TEST_P(FileOpenerTest, ALinkIntoAForbiddenDirectoryIsNoReasonToAskForRights) {
  fs::create_symlink(dir_ / "etc/shadow", logs_ / "link.log");
  fs::permissions(dir_ / "etc", fs::perms::none);
  run([&] {
    setfsuid(65534);
    const auto file = FileOpener({logs_}).open(logs_ / "link.log");
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(file.error().message.find("give the user"), std::string::npos) << file.error().message;
  });
  fs::permissions(dir_ / "etc", fs::perms(0755));
}

TEST_P(FileOpenerTest, OutOfDescriptorsNamesTheLimit) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  std::optional<Result<OpenedFile>> opened;
  run([&] {
    const FileOpener opener({logs_});
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    opened.emplace(opener.open(logs_ / "a.log"));
    setrlimit(RLIMIT_NOFILE, &before);
  });
  ASSERT_TRUE(opened && !*opened);
  const Error& error = opened->error();
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_NE(error.message.find("LimitNOFILE="), std::string::npos) << error.message;
}

TEST_P(FileOpenerTest, ARootMayBeReachedByLinks) {
  fs::create_directory_symlink("logs", dir_ / "current");
  fs::create_symlink(logs_ / "a.log", logs_ / "real.log");            // by the root's real name
  fs::create_symlink(dir_ / "current/a.log", logs_ / "written.log");  // by the written one
  fs::create_symlink(dir_ / "etc/shadow", logs_ / "out.log");
  const std::vector<fs::path> roots{dir_ / "current"};
  for (const char* name : {"a.log", "real.log", "written.log"}) {
    EXPECT_EQ(read_below(roots, dir_ / "current" / name), "inside") << name;
  }
  EXPECT_EQ(read_below(roots, logs_ / "a.log"), "inside");
  EXPECT_FALSE(open_below(roots, dir_ / "current/out.log"));
}

TEST_P(FileOpenerTest, ARootThatComesLaterOrIsReplacedIsMetAsItIs) {
  run([&] {
    const FileOpener opener({dir_ / "late"});
    const auto early = opener.open(dir_ / "late/a.log");
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().code, ErrorCode::kNotFound);
    fs::create_directory(dir_ / "late");
    write_file(dir_ / "late/a.log", "first");
    const auto first = opener.open(dir_ / "late/a.log");
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ(text_of(*first), "first");
    fs::rename(dir_ / "late", dir_ / "moved");
    EXPECT_FALSE(opener.open(dir_ / "late/a.log"));
    fs::create_directory(dir_ / "late");
    write_file(dir_ / "late/a.log", "second");
    const auto second = opener.open(dir_ / "late/a.log");
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(text_of(*second), "second");
    EXPECT_EQ(text_of(*first), "first");
  });
}

// Two names change places as fast as they can while the path is opened.
class Swapper {
 public:
  Swapper(const fs::path& a, const fs::path& b)
      : thread_([this, a, b] {
          while (!stop_) {
            if (renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) ++swaps_;
          }
        }) {}
  ~Swapper() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::uint64_t swaps() const { return swaps_; }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> swaps_ = 0;
  std::thread thread_;
};

class FileOpenerRaceTest : public FileOpenerTest {
 protected:
  // Opens `path` while `a` and `b`, one of them a way out, change places.
  void race(const fs::path& path, const fs::path& a, const fs::path& b) {
    Swapper swapper(a, b);
    std::uint64_t opened = 0, refused = 0;
    run([&] {
      const FileOpener opener({logs_});
      for (int i = 0; i < test::by_scale(20'000, 500'000); ++i) {
        const auto file = opener.open(path);
        ASSERT_TRUE(!file || text_of(*file) == "inside") << "at open " << i;
        ++(file ? opened : refused);
      }
    });
    swapper.stop();
    // Else nothing was raced.
    EXPECT_GT(swapper.swaps(), 1'000U);
    EXPECT_GT(opened, 100U);
    EXPECT_GT(refused, 100U);
  }
};

INSTANTIATE_TEST_SUITE_P(, FileOpenerRaceTest, testing::Values(Openat2::kThere, Openat2::kForbidden),
                         [](const auto& each) {
                           return each.param == Openat2::kThere ? "WithOpenat2" : "Openat2Forbidden";
                         });

TEST_P(FileOpenerRaceTest, NeverFollowsADirectoryThatTurnsIntoALinkToOutside) {
  fs::create_symlink(dir_ / "etc", logs_ / "swap");
  race(logs_ / "deep/b.log", logs_ / "deep", logs_ / "swap");
}

TEST_P(FileOpenerRaceTest, NeverFollowsAFileThatTurnsIntoALinkToOutside) {
  fs::create_symlink(dir_ / "etc/shadow", logs_ / "swap.log");
  race(logs_ / "a.log", logs_ / "a.log", logs_ / "swap.log");
}

TEST_P(FileOpenerRaceTest, NeverFollowsALinkWhoseTargetTurnsOutside) {
  fs::create_symlink("deep", logs_ / "link");
  fs::create_symlink(dir_ / "etc", logs_ / "swap");
  race(logs_ / "link/b.log", logs_ / "link", logs_ / "swap");
}

TEST(RootOfPatternTest, IsTheDirectoryBeforeTheFirstWildcard) {
  const std::vector<std::pair<std::string, std::string>> cases{{"/var/log/etl.log", "/var/log"},
                                                               {"/var/log/*.log", "/var/log"},
                                                               {"/var/log/*/0.log", "/var/log"},
                                                               {"/var/log/job-?/x/*.log", "/var/log"},
                                                               {"/var/log/[ab]/c/d.log", "/var/log"},
                                                               {"/var/lo*/x.log", "/var"},
                                                               {"/*.log", "/"},
                                                               {"/*/x.log", "/"},
                                                               {"*.log", "."},
                                                               {"etl.log", "."},
                                                               {"logs/*.log", "logs"},
                                                               {"../logs/a/*.log", "../logs/a"},
                                                               {"/var/log/a\\*b/x.log", "/var/log"},
                                                               {"/var/log/pods/*/*/*.log", "/var/log/pods"}};
  for (const auto& [pattern, root] : cases) EXPECT_EQ(root_of_pattern(pattern), root) << pattern;
}

}  // namespace
}  // namespace runtail
