// JSON documents and lines of NDJSON: which keys they may have, and what stands behind them. Part of Decoder.hpp.

#include "Decoder.hpp"

using namespace simdjson;

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

/// Reads one text whose outermost value is of a type, and gives that to `take`.
template <typename Value, typename Take>
csimdjson_status csimdjson_decoder::read(
    const void *text, size_t byte_count, const char *misfit_message, Take take) {
  Parser parser;
  ondemand::document document;
  text_end = static_cast<const char *>(text) + byte_count;
  if (auto error = parser.iterate(text, byte_count, document)) return broken(error);
  Value value;
  auto error = document.get(value);
  auto status = error == INCORRECT_TYPE ? misfit(document, misfit_message)
                : error                 ? broken(error)
                                        : take(value);
  return finish(document, status, text, byte_count);
}

csimdjson_status csimdjson_decoder::document(const void *text, size_t byte_count) {
  auto status = read<ondemand::object>(
      text, byte_count, "the document must be an object",
      [this](ondemand::object object) { return columns(object); });
  return status ? status : settle_order();
}

csimdjson_status csimdjson_decoder::line(const void *text, size_t byte_count) {
  return read<ondemand::object>(
      text, byte_count, "a line must be an object",
      [this](ondemand::object object) { return item(object, false); });
}

csimdjson_status csimdjson_decoder::ids_alone(const void *text, size_t byte_count) {
  return read<ondemand::array>(
      text, byte_count, "ids must be an array",
      [this](ondemand::array array) { return ids(array); });
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
