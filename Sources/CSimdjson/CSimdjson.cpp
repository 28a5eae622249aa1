// The functions of include/CSimdjson.h.

#include "Decoder.hpp"

#include <new>

using namespace simdjson;

csimdjson_decoder *csimdjson_decoder_create(const csimdjson_options *options) {
  return new (std::nothrow) csimdjson_decoder(*options);
}
void csimdjson_decoder_destroy(csimdjson_decoder *decoder) { delete decoder; }
const csimdjson_result *csimdjson_decoder_result(const csimdjson_decoder *decoder) {
  return &decoder->result;
}
csimdjson_status csimdjson_decode_document(
    csimdjson_decoder *decoder, const void *text, size_t byte_count) {
  return decoder->document(text, byte_count);
}
csimdjson_status csimdjson_decode_line(
    csimdjson_decoder *decoder, const void *text, size_t byte_count) {
  return decoder->line(text, byte_count);
}
csimdjson_status csimdjson_decode_ids(
    csimdjson_decoder *decoder, const void *text, size_t byte_count) {
  return decoder->ids_alone(text, byte_count);
}

csimdjson_status csimdjson_parse_only(
    const void *body, size_t byte_count, size_t capacity, size_t *number_count) {
  static thread_local ondemand::parser parser;
  padded_string_view view(static_cast<const char *>(body), byte_count, capacity);
  ondemand::document document;
  ondemand::array rows, row;
  if (parser.iterate(view).get(document)) return CSIMDJSON_BAD_JSON;
  if (document.find_field_unordered("embeddings").get_array().get(rows)) return CSIMDJSON_BAD_JSON;
  size_t count = 0;
  double sum = 0;
  for (auto element : rows) {
    if (element.get_array().get(row)) return CSIMDJSON_BAD_JSON;
    for (auto number : row) {
      double value;
      if (number.get_double().get(value)) return CSIMDJSON_BAD_JSON;
      sum += value;
      count++;
    }
  }
  // Keeps the conversions from being optimised away.
  volatile double sink = sum;
  (void)sink;
  *number_count = count;
  return CSIMDJSON_OK;
}

size_t csimdjson_count_byte(const void *text, size_t byte_count, uint8_t byte) {
  const uint8_t *bytes = static_cast<const uint8_t *>(text);
  size_t total = 0;
  // Blocks whose count fits into a byte, so that the inner loop stays in byte lanes.
  for (size_t start = 0; start < byte_count; start += 192) {
    size_t end = std::min(byte_count, start + 192);
    uint8_t count = 0;
    for (size_t i = start; i < end; i++) count += bytes[i] == byte;
    total += count;
  }
  return total;
}

bool csimdjson_is_utf8(const void *text, size_t byte_count) {
  return byte_count == 0 || validate_utf8(static_cast<const char *>(text), byte_count);
}
