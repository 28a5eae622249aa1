// The decoder behind include/CSimdjson.h. Numbers, base64 and ids are written by Rows.hpp.

#define SIMDJSON_EXCEPTIONS 0
#define SIMDJSON_DEVELOPMENT_CHECKS 0
#include "CSimdjson.h"

#include <simdjson.h>

#include <cmath>
#include <new>

#include "Rows.hpp"

using namespace simdjson;
using ingot::OddNumber;

static_assert(csimdjson_padding_byte_count >= SIMDJSON_PADDING, "bodies have too little padding");

namespace {

/// A parser keeps memory for the largest text that it has seen; above this much text it is given
/// back.
constexpr size_t kept_parser_byte_count_max = 16 << 20;

/// One parser per thread: its memory is touched already, which fresh memory is not.
class Parser {
 public:
  ~Parser() {
    if (get().capacity() > kept_parser_byte_count_max) get() = ondemand::parser();
  }
  error_code iterate(const void *text, size_t byte_count, ondemand::document &document) {
    padded_string_view view(
        static_cast<const char *>(text), byte_count, byte_count + csimdjson_padding_byte_count);
    return get().iterate(view).get(document);
  }

 private:
  static ondemand::parser &get() {
    static thread_local ondemand::parser parser;
    return parser;
  }
};

/// The keys of one object that were seen already.
class Keys {
 public:
  bool repeats(unsigned bit) {
    bool seen = (seen_ & bit) != 0;
    seen_ |= bit;
    return seen;
  }
  bool has(unsigned bit) const { return (seen_ & bit) != 0; }

 private:
  unsigned seen_ = 0;
};

enum : unsigned { key_ids = 1, key_embeddings = 2, key_items = 4, key_data = 8 };
enum : unsigned { key_id = 1, key_embedding = 2, key_index = 4 };

}  // namespace

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
  using value_result = simdjson_result<ondemand::value>;

  csimdjson_status columns(ondemand::object object);
  csimdjson_status embeddings(value_result value);
  csimdjson_status items(value_result value, bool is_response);
  csimdjson_status item(ondemand::object object, bool is_response);
  csimdjson_status embedding(value_result value);
  template <typename Number> csimdjson_status numbers(ondemand::array array);
  csimdjson_status odd_number(value_result element, error_code error, double &number);
  csimdjson_status too_long_row(ondemand::array_iterator iterator, size_t count);
  csimdjson_status base64(std::string_view text);
  csimdjson_status end_row(size_t number_count);
  csimdjson_status ids(value_result value);
  csimdjson_status ids(ondemand::array array);
  csimdjson_status id(value_result value);
  csimdjson_status index(value_result value);
  csimdjson_status settle_order();
  std::string_view token(ondemand::value &value);
  csimdjson_status skip(value_result value, size_t depth);
  csimdjson_status skip_elements(ondemand::array array, size_t depth);
  csimdjson_status misfit(value_result value, size_t depth, const char *message);
  csimdjson_status misfit(ondemand::document &document, const char *message);
  csimdjson_status finish(ondemand::document &document, csimdjson_status status, const void *text,
                          size_t byte_count);

  csimdjson_status fail(csimdjson_status status, std::string_view message) {
    size_t count = std::min(message.size(), sizeof result.message - 1);
    std::memcpy(result.message, message.data(), count);
    result.message[count] = 0;
    return status;
  }
  csimdjson_status broken(error_code error) {
    if (error == MEMALLOC) return CSIMDJSON_NO_MEMORY;
    return fail(CSIMDJSON_BAD_JSON, error_message(error));
  }
  csimdjson_status shape(const char *message) { return fail(CSIMDJSON_BAD_SHAPE, message); }

  ingot::Buffer id_bytes;
  ingot::Buffer indices;
  /// Where the text that is being read ends; simdjson itself may look behind it.
  const char *text_end = nullptr;
  /// Numbers that fit into the rows, and numbers that are there.
  size_t number_count_max() const {
    return options.rows_byte_count_max / options.number_byte_count;
  }
  size_t number_count = 0;
  bool in_row = false;
};

// MARK: - Documents

csimdjson_status csimdjson_decoder::document(const void *text, size_t byte_count) {
  Parser parser;
  ondemand::document document;
  text_end = static_cast<const char *>(text) + byte_count;
  if (auto error = parser.iterate(text, byte_count, document)) return broken(error);
  ondemand::object object;
  auto error = document.get_object().get(object);
  auto status = error == INCORRECT_TYPE ? misfit(document, "the document must be an object")
                : error                 ? broken(error)
                                        : columns(object);
  status = finish(document, status, text, byte_count);
  return status ? status : settle_order();
}

csimdjson_status csimdjson_decoder::line(const void *text, size_t byte_count) {
  Parser parser;
  ondemand::document document;
  text_end = static_cast<const char *>(text) + byte_count;
  if (auto error = parser.iterate(text, byte_count, document)) return broken(error);
  ondemand::object object;
  auto error = document.get_object().get(object);
  auto status = error == INCORRECT_TYPE ? misfit(document, "a line must be an object")
                : error                 ? broken(error)
                                        : item(object, false);
  return finish(document, status, text, byte_count);
}

csimdjson_status csimdjson_decoder::ids_alone(const void *text, size_t byte_count) {
  Parser parser;
  ondemand::document document;
  text_end = static_cast<const char *>(text) + byte_count;
  if (auto error = parser.iterate(text, byte_count, document)) return broken(error);
  ondemand::array array;
  auto error = document.get_array().get(array);
  auto status = error == INCORRECT_TYPE ? misfit(document, "ids must be an array")
                : error                 ? broken(error)
                                        : ids(array);
  return finish(document, status, text, byte_count);
}

/// What a failure is told with, and that nothing follows a document that was read.
csimdjson_status csimdjson_decoder::finish(
    ondemand::document &document, csimdjson_status status, const void *text, size_t byte_count) {
  result.ids = id_bytes.bytes();
  result.ids_byte_count = id_bytes.byte_count();
  if (status == CSIMDJSON_OK && document.current_location().error() != OUT_OF_BOUNDS) {
    status = fail(CSIMDJSON_BAD_JSON, "something follows the document");
  }
  if (status != CSIMDJSON_OK) {
    const char *at = nullptr;
    const char *start = static_cast<const char *>(text);
    bool known = !document.current_location().get(at) && at >= start && at <= start + byte_count;
    result.error_offset = known ? static_cast<size_t>(at - start) : SIZE_MAX;
    result.error_row = in_row ? result.row_count : SIZE_MAX;
  }
  return status;
}

csimdjson_status csimdjson_decoder::columns(ondemand::object object) {
  Keys keys;
  for (auto field : object) {
    std::string_view key;
    if (auto error = field.unescaped_key().get(key)) return broken(error);
    unsigned bit = key == "ids"          ? key_ids
                   : key == "embeddings" ? key_embeddings
                   : key == "items"      ? key_items
                   : key == "data"       ? key_data
                                         : 0u;
    if (bit != 0 && keys.repeats(bit)) return fail(CSIMDJSON_DUPLICATE_KEY, key);
    value_result value = field.value();
    auto status = bit == key_ids          ? ids(value)
                  : bit == key_embeddings ? embeddings(value)
                  : bit == key_items      ? items(value, false)
                  : bit == key_data       ? items(value, true)
                                          : skip(value, 2);
    if (status) return status;
    if (keys.has(key_embeddings) + keys.has(key_items) + keys.has(key_data) > 1) {
      return shape("\"embeddings\", \"items\" and \"data\" exclude each other");
    }
    if (keys.has(key_items) && keys.has(key_ids)) {
      return shape("with \"items\" the ids stand in the items, not in \"ids\"");
    }
  }
  if (!keys.has(key_embeddings) && !keys.has(key_items) && !keys.has(key_data)) {
    return shape("neither \"embeddings\" nor \"items\" nor \"data\" is there");
  }
  if (!keys.has(key_items) && !keys.has(key_ids)) return shape("\"ids\" is missing");
  return CSIMDJSON_OK;
}

csimdjson_status csimdjson_decoder::embeddings(value_result value) {
  ondemand::array array;
  auto error = value.get_array().get(array);
  if (error == INCORRECT_TYPE) return misfit(value, 2, "\"embeddings\" must be an array");
  if (error) return broken(error);
  for (auto element : array) {
    if (auto status = embedding(element)) return status;
  }
  return CSIMDJSON_OK;
}

csimdjson_status csimdjson_decoder::items(value_result value, bool is_response) {
  ondemand::array array;
  auto error = value.get_array().get(array);
  if (error == INCORRECT_TYPE) return misfit(value, 2, "\"items\" and \"data\" must be arrays");
  if (error) return broken(error);
  for (auto element : array) {
    ondemand::object object;
    error = element.get_object().get(object);
    if (error == INCORRECT_TYPE) return misfit(element, 3, "an item must be an object");
    if (error) return broken(error);
    if (auto status = item(object, is_response)) return status;
  }
  return CSIMDJSON_OK;
}

/// One row as an object: its embedding, and its id, or in a response its index.
csimdjson_status csimdjson_decoder::item(ondemand::object object, bool is_response) {
  Keys keys;
  size_t row = result.row_count;
  for (auto field : object) {
    std::string_view key;
    if (auto error = field.unescaped_key().get(key)) return broken(error);
    unsigned bit = key == "embedding"               ? key_embedding
                   : !is_response && key == "id"    ? key_id
                   : is_response && key == "index"  ? key_index
                                                    : 0u;
    in_row = true;
    if (bit != 0 && keys.repeats(bit)) return fail(CSIMDJSON_DUPLICATE_KEY, key);
    value_result value = field.value();
    // The row counts once its item is whole, so that errors name it until then.
    auto status = bit == key_embedding ? embedding(value)
                  : bit == key_id      ? id(value)
                  : bit == key_index   ? index(value)
                                       : skip(value, 4);
    if (status) return status;
  }
  in_row = true;
  if (!keys.has(key_embedding)) return shape("an item has no \"embedding\"");
  result.row_count = row;
  if (!is_response && !keys.has(key_id)) return shape("an item has no \"id\"");
  result.row_count = row + 1;
  in_row = false;
  return CSIMDJSON_OK;
}

// MARK: - Rows

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

// MARK: - Ids and order

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

// MARK: - Everything else

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

// MARK: - The C interface

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
