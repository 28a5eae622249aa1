// JSON bodies: rows and ids out of text, by simdjson's On-Demand parser, behind a C interface.
// No exception, no C++ type and no memory ownership other than the decoder's crosses this border.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What must be readable behind every text that is handed in.
enum { csimdjson_padding_byte_count = 64 };

/// An id longer than this is kept with one byte more, for the caller to refuse.
enum { csimdjson_id_byte_count_max = 512 };

typedef enum {
  CSIMDJSON_OK = 0,
  /// Not JSON; `message` says why.
  CSIMDJSON_BAD_JSON,
  CSIMDJSON_TOO_DEEP,
  /// JSON, but not rows and ids; `message` says why.
  CSIMDJSON_BAD_SHAPE,
  /// `message` is the key.
  CSIMDJSON_DUPLICATE_KEY,
  CSIMDJSON_BAD_BASE64,
  CSIMDJSON_BAD_ID_TYPE,
  /// The row's own dimension is `found`.
  CSIMDJSON_WRONG_DIMENSION,
  CSIMDJSON_DIMENSION_TOO_LARGE,
  CSIMDJSON_TOO_MANY_ROWS,
  /// `rows_byte_count_max` does not suffice.
  CSIMDJSON_ROWS_FULL,
  /// The rows' "index" are not 0 to n-1; `message` says why.
  CSIMDJSON_BAD_INDEX,
  CSIMDJSON_NO_MEMORY,
} csimdjson_status;

typedef struct {
  /// 4 for float32, 2 for float16.
  size_t number_byte_count;
  /// Numbers per row; 0 when the first row decides.
  size_t dimension;
  size_t dimension_max;
  size_t row_count_max;
  size_t depth_max;
  /// Where the rows go, aligned for their numbers, and how much fits.
  void *rows;
  size_t rows_byte_count_max;
} csimdjson_options;

/// What was read so far. Pointers live as long as the decoder.
typedef struct {
  size_t row_count;
  size_t dimension;
  /// For each id a UInt16 byte count and that many bytes of UTF-8.
  const uint8_t *ids;
  size_t ids_byte_count;
  size_t id_count;
  /// For each row its place, when the rows carried an "index" and did not come in its order.
  const uint32_t *order;
  /// About the failure: the row, or SIZE_MAX; the byte offset, or SIZE_MAX; a number; a reason.
  size_t error_row;
  size_t error_offset;
  size_t found;
  char message[128];
} csimdjson_result;

typedef struct csimdjson_decoder csimdjson_decoder;

/// NULL when there is no memory.
csimdjson_decoder *csimdjson_decoder_create(const csimdjson_options *options);
void csimdjson_decoder_destroy(csimdjson_decoder *decoder);
const csimdjson_result *csimdjson_decoder_result(const csimdjson_decoder *decoder);

/// One document: columns ("ids", "embeddings"), "items", or an embeddings response with "data".
csimdjson_status csimdjson_decode_document(
    csimdjson_decoder *decoder, const void *text, size_t byte_count);
/// One line of ndjson: an object with "id" and "embedding". Adds a row.
csimdjson_status csimdjson_decode_line(
    csimdjson_decoder *decoder, const void *text, size_t byte_count);
/// An array of ids alone.
csimdjson_status csimdjson_decode_ids(
    csimdjson_decoder *decoder, const void *text, size_t byte_count);

/// Walks a columns document and converts every number of "embeddings" to double, and nothing else:
/// what the benchmark compares the decoder with. `capacity` is how many bytes can be read from
/// `body`.
csimdjson_status csimdjson_parse_only(
    const void *body, size_t byte_count, size_t capacity, size_t *number_count);

/// How often `byte` occurs.
size_t csimdjson_count_byte(const void *text, size_t byte_count, uint8_t byte);

bool csimdjson_is_utf8(const void *text, size_t byte_count);

#ifdef __cplusplus
}
#endif
