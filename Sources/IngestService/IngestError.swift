// Why a batch was not accepted. IngestAPI maps each to a status in one place.

internal import SystemIO

package enum IngestError: Error, Sendable {
  /// The disk reserve is reached, or the disk itself is full. Nothing was written.
  case diskFull(neededByteCount: Int, freeByteCount: Int, reason: String)
  /// Too many bytes are in flight.
  case inFlightLimit(byteCountMax: Int)
  /// The batch id stands for other bytes. Nothing was written.
  case keyReused(batchID: String, receipt: Receipt?)
  /// The batch does not have the collection's shape.
  case shapeDiffers(expected: String, found: String)
  /// A write or a sync failed. Nothing was acknowledged; the batch may be sent again.
  case storageFailed(String)
  /// No file can be opened now. Nothing was acknowledged; the batch may be sent again.
  case noDescriptorLeft(String)
  /// The service is stopping.
  case draining
  case collectionUnknown(String)
  case collectionDiffers(String)
  case collectionNameInvalid(String)
}

extension IngestError {
  /// What a call that failed means to who sent a batch, a full disk left aside.
  init(_ error: DiskError) {
    self = error.isOutOfDescriptors ? .noDescriptorLeft("\(error)") : .storageFailed("\(error)")
  }
}
