// The decoder behind include/CSimdjson.h: what it has read so far, and its parts. Documents: Documents.cpp. Their rows:
// Rows.cpp. Their ids: IDs.cpp. What is none of these: Values.cpp.
#pragma once

#define SIMDJSON_EXCEPTIONS 0
#define SIMDJSON_DEVELOPMENT_CHECKS 0
#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "CSimdjson.h"
#include "Rows.hpp"

struct csimdjson_decoder {
  explicit csimdjson_decoder(const csimdjson_options &options) : options(options) {
    result.dimension = options.dimension;
    result.error_row = SIZE_MAX;
    result.error_offset = SIZE_MAX;
  }

  csimdjson_status document(const void *text, size_t byte_count);
  csimdjson_status line(const void *text, size_t byte_count);
  csimdjson_status ids_alone(const void *text, size_t byte_count);

  csimdjson_options options;
  csimdjson_result result = {};

 private:
  using value_result = simdjson::simdjson_result<simdjson::ondemand::value>;

  template <typename Value, typename Take>
  csimdjson_status read(
      const void *text, size_t byte_count, const char *misfit_message, Take take);
  csimdjson_status columns(simdjson::ondemand::object object);
  csimdjson_status embeddings(value_result value);
  csimdjson_status items(value_result value, bool is_response);
  csimdjson_status item(simdjson::ondemand::object object, bool is_response);
  csimdjson_status embedding(value_result value);
  template <typename Number> csimdjson_status numbers(simdjson::ondemand::array array);
  csimdjson_status odd_number(value_result element, simdjson::error_code error, double &number);
  csimdjson_status too_long_row(simdjson::ondemand::array_iterator iterator, size_t count);
  csimdjson_status base64(std::string_view text);
  csimdjson_status end_row(size_t number_count);
  csimdjson_status ids(value_result value);
  csimdjson_status ids(simdjson::ondemand::array array);
  csimdjson_status id(value_result value);
  csimdjson_status index(value_result value);
  csimdjson_status settle_order();
  std::string_view token(simdjson::ondemand::value &value);
  csimdjson_status skip(value_result value, size_t depth);
  csimdjson_status skip_elements(simdjson::ondemand::array array, size_t depth);
  csimdjson_status misfit(value_result value, size_t depth, const char *message);
  csimdjson_status misfit(simdjson::ondemand::document &document, const char *message);
  csimdjson_status finish(
      simdjson::ondemand::document &document, csimdjson_status status, const void *text,
      size_t byte_count);

  csimdjson_status fail(csimdjson_status status, std::string_view message) {
    size_t count = std::min(message.size(), sizeof result.message - 1);
    std::memcpy(result.message, message.data(), count);
    result.message[count] = 0;
    return status;
  }
  csimdjson_status broken(simdjson::error_code error) {
    if (error == simdjson::MEMALLOC) return CSIMDJSON_NO_MEMORY;
    return fail(CSIMDJSON_BAD_JSON, simdjson::error_message(error));
  }
  csimdjson_status shape(const char *message) { return fail(CSIMDJSON_BAD_SHAPE, message); }

  ingot::Buffer id_bytes;
  ingot::Buffer indices;
  /// Where the text that is being read ends; simdjson itself may look behind it.
  const char *text_end = nullptr;
  /// Numbers that are there, and numbers that fit into the rows.
  size_t number_count = 0;
  size_t number_count_max() const {
    return options.rows_byte_count_max / options.number_byte_count;
  }
  bool in_row = false;
};
