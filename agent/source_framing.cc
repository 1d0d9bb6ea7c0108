#include "agent/source_framing.h"

namespace runtail {
namespace {

FramingSettings::Envelope envelope_of(const SourceConfig& source) {
  using Envelope = FramingSettings::Envelope;
  if (source.envelope == "none") return Envelope::kNone;
  if (source.envelope == "docker") return Envelope::kDocker;
  if (source.envelope == "cri") return Envelope::kCri;
  if (source.envelope == "journald") return Envelope::kJournald;
  if (source.envelope == "fluent") return Envelope::kFluent;
  return source.type == "kubernetes" ? Envelope::kCri : Envelope::kAuto;
}

}  // namespace

FramingSettings framing_of(const SourceConfig& source, std::size_t line_bytes_max) {
  FramingSettings framing;
  framing.envelope = envelope_of(source);
  framing.join_traces = source.join_traces;
  framing.unit_bytes_max = line_bytes_max;
  return framing;
}

void name_pod(const PodPath& pod, std::string& stream, std::string& default_job, LineDefaults& defaults) {
  stream = pod.pod_namespace + "/" + pod.uid + "/" + pod.container;
  default_job = pod.pod_namespace + "/" + pod.container;
  defaults.process = pod.uid + "/" + pod.container + "/" + std::to_string(pod.restarts);
  std::string& context = defaults.context;
  if (!context.empty()) context += ',';
  context += "\"k8s.namespace\":\"" + pod.pod_namespace + "\",\"k8s.pod\":\"" + pod.pod + "\",\"k8s.container\":\"" +
             pod.container + "\",\"k8s.restarts\":" + std::to_string(pod.restarts);
}

}  // namespace runtail
