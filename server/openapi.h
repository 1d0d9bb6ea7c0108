// The OpenAPI 3.1 document of the API, made from its routes.
#pragma once

#include <string>

namespace runtail {

// The same text each time.
const std::string& openapi_document();

}  // namespace runtail
