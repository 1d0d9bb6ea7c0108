// What the path of a container's log says, as the kubelet lays it out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace runtail {

// /var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log, the three ids without '_' as Kubernetes has them.
struct PodPath {
  std::string pod_namespace, pod, uid, container;
  int restarts = 0;
};

// `log`: the path of the live log. Nothing: it is none of these.
std::optional<PodPath> parse_pod_path(std::string_view log);

}  // namespace runtail
