#include "config/yaml_document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <sstream>
#include <vector>

namespace runtail {
namespace {

std::string place(const YAML::Mark& mark, std::string_view file_name) {
  std::string text(file_name);
  if (!mark.is_null()) text += ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
  return text;
}

// Hears where a document starts, and whether something in it has itself as a part: a reader would never come to its
// end.
class DocumentShape final : public YAML::EventHandler {
 public:
  YAML::Mark mark;
  std::optional<YAML::Mark> cycle;

  void OnDocumentStart(const YAML::Mark& start) override { mark = start; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark& at, YAML::anchor_t anchor) override {
    if (!cycle && std::find(open_.begin(), open_.end(), anchor) != open_.end()) cycle = at;
  }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open_.push_back(anchor);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    open_.push_back(anchor);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  std::vector<YAML::anchor_t> open_;  // of the sequences and maps not yet ended; 0: it has none
};

}  // namespace

std::optional<YamlFault> parse_yaml(std::string_view text, std::string_view file_name, YAML::Node& root) {
  try {
    // Not YAML::LoadAll(): on a stray '}' at the top it makes empty documents until memory ends.
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    DocumentShape shape;
    if (parser.HandleNextDocument(shape) && parser.HandleNextDocument(shape)) {
      return YamlFault{place(shape.mark, file_name),
                       "the document ends before this; remove a stray bracket, or write one document a file"};
    }
    if (shape.cycle) {
      return YamlFault{place(*shape.cycle, file_name), "is a part of itself; write out what stands behind the *"};
    }
    root.reset(YAML::Load(std::string(text)));
    return std::nullopt;
  } catch (const YAML::Exception& broken) {
    return YamlFault{place(broken.mark, file_name), "not valid YAML: " + broken.msg};
  }
}

std::string place_of(const YAML::Node& node, std::string_view file_name) { return place(node.Mark(), file_name); }

}  // namespace runtail
