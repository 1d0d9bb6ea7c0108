// What every verb returns (README: exit codes).
#pragma once

namespace runtail {

enum ExitCode : int {
  kExitOk = 0,
  kExitIncomplete = 1,
  kExitUsage = 2,
  kExitConfig = 3,
  kExitUnreachable = 4,   // a dependency did not answer
  kExitFindings = 5,      // the check ran and found something
  kExitExecFailed = 125,  // exec: ours, only with --fail-closed
  kExitNotExecutable = 126,
  kExitNotFound = 127,  // 128 + N: ended by signal N
};

}  // namespace runtail
