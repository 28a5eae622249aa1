// Finds out whether a durable write can succeed when nobody writes (promise P11). What it finds: ServiceHealth.swift.

internal import Logging
internal import ShardStore
internal import Synchronization
internal import SystemIO

/// Makes, syncs and removes a small file in the store, whenever the last durable write is too long ago.
///
/// A new file each time: a batch may need a new shard, and so a free inode, a descriptor and a name. After a batch
/// found no room, the file ends where a full shard does, and has as much room there as that batch needed.
final class WriteProbe: Sendable {
  private let disk: any Disk
  private let layout: StoreLayout
  private let health: ServiceHealth
  private let admission: Admission
  private let ballast: Ballast
  private let shardByteCount: Int
  private let logger: Logger
  private let signal = Monitor(Signal())
  private let thread = Mutex<NamedThread?>(nil)

  private struct Signal {
    var isAsked = false
    var isClosed = false
  }

  /// After this long without a durable write, it is tried whether one succeeds.
  private static let idleTime = Duration.seconds(5)
  /// The same while somebody asks for the health, and before a failed write is tried again.
  private static let watchedTime = Duration.seconds(1)
  private static let byteCount = 4096

  init(
    disk: any Disk, layout: StoreLayout, health: ServiceHealth, admission: Admission,
    ballast: Ballast, shardByteCount: Int, logger: Logger
  ) {
    self.disk = disk
    self.layout = layout
    self.health = health
    self.admission = admission
    self.ballast = ballast
    self.shardByteCount = shardByteCount
    self.logger = logger
  }

  func start() {
    thread.withLock { $0 = NamedThread("ingot-probe") { [self] in run() } }
  }

  /// Somebody wants to know: the answer after the next is not older than a second.
  func ask() { signal.change { $0.isAsked = true } }

  func close() {
    signal.change { $0.isClosed = true }
    thread.withLock { $0.take() }?.join()
  }

  private func run() {
    while true {
      let isFailing = health.snapshot.failure != nil || admission.foundFull != nil
      let began = MonotonicTime.now
      let deadline = began.advanced(by: isFailing ? Self.watchedTime : Self.idleTime)
      let watched = began.advanced(by: Self.watchedTime)
      _ = signal.wait(until: watched) { $0.isClosed ? () : nil }
      let isClosed = signal.wait(until: deadline) { signal -> Bool? in
        guard signal.isClosed || signal.isAsked else { return nil }
        signal.isAsked = false
        return signal.isClosed
      }
      if isClosed == true { return }
      ballast.restore()
      if isFailing || isDue { probe() }
    }
  }

  private var isDue: Bool {
    guard let seconds = health.snapshot.secondsSinceDurableWrite else { return true }
    return seconds > Self.watchedTime.seconds
  }

  /// Tries one durable write, and says what came of it.
  func probe() {
    do throws(DiskError) {
      try health.whileWriting { () throws(DiskError) in try write() }
      health.recordDurableWrite()
      admission.recordRoom()
    } catch {
      try? disk.removeFile(layout.probeFile)
      if error.isOutOfSpace {
        admission.recordFull(neededByteCount: admission.foundFull ?? Self.byteCount)
      } else {
        if health.snapshot.failure == nil { logger.error("a probe write failed: \(error)") }
        health.recordFailure(error)
      }
    }
  }

  private func write() throws(DiskError) {
    let path = layout.probeFile
    if try disk.kind(of: path) != nil { try disk.removeFile(path) }
    let file = try disk.createFile(path)
    var end = Self.byteCount
    if let needed = admission.foundFull {
      end = max(shardByteCount, needed, Self.byteCount)
      do throws(DiskError) { try file.allocate(offset: end - needed, byteCount: needed) } catch {
        if !error.isUnsupported { throw error }
      }
    }
    try file.write([UInt8](repeating: 0x50, count: Self.byteCount), at: end - Self.byteCount)
    try file.sync()
    try disk.syncDirectory(layout.root)
    try disk.removeFile(path)
  }
}
