// Ids, and the order of a response whose rows have an index. Part of Decoder.hpp.

#include "Decoder.hpp"

using namespace simdjson;

csimdjson_status csimdjson_decoder::ids(value_result value) {
  ondemand::array array;
  auto error = value.get_array().get(array);
  if (error == INCORRECT_TYPE) return misfit(value, 2, "\"ids\" must be an array");
  return error ? broken(error) : ids(array);
}

csimdjson_status csimdjson_decoder::ids(ondemand::array array) {
  for (auto element : array) {
    if (auto status = id(element)) return status;
  }
  return CSIMDJSON_OK;
}

csimdjson_status csimdjson_decoder::id(value_result value) {
  if (result.id_count >= options.row_count_max) return CSIMDJSON_TOO_MANY_ROWS;
  char decimal[24];
  std::string_view text;
  int64_t integer;
  uint64_t natural;
  auto error = value.get_string().get(text);
  if (error == INCORRECT_TYPE) {
    if (!value.get_int64().get(integer)) {
      int count = std::snprintf(decimal, sizeof decimal, "%lld", static_cast<long long>(integer));
      text = std::string_view(decimal, static_cast<size_t>(count));
    } else if (!value.get_uint64().get(natural)) {
      int count =
          std::snprintf(decimal, sizeof decimal, "%llu", static_cast<unsigned long long>(natural));
      text = std::string_view(decimal, static_cast<size_t>(count));
    } else {
      return CSIMDJSON_BAD_ID_TYPE;
    }
  } else if (error) {
    return broken(error);
  }
  size_t count = std::min<size_t>(text.size(), csimdjson_id_byte_count_max + 1);
  uint8_t head[2] = {static_cast<uint8_t>(count), static_cast<uint8_t>(count >> 8)};
  if (!id_bytes.append(head, 2) || !id_bytes.append(text.data(), count)) return CSIMDJSON_NO_MEMORY;
  result.id_count += 1;
  return CSIMDJSON_OK;
}

csimdjson_status csimdjson_decoder::index(value_result value) {
  uint64_t number;
  if (value.get_uint64().get(number)) {
    return fail(CSIMDJSON_BAD_INDEX, "one is not an integer from 0 on");
  }
  if (number >= options.row_count_max) return fail(CSIMDJSON_BAD_INDEX, "one is too large");
  uint32_t place = static_cast<uint32_t>(number);
  return indices.append(&place, sizeof place) ? CSIMDJSON_OK : CSIMDJSON_NO_MEMORY;
}

/// Checks that the rows' indices are a permutation, and keeps them unless they only count up.
csimdjson_status csimdjson_decoder::settle_order() {
  size_t count = indices.byte_count() / sizeof(uint32_t);
  if (count == 0) return CSIMDJSON_OK;
  if (count != result.row_count) return fail(CSIMDJSON_BAD_INDEX, "some rows have none");
  const uint32_t *places = reinterpret_cast<const uint32_t *>(indices.bytes());
  bool *taken = static_cast<bool *>(std::calloc(count, sizeof(bool)));
  if (taken == nullptr) return CSIMDJSON_NO_MEMORY;
  bool is_sorted = true;
  bool is_permutation = true;
  for (size_t row = 0; row < count && is_permutation; row++) {
    is_permutation = places[row] < count && !taken[places[row]];
    if (is_permutation) taken[places[row]] = true;
    is_sorted = is_sorted && places[row] == row;
  }
  std::free(taken);
  if (!is_permutation) return fail(CSIMDJSON_BAD_INDEX, "one is there twice or beyond the rows");
  if (!is_sorted) result.order = places;
  return CSIMDJSON_OK;
}
