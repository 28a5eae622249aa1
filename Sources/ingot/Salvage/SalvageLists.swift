// The lists of `ingot salvage`: ids whose rows are lost, ids whose rows came back; one on each line.

import Salvage
import ShardStore
import SystemIO

/// Files that get their names when the rows are where they belong.
final class SalvageLists {
  private let lost: NewFile?
  private let kept: NewFile?
  private let interruption: Interruption

  init(_ command: SalvageCommand, _ interruption: Interruption) throws {
    self.interruption = interruption
    lost = try command.lost.map { try NewFile($0, replaces: command.force, interruption) }
    kept = try command.kept.map { try NewFile($0, replaces: command.force, interruption) }
  }

  func lose(_ id: ArraySlice<UInt8>) throws(DiskError) { try lost?.append(line: id) }

  func keep(_ ids: IDList) throws(DiskError) {
    guard let kept else { return }
    for row in 0..<ids.count { try kept.append(line: ids[row]) }
  }

  func publish() throws(DiskError) {
    try lost?.publish(interruption)
    try kept?.publish(interruption)
  }
}
