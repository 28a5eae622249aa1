// Where numbers and ids go while a JSON body is read. Used by Decoder.hpp.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace ingot {

/// Bytes that grow; nothing throws.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer() { std::free(bytes_); }

  const uint8_t *bytes() const { return bytes_; }
  size_t byte_count() const { return byte_count_; }

  /// False when there is no memory.
  bool append(const void *from, size_t byte_count) {
    if (capacity_ - byte_count_ < byte_count) {
      size_t capacity = (capacity_ + byte_count) * 2 + 256;
      void *grown = std::realloc(bytes_, capacity);
      if (grown == nullptr) return false;
      bytes_ = static_cast<uint8_t *>(grown);
      capacity_ = capacity;
    }
    std::memcpy(bytes_ + byte_count_, from, byte_count);
    byte_count_ += byte_count;
    return true;
  }

 private:
  uint8_t *bytes_ = nullptr;
  size_t byte_count_ = 0;
  size_t capacity_ = 0;
};

/// The half-precision number nearest to `value`, ties to even, in one rounding.
inline uint16_t half_from_double(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  uint16_t sign = static_cast<uint16_t>(bits >> 48 & 0x8000);
  uint64_t magnitude = bits & 0x7FFFFFFFFFFFFFFF;
  if (magnitude > 0x7FF0000000000000) return sign | 0x7E00;
  int exponent = static_cast<int>(magnitude >> 52) - 1023;
  if (exponent > 15) return sign | 0x7C00;
  // Below half of the smallest subnormal, 2^-24, nothing is left.
  if (exponent < -25) return sign;
  uint64_t significand = (magnitude & 0xFFFFFFFFFFFFF) | 0x10000000000000;
  int dropped = exponent >= -14 ? 42 : 42 + (-14 - exponent);
  uint64_t kept = significand >> dropped;
  uint64_t rest = significand & ((uint64_t(1) << dropped) - 1);
  uint64_t tie = uint64_t(1) << (dropped - 1);
  if (rest > tie || (rest == tie && (kept & 1))) kept += 1;
  // A carry out of the significand moves the exponent up by one, to infinity if need be.
  uint64_t biased = exponent >= -14 ? (uint64_t(exponent + 14) << 10) + kept : kept;
  return sign | static_cast<uint16_t>(biased);
}

template <typename Number> inline Number narrow(double value);
template <> inline float narrow<float>(double value) { return static_cast<float>(value); }
template <> inline uint16_t narrow<uint16_t>(double value) { return half_from_double(value); }

/// What each base64 character stands for; 64 for all others.
struct Base64Table {
  uint8_t values[256];
  constexpr Base64Table() : values() {
    for (int i = 0; i < 256; i++) values[i] = 64;
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (uint8_t i = 0; i < 64; i++) values[static_cast<uint8_t>(alphabet[i])] = i;
  }
};
inline constexpr Base64Table base64_table{};

/// How many bytes padded base64 stands for; SIZE_MAX when its length is wrong.
inline size_t base64_byte_count(std::string_view text) {
  if (text.size() % 4 != 0) return SIZE_MAX;
  if (text.empty()) return 0;
  size_t padding = text.back() != '=' ? 0 : text[text.size() - 2] != '=' ? 1 : 2;
  return text.size() / 4 * 3 - padding;
}

/// Decodes padded base64 to `base64_byte_count` bytes. False for foreign characters and for bits
/// behind the last byte that are not zero.
inline bool base64_decode(std::string_view text, uint8_t *out) {
  const uint8_t *in = reinterpret_cast<const uint8_t *>(text.data());
  const uint8_t *table = base64_table.values;
  size_t byte_count = base64_byte_count(text);
  uint8_t foreign = 0;
  size_t whole = byte_count / 3;
  for (size_t i = 0; i < whole; i++, in += 4, out += 3) {
    uint8_t a = table[in[0]], b = table[in[1]], c = table[in[2]], d = table[in[3]];
    foreign |= a | b | c | d;
    uint32_t bits = uint32_t(a) << 18 | uint32_t(b) << 12 | uint32_t(c) << 6 | d;
    out[0] = uint8_t(bits >> 16);
    out[1] = uint8_t(bits >> 8);
    out[2] = uint8_t(bits);
  }
  size_t rest = byte_count % 3;
  if (rest > 0) {
    uint8_t a = table[in[0]], b = table[in[1]], c = rest == 2 ? table[in[2]] : 0;
    foreign |= a | b | c;
    uint32_t bits = uint32_t(a) << 18 | uint32_t(b) << 12 | uint32_t(c) << 6;
    out[0] = uint8_t(bits >> 16);
    if (rest == 2) out[1] = uint8_t(bits >> 8);
    if ((bits & (rest == 2 ? 0xFF : 0xFFFF)) != 0) return false;
  }
  return (foreign & 64) == 0;
}

/// How a token reads that simdjson does not take for a number within double's range.
enum class OddNumber { infinite, not_a_number, malformed };

/// Tells numbers beyond double's range, null, and Python's NaN and Infinity from nonsense.
inline OddNumber odd_number(std::string_view token) {
  if (token == "null" || token == "NaN") return OddNumber::not_a_number;
  if (token == "Infinity" || token == "-Infinity") return OddNumber::infinite;
  size_t i = 0;
  auto digits = [&] {
    size_t start = i;
    while (i < token.size() && token[i] >= '0' && token[i] <= '9') i++;
    return i - start;
  };
  if (i < token.size() && token[i] == '-') i++;
  bool zero = i < token.size() && token[i] == '0';
  size_t count = digits();
  if (count == 0 || (zero && count > 1)) return OddNumber::malformed;
  if (i < token.size() && token[i] == '.') {
    i++;
    if (digits() == 0) return OddNumber::malformed;
  }
  if (i < token.size() && (token[i] == 'e' || token[i] == 'E')) {
    i++;
    if (i < token.size() && (token[i] == '+' || token[i] == '-')) i++;
    if (digits() == 0) return OddNumber::malformed;
  }
  return i == token.size() ? OddNumber::infinite : OddNumber::malformed;
}

}  // namespace ingot
