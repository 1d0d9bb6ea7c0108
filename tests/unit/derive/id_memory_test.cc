#include "derive/id_memory.h"

#include <gtest/gtest.h>

#include <random>

#include "core/identity.h"
#include "tests/support/scale.h"

namespace runtail {
namespace {

// Few texts in many combinations, more than the memory has places for; some too long to be kept.
TEST(IdMemory, IdsAreThoseMadeAnew) {
  const std::uint64_t seed = test::seed();
  std::mt19937_64 random(seed);
  const auto below = [&](std::size_t limit) { return random() % limit; };
  const std::string environments[] = {"", "prod", "dev"};
  const std::string jobs[] = {"orders", "order", "s", std::string(200, 'j')};
  const Uuid& space = default_run_namespace();
  IdMemory memory;
  for (int i = 0; i < test::by_scale(20'000, 1'000'000); ++i) {
    const std::string &environment = environments[below(3)], &job = jobs[below(4)];
    std::string text = below(3) ? "run-" + std::to_string(below(below(2) ? 40 : 2'000)) : std::string("s");
    if (below(50) == 0) text = to_string(uuid_v5(space, {text}));
    if (below(50) == 0) text += std::string(300, 'x');
    const Uuid run_id = run_id_of(space, environment, job, text);
    ASSERT_EQ(memory.run_id(space, environment, job, text), run_id) << "seed " << seed << " step " << i;
    const std::string task = below(20) ? "load_" + std::to_string(below(5)) : text;
    ASSERT_EQ(memory.task_run_id(run_id, task), task_run_id_of(run_id, task)) << "seed " << seed << " step " << i;
  }
}

TEST(IdMemory, PartsAreNotRunTogether) {
  const Uuid& space = default_run_namespace();
  IdMemory memory;
  EXPECT_EQ(memory.run_id(space, "prod", "a", "r"), run_id_of(space, "prod", "a", "r"));
  EXPECT_EQ(memory.run_id(space, "prod", "b", "r"), run_id_of(space, "prod", "b", "r"));
  EXPECT_EQ(memory.run_id(space, "dev", "b", "r"), run_id_of(space, "dev", "b", "r"));
}

}  // namespace
}  // namespace runtail
