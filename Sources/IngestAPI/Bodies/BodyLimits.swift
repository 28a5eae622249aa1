// What a body may be: limits of the service and the shape that the collection wants.

package import ShardStore

/// How large the content of one body may become. Every number guards memory or time.
package struct BodyLimits: Sendable, Equatable {
  /// Bytes of everything that is decoded to somewhere else: inflated members, rows from text.
  package var decodedByteCountMax = 64 << 20
  /// Rows of one batch.
  package var rowCountMax = 1 << 20
  /// Numbers per row.
  package var dimensionMax = 65_536
  /// Members of an npz archive, the unknown ones included.
  package var memberCountMax = 64
  /// Parts of a multipart body, the unknown ones included.
  package var partCountMax = 16
  /// Bytes of the header lines of one part.
  package var partHeaderByteCountMax = 8192
  /// Arrays and objects inside each other, the document itself included.
  package var jsonDepthMax = 64

  package init() {}
}

/// What the collection that a body is meant for stores.
package struct BodyExpectation: Sendable, Equatable {
  /// Numbers per row; `nil` for a new collection, which takes it from its first batch.
  package var dimension: Int?
  /// `nil` for a new collection; text then means float32.
  package var dtype: Dtype?
  package var limits: BodyLimits

  package init(dimension: Int?, dtype: Dtype?, limits: BodyLimits = BodyLimits()) {
    self.dimension = dimension
    self.dtype = dtype
    self.limits = limits
  }
}
