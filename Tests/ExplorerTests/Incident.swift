// What happens to a program: a fault, the end of its process, a power cut. A path of incidents names one state; it
// is printed when something is wrong, and replayed by ReplayTests.swift.

import DiskSimulation
import Glibc
import Synchronization
import TestContent

enum Incident: Equatable, Sendable {
  /// Comes before the run that it is about.
  case fault(Fault)
  /// The process ends; what it wrote stays.
  case kill
  /// The process goes on, and clients send again what was refused.
  case retry
  case cut(Cut)
}

/// An operation of the disk that fails, or that one and all behind it.
struct Fault: Equatable, Sendable {
  let code: Int32
  let operation: Int
  let isForEver: Bool

  static let names: [(code: Int32, name: String)] = [
    (EIO, "EIO"), (ENOSPC, "ENOSPC"), (EDQUOT, "EDQUOT"), (EROFS, "EROFS"), (EINTR, "EINTR"),
  ]
}

/// The power goes before an event of the trace, when these pieces of what is not durable had arrived.
struct Cut: Equatable, Sendable {
  let blockByteCount: Int
  let event: Int
  let subset: Subset
}

enum Subset: Equatable, Sendable {
  case none, all
  case only(Int)
  case allBut(Int)
  case upTo(Int)
  case random(Int)
  /// All sizes and names, and no bytes: files as long as they were, full of zeros.
  case names
  /// All bytes, and no sizes or names.
  case bytes
  /// Any sizes and names, and no bytes.
  case someNames(Int)
  /// Any sizes and names, and all bytes.
  case someNamesAndBytes(Int)
}

// MARK: - Text

extension Incident: CustomStringConvertible {
  var description: String {
    switch self {
    case .fault(let fault): fault.description
    case .kill: "kill"
    case .retry: "retry"
    case .cut(let cut): cut.description
    }
  }

  init?(_ text: Substring) {
    switch text {
    case "kill": self = .kill
    case "retry": self = .retry
    default:
      if let cut = Cut(text) {
        self = .cut(cut)
      } else if let fault = Fault(text) {
        self = .fault(fault)
      } else {
        return nil
      }
    }
  }

  static func path(_ text: Substring) -> [Incident]? {
    let parts = text.split(separator: ">").map { Incident($0) }
    return parts.contains(nil) ? nil : parts.compactMap(\.self)
  }
}

extension Fault: CustomStringConvertible {
  /// `EIO+5` is operation 5 alone, `EIO*5` all from there on.
  var description: String {
    let name = Self.names.first { $0.code == code }?.name ?? "\(code)"
    return "\(name)\(isForEver ? "*" : "+")\(operation)"
  }

  init?(_ text: Substring) {
    guard let sign = text.firstIndex(where: { "+*".contains($0) }),
      let code = Self.names.first(where: { $0.name == text[..<sign] })?.code,
      let operation = Int(text[text.index(after: sign)...])
    else { return nil }
    self.init(code: code, operation: operation, isForEver: text[sign] == "*")
  }
}

extension Cut: CustomStringConvertible {
  var description: String { "\(blockByteCount)@\(event):\(subset)" }

  init?(_ text: Substring) {
    let parts = text.split { "@:".contains($0) }
    guard parts.count == 3, let blockByteCount = Int(parts[0]), let event = Int(parts[1]),
      let subset = Subset(parts[2])
    else { return nil }
    self.init(blockByteCount: blockByteCount, event: event, subset: subset)
  }
}

extension Subset: CustomStringConvertible {
  var description: String {
    switch self {
    case .none: "none"
    case .all: "all"
    case .only(let piece): "only\(piece)"
    case .allBut(let piece): "allBut\(piece)"
    case .upTo(let piece): "upTo\(piece)"
    case .random(let number): "random\(number)"
    case .names: "names"
    case .bytes: "bytes"
    case .someNames(let number): "someNames\(number)"
    case .someNamesAndBytes(let number): "someNamesAndBytes\(number)"
    }
  }

  init?(_ text: Substring) {
    let word = text.prefix { !$0.isNumber }
    let number = Int(text.dropFirst(word.count)) ?? 0
    let all: [Subset] = [
      .none, .all, .only(number), .allBut(number), .upTo(number), .random(number), .names, .bytes,
      .someNames(number), .someNamesAndBytes(number),
    ]
    guard let found = all.first(where: { $0.description == text }) else { return nil }
    self = found
  }
}

// MARK: - Effect

extension Subset {
  /// Which pieces arrived.
  ///
  /// - Parameter random: Known from the seed and the path to this state.
  func kept(_ pieces: [SimulatedDisk.Event], _ random: @autoclosure () -> SeededGenerator) -> [Bool]
  {
    let count = pieces.count
    func some(_ isKept: (inout SeededGenerator, SimulatedDisk.Event) -> Bool) -> [Bool] {
      var random = random()
      return pieces.map { isKept(&random, $0) }
    }
    switch self {
    case .none: return [Bool](repeating: false, count: count)
    case .all: return [Bool](repeating: true, count: count)
    case .only(let piece): return (0..<count).map { $0 == piece }
    case .allBut(let piece): return (0..<count).map { $0 != piece }
    case .upTo(let piece): return (0..<count).map { $0 <= piece }
    case .random: return some { random, _ in Bool.random(using: &random) }
    case .names: return pieces.map { !$0.isWrite }
    case .bytes: return pieces.map(\.isWrite)
    case .someNames: return some { random, piece in !piece.isWrite && Bool.random(using: &random) }
    case .someNamesAndBytes:
      return some { random, piece in piece.isWrite || Bool.random(using: &random) }
    }
  }

  /// Those that are explored for so many pieces.
  static func all(count: Int, randomCount: Int) -> [Subset] {
    var subsets: [Subset] = [.none, .all]
    guard count > 0 else { return subsets }
    for piece in 0..<count { subsets += [.only(piece), .allBut(piece), .upTo(piece)] }
    subsets += [.names, .bytes]
    for number in 0..<randomCount {
      subsets.append(.random(number))
      if number % 4 == 0 { subsets += [.someNames(number), .someNamesAndBytes(number)] }
    }
    return subsets
  }
}

extension Program {
  /// Lets operations of the disk fail, counted from now on.
  func install(_ fault: Fault) {
    let count = Mutex(0)
    disk.setFault { _, _, _ in
      let operation = count.withLock { count in
        defer { count += 1 }
        return count
      }
      let fails =
        fault.isForEver ? operation >= fault.operation : operation == fault.operation
      return fails ? fault.code : nil
    }
  }

  /// Counts operations of the disk instead.
  func countOperations(_ body: () -> Void) -> Int {
    let count = Mutex(0)
    disk.setFault { _, _, _ in
      count.withLock { $0 += 1 }
      return nil
    }
    body()
    disk.setFault(nil)
    return count.withLock { $0 }
  }
}
