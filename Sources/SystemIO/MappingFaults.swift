// Pages of a mapped file that cannot be read: the file was cut by somebody, or a sector is bad (faults C5, E1).
// Used by RealMapping.swift.

internal import Glibc
internal import Synchronization

/// Turns a SIGBUS inside one of this process's mappings into zeros: their checksum is wrong, so that the rows there
/// are damaged and not the process. The page stays zero until the file is mapped again, and is counted: rows that were
/// checked before are checked again (Shard+Cut.swift).
///
/// Source: man 2 sigaction, "SIGBUS"; man 2 mmap, "MAP_FIXED".
@safe
enum MappingFaults {
  /// Start and end of each mapping; zeros where none is. A mapping that finds no place is not protected.
  private nonisolated(unsafe) static let slots: UnsafeMutablePointer<Slot> = {
    let slots = UnsafeMutablePointer<Slot>.allocate(capacity: slotCount)
    for index in 0..<slotCount { unsafe (slots + index).initialize(to: Slot()) }
    return unsafe slots
  }()

  private struct Slot: ~Copyable {
    let start = Atomic<UInt>(0)
    let end = Atomic<UInt>(0)
    let lostPageCount = Atomic<Int>(0)
  }

  /// Three mappings for each of so many shards, and a scan that takes less than a read from a disk.
  private static let slotCount = 3 << 16
  /// Slots that were ever used.
  private static let usedCount = Atomic(0)
  private static let free = Mutex<[Int]>([])
  private static let pageByteCount = UInt(sysconf(Int32(_SC_PAGESIZE)))
  /// What else handles the signal, such as the runtime's backtraces.
  private nonisolated(unsafe) static var previous = sigaction()

  private static let isInstalled: Bool = {
    _ = pageByteCount
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_sigaction = { _, info, _ in
      guard let info = unsafe info else { return }
      let address = unsafe UInt(bitPattern: info.pointee._sifields._sigfault.si_addr)
      if !MappingFaults.replacePage(at: address) {
        // Not ours: the instruction is run again and meets who was there before.
        unsafe _ = sigaction(SIGBUS, &MappingFaults.previous, nil)
      }
    }
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER
    return unsafe sigaction(SIGBUS, &action, &previous) == 0
  }()

  /// - Returns: the place to give back; nil when there is none.
  static func protect(_ start: UnsafeRawPointer, byteCount: Int) -> Int? {
    guard isInstalled else { return nil }
    let place = free.withLock { $0.popLast() } ?? usedCount.add(1, ordering: .relaxed).oldValue
    guard place < slotCount else { return nil }
    let address = UInt(bitPattern: start)
    unsafe slots[place].lostPageCount.store(0, ordering: .relaxed)
    unsafe slots[place].end.store(address + UInt(byteCount), ordering: .relaxed)
    unsafe slots[place].start.store(address, ordering: .releasing)
    return place
  }

  /// Pages of a mapping that are zero because they could not be read.
  static func lostPageCount(_ place: Int) -> Int {
    unsafe slots[place].lostPageCount.load(ordering: .acquiring)
  }

  static func pageStart(of offset: Int) -> Int { offset / Int(pageByteCount) * Int(pageByteCount) }

  /// Before the memory is unmapped.
  static func giveBack(_ place: Int) {
    unsafe slots[place].start.store(0, ordering: .relaxed)
    unsafe slots[place].end.store(0, ordering: .releasing)
    free.withLock { $0.append(place) }
  }

  /// Runs in the signal handler, on the thread that read the page.
  private static func replacePage(at address: UInt) -> Bool {
    for place in 0..<min(usedCount.load(ordering: .relaxed), slotCount) {
      let start = unsafe slots[place].start.load(ordering: .acquiring)
      guard start != 0, start <= address,
        unsafe address < slots[place].end.load(ordering: .relaxed)
      else { continue }
      // Counted first: who reads the zeros without a fault finds the count.
      unsafe _ = slots[place].lostPageCount.add(1, ordering: .releasing)
      let page = address / pageByteCount * pageByteCount
      let replaced = unsafe mmap(
        UnsafeMutableRawPointer(bitPattern: page), Int(pageByteCount), PROT_READ,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
      return unsafe replaced != MAP_FAILED
    }
    return false
  }
}
