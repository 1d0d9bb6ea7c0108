#include "core/sink.h"

namespace runtail {

RecordOutcomes& RecordOutcomes::operator+=(const RecordOutcomes& other) {
  applied += other.applied;
  duplicate += other.duplicate;
  expired += other.expired;
  dead_lettered += other.dead_lettered;
  return *this;
}

}  // namespace runtail
