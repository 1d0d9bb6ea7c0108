#include "tests/support/service_lines.h"

#include <array>
#include <cstdio>

namespace runtail::test {

void ServiceLines::next(std::string& line, const std::string& time, std::uint64_t number, const Below& below) {
  const auto pick = [&below](const auto& of) { return std::string(of[below(of.size())]); };
  const auto some = [&below](std::uint64_t bound) { return std::to_string(below(bound)); };
  const auto count = [this](const std::string& sample, double amount = 1) { counts_.samples[sample] += amount; };
  using Words = std::array<const char*, 2>;
  std::string event, more;
  switch (below(8)) {
    case 0: {
      const std::string method = pick(Words{"GET", "POST"}), route = pick(Words{"/v1/orders", "/v1/items"}),
                        status = pick(Words{"200", "503"});
      event = "http";
      more = R"("method":")" + method + R"(","route":")" + route + R"(","http_status":)" + status +
             R"(,"duration_ms":)" + some(900);
      count("trialsync_api_requests_total{method=" + method + ",route=" + route + ",status_code=" + status + "}");
      count("trialsync_api_request_duration_seconds_count{method=" + method + ",route=" + route + "}");
      break;
    }
    case 1: {
      const std::uint64_t slow = below(4), rollbacks = below(3);
      event = "pool";
      more = R"("component":"warehouse","in_use":)" + some(9) + R"(,"slow_queries":)" + std::to_string(slow) +
             R"(,"rollbacks":)" + std::to_string(rollbacks);
      count("trialsync_db_slow_queries_total{component=warehouse}", static_cast<double>(slow));
      count("trialsync_db_rollbacks_total{component=warehouse}", static_cast<double>(rollbacks));
      break;
    }
    case 2:
      event = "queue";
      more = R"("queue":"mail","backlog":)" + some(100) + R"(,"latency_ms":)" + some(50);
      count("trialsync_queue_operation_seconds_count{queue=mail}");
      break;
    case 3: {
      const std::string op = pick(Words{"get", "set"});
      event = "cache";
      more = R"("cache":"sessions","op":")" + op + R"(","up":true,"latency_ms":)" + some(50);
      count("trialsync_cache_operation_seconds_count{cache=sessions,op=" + op + "}");
      break;
    }
    case 4: {
      // Letters at both ends: nothing takes them for a card's number.
      char id[24];
      std::snprintf(id, sizeof id, "ab%012llxcd", static_cast<unsigned long long>(number));
      const std::string type = pick(Words{"llm", "retrieval"});
      const std::uint64_t in = below(500), out = below(90);
      event = "span";
      more = std::string(R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e473)") + "abcdef01"[below(8)] + R"(","span_id":")" +
             id + R"(","span_type":")" + type + R"(","duration_ms":)" + some(3000) + R"(,"tokens_in":)" +
             std::to_string(in) + R"(,"tokens_out":)" + std::to_string(out) + R"(,"cost_usd":0.25)";
      count("trialsync_span_duration_seconds_count{span_type=" + type + "}");
      count("trialsync_llm_tokens_total{direction=in}", static_cast<double>(in));
      count("trialsync_llm_tokens_total{direction=out}", static_cast<double>(out));
      count("trialsync_llm_cost_usd_total{}", 0.25);
      ++counts_.spans;
      break;
    }
    case 5: {
      const std::string role = pick(Words{"user", "assistant"});
      event = "chat";
      more = R"("session_id":"s-)" + some(9) + R"(","role":")" + role + R"(","content":"where is it")";
      count("trialsync_chat_messages_total{role=" + role + "}");
      ++counts_.chats;
      break;
    }
    case 6: {
      const std::string step = pick(Words{"parse", "embed"}), status = pick(Words{"success", "failed"});
      event = "document";
      more = R"("document_id":"d-)" + some(30) + R"(","event_type":")" + step + R"(","status":")" + status + '"';
      count("trialsync_document_events_total{event_type=" + step + ",status=" + status + "}");
      ++counts_.documents;
      break;
    }
    default: {
      const std::string status = pick(Words{"running", "success"});
      event = "provider_sync";
      more = R"("provider":"crm","resource":"contacts","status":")" + status + '"';
      count("trialsync_provider_sync_total{provider=crm,status=" + status + "}");
    }
  }
  line = R"({"ts":")" + time + R"(","level":"INFO","msg":"seq=)" + std::to_string(number) +
         R"( of a service","service":"api","env":"prod","event":")" + event + "\"," + more + '}';
}

}  // namespace runtail::test
