// The two number formats that a collection can hold.

/// How one number of a row is stored: little-endian, as NumPy names it.
package enum Dtype: String, Sendable, CaseIterable {
  case float32 = "<f4"
  case float16 = "<f2"

  /// Bytes per number.
  package var byteCount: Int {
    switch self {
    case .float32: 4
    case .float16: 2
    }
  }

  /// NumPy's word for it, as in `numpy.float32`.
  package var name: String {
    switch self {
    case .float32: "float32"
    case .float16: "float16"
    }
  }
}
