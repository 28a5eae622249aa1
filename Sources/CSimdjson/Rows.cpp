// Rows: arrays of numbers and base64. Part of Decoder.hpp; numbers are written by Rows.hpp.

#include "Decoder.hpp"

#include <cmath>

using namespace simdjson;
using ingot::OddNumber;

csimdjson_status csimdjson_decoder::embedding(value_result value) {
  in_row = true;
  if (result.row_count >= options.row_count_max) return CSIMDJSON_TOO_MANY_ROWS;
  ondemand::array array;
  auto error = value.get_array().get(array);
  if (error == SUCCESS) {
    return options.number_byte_count == 2 ? numbers<uint16_t>(array) : numbers<float>(array);
  }
  if (error != INCORRECT_TYPE) return broken(error);
  std::string_view text;
  error = value.get_string().get(text);
  if (error == SUCCESS) return base64(text);
  if (error != INCORRECT_TYPE) return broken(error);
  return misfit(value, 3, "an embedding must be an array of numbers or a base64 string");
}

template <typename Number> csimdjson_status csimdjson_decoder::numbers(ondemand::array array) {
  Number *out = static_cast<Number *>(options.rows) + number_count;
  size_t dimension = result.dimension ? result.dimension : options.dimension_max;
  size_t limit = std::min(number_count_max() - number_count, dimension);
  size_t count = 0;
  ondemand::array_iterator iterator, end;
  if (auto error = array.begin().get(iterator)) return broken(error);
  if (auto error = array.end().get(end)) return broken(error);
  for (; iterator != end; ++iterator) {
    value_result element = *iterator;
    double number;
    if (auto error = element.get_double().get(number); simdjson_unlikely(error)) {
      if (auto status = odd_number(element, error, number)) return status;
    }
    if (simdjson_unlikely(count == limit)) return too_long_row(iterator, count);
    out[count++] = ingot::narrow<Number>(number);
  }
  return end_row(count);
}

/// What to make of an element that is no finite double: the caller refuses NaN and infinity by row.
csimdjson_status csimdjson_decoder::odd_number(
    value_result element, error_code error, double &number) {
  ondemand::value value;
  if (auto broken_array = element.get(value)) return broken(broken_array);
  std::string_view token = this->token(value);
  if (token.empty() || token == "true" || token == "false" || token.front() == '"' ||
      token.front() == '[' || token.front() == '{') {
    return misfit(element, 4, "an embedding must be an array of numbers or a base64 string");
  }
  switch (ingot::odd_number(token)) {
    case OddNumber::infinite: number = HUGE_VAL; return CSIMDJSON_OK;
    case OddNumber::not_a_number: number = NAN; return CSIMDJSON_OK;
    case OddNumber::malformed: return broken(error);
  }
}

/// A row of which `count` numbers were taken and more are there.
csimdjson_status csimdjson_decoder::too_long_row(ondemand::array_iterator iterator, size_t count) {
  if (result.dimension == 0 && count == options.dimension_max) {
    result.found = count + 1;
    return CSIMDJSON_DIMENSION_TOO_LARGE;
  }
  if (count != result.dimension) return CSIMDJSON_ROWS_FULL;
  // The number under the iterator was read already, so that looking at it again is not allowed. An
  // iterator that has failed never reaches the end.
  count += 1;
  ++iterator;
  for (ondemand::array_iterator end; iterator != end; ++iterator) {
    if (auto error = (*iterator).error()) return broken(error);
    count += 1;
  }
  result.found = count;
  return CSIMDJSON_WRONG_DIMENSION;
}

csimdjson_status csimdjson_decoder::base64(std::string_view text) {
  size_t byte_count = ingot::base64_byte_count(text);
  if (byte_count == SIZE_MAX || byte_count % options.number_byte_count != 0) {
    return CSIMDJSON_BAD_BASE64;
  }
  size_t count = byte_count / options.number_byte_count;
  if (result.dimension == 0 && count > options.dimension_max) {
    result.found = count;
    return CSIMDJSON_DIMENSION_TOO_LARGE;
  }
  if (result.dimension != 0 && count != result.dimension) return end_row(count);
  if (count > number_count_max() - number_count) return CSIMDJSON_ROWS_FULL;
  uint8_t *out = static_cast<uint8_t *>(options.rows) + number_count * options.number_byte_count;
  if (!ingot::base64_decode(text, out)) return CSIMDJSON_BAD_BASE64;
  return end_row(count);
}

csimdjson_status csimdjson_decoder::end_row(size_t count) {
  if (result.row_count == 0 && result.dimension == 0) {
    if (count == 0) return shape("an embedding has no numbers");
    result.dimension = count;
  }
  if (count != result.dimension) {
    result.found = count;
    return CSIMDJSON_WRONG_DIMENSION;
  }
  number_count += count;
  result.row_count += 1;
  in_row = false;
  return CSIMDJSON_OK;
}
