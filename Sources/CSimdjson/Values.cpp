// Values that nobody asked for, and those of the wrong type. Part of Decoder.hpp.

#include "Decoder.hpp"

using namespace simdjson;
using ingot::OddNumber;

/// What a value starts with: a bracket or a quote alone, else all up to the next space or
/// structure. Empty at the end of a text that ends too early, where simdjson's own token has no
/// true length.
std::string_view csimdjson_decoder::token(ondemand::value &value) {
  const char *start = value.raw_json_token().data();
  if (start >= text_end) return {};
  const char *end = start + 1;
  if (std::memchr("[{\"", *start, 3)) return std::string_view(start, 1);
  while (end < text_end && !std::memchr(" \t\r\n,:]}[{\"", *end, 11)) end++;
  return std::string_view(start, static_cast<size_t>(end - start));
}

/// Walks over a value that nobody asked for; it must be JSON all the same.
///
/// `depth` counts the arrays and objects around the value, and itself when it is one.
csimdjson_status csimdjson_decoder::skip(value_result result, size_t depth) {
  ondemand::value value;
  if (auto error = result.get(value)) return broken(error);
  std::string_view token = this->token(value);
  if (token.empty()) return broken(INCOMPLETE_ARRAY_OR_OBJECT);
  char first = token.front();
  if ((first == '[' || first == '{') && depth > options.depth_max) return CSIMDJSON_TOO_DEEP;
  if (first == '[') {
    ondemand::array array;
    if (auto error = value.get_array().get(array)) return broken(error);
    return skip_elements(array, depth + 1);
  } else if (first == '{') {
    ondemand::object object;
    if (auto error = value.get_object().get(object)) return broken(error);
    for (auto field : object) {
      std::string_view key;
      if (auto error = field.unescaped_key().get(key)) return broken(error);
      if (auto status = skip(field.value(), depth + 1)) return status;
    }
  } else if (first == '"') {
    if (auto error = value.get_string().error()) return broken(error);
  } else {
    bool is_word = token == "true" || token == "false" || token == "null" || token == "NaN";
    if (!is_word && ingot::odd_number(token) == OddNumber::malformed) return broken(NUMBER_ERROR);
  }
  return CSIMDJSON_OK;
}

csimdjson_status csimdjson_decoder::skip_elements(ondemand::array array, size_t depth) {
  for (auto element : array) {
    if (auto status = skip(element, depth)) return status;
  }
  return CSIMDJSON_OK;
}

/// A value of the wrong type: too deep when it is that, else of the wrong shape.
csimdjson_status csimdjson_decoder::misfit(value_result value, size_t depth, const char *message) {
  if (auto status = skip(value, depth)) return status;
  return shape(message);
}

/// The same for a document, which is an array or a single value.
csimdjson_status csimdjson_decoder::misfit(ondemand::document &document, const char *message) {
  ondemand::array array;
  if (!document.get_array().get(array)) {
    if (auto status = skip_elements(array, 2)) return status;
  }
  return shape(message);
}
