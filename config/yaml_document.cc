#include "config/yaml_document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <sstream>

namespace runtail {
namespace {

std::string place(const YAML::Mark& mark, std::string_view file_name) {
  std::string text(file_name);
  if (!mark.is_null()) text += ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
  return text;
}

// Hears where a document starts and nothing else.
class StartOfDocument final : public YAML::EventHandler {
 public:
  YAML::Mark mark;

  void OnDocumentStart(const YAML::Mark& start) override { mark = start; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

}  // namespace

std::optional<YamlFault> parse_yaml(std::string_view text, std::string_view file_name, YAML::Node& root) {
  try {
    // Not YAML::LoadAll(): on a stray '}' at the top it makes empty documents until memory ends.
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    StartOfDocument start;
    if (parser.HandleNextDocument(start) && parser.HandleNextDocument(start)) {
      return YamlFault{place(start.mark, file_name),
                       "the document ends before this; remove a stray bracket, or write one document a file"};
    }
    root.reset(YAML::Load(std::string(text)));
    return std::nullopt;
  } catch (const YAML::Exception& broken) {
    return YamlFault{place(broken.mark, file_name), "not valid YAML: " + broken.msg};
  }
}

std::string place_of(const YAML::Node& node, std::string_view file_name) { return place(node.Mark(), file_name); }

}  // namespace runtail
