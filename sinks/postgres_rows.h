// Folded rows as one JSON array: the single parameter of a statement that reads them with json_to_recordset.
#pragma once

#include <string>
#include <string_view>

#include "sinks/json_rows.h"
#include "sinks/postgres_fold.h"

namespace runtail {

std::string job_rows(const PostgresFold& fold, TimePoint now);
std::string run_rows(const PostgresFold& fold);
std::string attempt_rows(const PostgresFold& fold);
std::string task_rows(const PostgresFold& fold);
std::string check_rows(const PostgresFold& fold, TimePoint now);
std::string result_rows(const PostgresFold& fold, std::string_view ruleset);
std::string observation_rows(const PostgresFold& fold);
std::string dataset_rows(const PostgresFold& fold);

}  // namespace runtail
