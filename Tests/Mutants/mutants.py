# What is taken out of the program, one at a time, to see that a test notices. Run by deploy/mutants.
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One change: `old` stands once in the file and becomes `new`, in which `{on}` asks whether the mutant is alive."""
    name: str
    kind: str  # sync, order, checksum or error
    file: str
    old: str
    new: str

    def apply(self, text):
        count = text.count(self.old)
        assert count == 1, f"{self.name}: {count} places in {self.file}"
        return text.replace(self.old, self.new.replace("{on}", f'mutantIsAlive("{self.name}")'))


def without(name, kind, file, statement, before="", behind=""):
    """The statement is not run. `before` and `behind` are lines beside it that tell it from others."""
    return Mutant(
        name, kind, file, before + statement + behind, before + f"if !{{on}} {{ {statement} }}" + behind)


def swapped(name, file, first, second):
    """Two statements that follow one another run in the other order."""
    together = f"{first}\n    {second}"
    swap = f"if {{on}} {{\n{second}\n{first}\n}} else {{\n{first}\n{second}\n}}"
    return Mutant(name, "order", file, together, swap)


def accepted(name, kind, file, condition, before="", behind=""):
    """The condition counts as true."""
    return Mutant(name, kind, file, before + condition + behind, before + f"({{on}} || ({condition}))" + behind)


STORE, SERVICE, SYSTEM, API = "ShardStore/", "IngestService/", "SystemIO/", "IngestAPI/"

# Left out are syncs that another one repeats: of a compacted shard's directory (its index is named there right before), and of
# `shards/` or `new/` alone where both follow a rename.
SYNCS = [
    without("no-sync-of-rows", "sync", STORE + "ShardWriter.swift", "try embeddings.sync()",
            before="package func syncRows() throws(DiskError) { "),
    without("no-sync-of-log", "sync", STORE + "ShardWriter.swift", "try log.sync()",
            before="package func syncLog() throws(DiskError) { "),
    without("no-sync-of-new-directory", "sync", STORE + "ShardCreation.swift",
            "try disk.syncDirectory(newLayout.root)"),
    without("no-sync-of-new", "sync", STORE + "ShardCreation.swift",
            "try disk.syncDirectory(collection.newShards)",
            before="// A name that is not durable cannot be durably given away.\n    "),
    # A rename is durable with either of its directories.
    Mutant("no-sync-of-a-new-shard's-name", "sync", STORE + "ShardCreation.swift",
           "to: collection.shard(number).root)\n    try disk.syncDirectory(collection.shards)\n"
           "    try disk.syncDirectory(collection.newShards)\n",
           "to: collection.shard(number).root)\n    if {on} { return }\n"
           "    try disk.syncDirectory(collection.shards)\n    try disk.syncDirectory(collection.newShards)\n"),
    without("no-sync-of-cut-shard", "sync", STORE + "ShardSealer.swift", "try file.sync()",
            before="try file.truncate(toByteCount: byteCount)\n    "),
    without("no-sync-of-seal", "sync", STORE + "ShardSealer.swift", "try log.sync()"),
    without("no-sync-of-recovered-rows", "sync", STORE + "ShardRecovery.swift",
            "try files.embeddings.sync()", before="guard !unproven.isEmpty else { return }\n    "),
    without("no-sync-of-recovered-log", "sync", STORE + "ShardRecovery.swift", "try files.log.sync()",
            behind="\n  }\n\n  /// Cuts what lies behind"),
    without("no-sync-of-compacted-rows", "sync", STORE + "CompactedShard.swift", "try embeddings.sync()"),
    without("no-sync-of-compacted-log", "sync", STORE + "CompactedShard.swift", "try log.sync()"),
    Mutant("no-sync-of-exchange", "sync", STORE + "ShardCompactor.swift",
           "      try opener.disk.syncDirectory(collection.shards)\n      try opener.disk.syncDirectory(collection.newShards)\n    } catch",
           "      if !{on} {\n        try opener.disk.syncDirectory(collection.shards)\n"
           "        try opener.disk.syncDirectory(collection.newShards)\n      }\n    } catch"),
    Mutant("no-sync-before-a-shard-is-emptied", "sync", STORE + "ShardCreation.swift",
           "    try disk.syncDirectory(collection.shards)\n    try disk.syncDirectory(collection.newShards)\n    for name",
           "    if !{on} {\n      try disk.syncDirectory(collection.shards)\n"
           "      try disk.syncDirectory(collection.newShards)\n    }\n    for name"),
    without("no-sync-of-repaired-header", "sync", STORE + "ShardRepair.swift", "try copy.sync()"),
    without("no-sync-of-repaired-log", "sync", STORE + "ShardRepair.swift", "try log.sync()"),
    without("no-sync-of-once-file", "sync", SERVICE + "StoreFiles.swift", "try file.sync()"),
    without("no-sync-of-once-name", "sync", SERVICE + "StoreFiles.swift",
            "try disk.syncDirectory(directory)", before="try disk.rename(temporary, to: path)\n    "),
    without("no-sync-of-collections", "sync", SERVICE + "Collection+Open.swift",
            "try disk.syncDirectory(layout.collections)"),
    without("no-sync-of-found-shards", "sync", SERVICE + "Collection+Open.swift",
            "try opener.disk.syncDirectory(opener.collection.shards)"),
]

ORDERS = [
    Mutant("publish-before-sync", "order", SERVICE + "CommitPipeline.swift",
           "try syncBoth(part.writer)",
           "if {on} { try? part.writer.publish(part.written) }\n      try syncBoth(part.writer)"),
    Mutant("acknowledge-before-sync", "order", SERVICE + "CommitPipeline.swift",
           "    do throws(DiskError) {\n      try syncBoth(part.writer)",
           """    if {on} {
      for (pending, written) in zip(part.pending, part.written) {
        pending.complete(
          .success(
            Receipt(
              written.record, shard: part.writer.shard.identity.number,
              collection: part.collection.name)))
      }
    }
    do throws(DiskError) {
      try syncBoth(part.writer)"""),
    swapped("seal-name-before-file", STORE + "ShardSealer.swift",
            "try Self.writeIndex(openEntries(), layout: layout, identity: identity, disk: disk)",
            "try appendSealRecord(table, layout: layout, disk: disk)"),
    swapped("watermark-before-rows", STORE + "ShardRecovery.swift",
            "try makeDurable(plan, files: files)",
            "if damage.isEmpty { try cutTail(plan, files: files) }"),
    Mutant("name-of-once-file-before-content", "order", SERVICE + "StoreFiles.swift",
           "    try file.sync()\n    try disk.rename(temporary, to: path)\n",
           "    if {on} { try disk.rename(temporary, to: path) }\n    try file.sync()\n"
           "    if !{on} { try disk.rename(temporary, to: path) }\n"),
    Mutant("committed-before-visible", "order", SERVICE + "CommitPipeline.swift",
           "      if part.beginsShard { try beginShard(part) }\n    } catch {",
           "      if part.beginsShard, !{on} { try beginShard(part) }\n    } catch {"),
    Mutant("group-behind-a-failed-sync-is-synced", "order", SERVICE + "CommitPipeline.swift",
           "guard part.collection.writing.withLock({ $0.generation }) == part.generation else {",
           "guard {on} || part.collection.writing.withLock({ $0.generation }) == part.generation else {"),
]

CHECKSUMS = [
    accepted("record", "checksum", STORE + "CommitRecord.swift", "expected == found",
             before="guard ", behind=" else { throw .checksum"),
    accepted("record-of-another-store", "checksum", STORE + "CommitRecord.swift",
             "unsafe record[Layout.storeUUID..<(Layout.storeUUID + 16)].elementsEqual(\n        identity.store.bytes)"),
    accepted("record-of-another-shard", "checksum", STORE + "CommitRecord.swift",
             "unsafe record.integer(at: Layout.shardNumber, as: UInt32.self) == UInt32(identity.number)"),
    accepted("block-on-read", "checksum", STORE + "SealedShard.swift",
             "found == table.blockCRC32Cs[index]"),
    accepted("batch-on-read", "checksum", STORE + "Shard+Read.swift",
             "found == committed[position].rowsCRC32C"),
    accepted("rows-in-recovery", "checksum", STORE + "ShardRecovery.swift",
             "found == record.rowsCRC32C"),
    accepted("chain-in-recovery", "checksum", STORE + "RecoveryPlan.swift",
             "record.previousCRC32C == chain"),
    Mutant("block-in-verification", "checksum", STORE + "ShardVerifier+Rows.swift",
           "if found != table.blockCRC32Cs[index] {", "if !{on}, found != table.blockCRC32Cs[index] {"),
    Mutant("whole-block-in-verification", "checksum", STORE + "ShardVerifier+Rows.swift",
           "if Self.wholeBlock.join(before, sum) != table.blockCRC32Cs[index] {",
           "if !{on}, Self.wholeBlock.join(before, sum) != table.blockCRC32Cs[index] {"),
    Mutant("file-in-verification", "checksum", STORE + "ShardVerifier+Rows.swift",
           "if pass.fileCRC32C != table.fileCRC32C,", "if !{on}, pass.fileCRC32C != table.fileCRC32C,"),
    accepted("index-header", "checksum", STORE + "SealedIDIndex.swift",
             "reader.integer(at: Layout.headerCRC32C)\n"
             "          == CRC32C.of(Array(head[..<Layout.headerCRC32C]), continuing: identity.seed)"),
    accepted("index-entries", "checksum", STORE + "SealedIDIndex.swift",
             "header.entriesCRC32C == entriesCRC32C"),
    Mutant("index-in-verification", "checksum", STORE + "ShardIndexCheck.swift",
           "} else if try sum(of: file, byteCount: outcome.byteCount) != expected {",
           "} else if !{on}, try sum(of: file, byteCount: outcome.byteCount) != expected {"),
    Mutant("seal-follows-the-last-batch", "checksum", STORE + "ShardVerifier+Log.swift",
           "      if seal.previousCRC32C != last.record.recordCRC32C ||",
           "      if !{on}, seal.previousCRC32C != last.record.recordCRC32C ||"),
    accepted("once-file", "checksum", SERVICE + "StoreFiles.swift",
             "checksums.found == checksums.expected"),
    accepted("batch-id-with-other-bytes", "checksum", SERVICE + "BatchRegistry.swift",
             "receipt.contentDigest == digest"),
]

ERRORS = [
    Mutant("failed-sync-is-a-success", "error", SERVICE + "CommitPipeline.swift",
           "      giveUp(part, error)\n      return\n", "      if !{on} {\n        giveUp(part, error)\n        return\n      }\n"),
    Mutant("failed-sync-of-rows-is-forgotten", "error", SERVICE + "PipelineThreads.swift",
           "    try rows.get()\n", "    if !{on} { try rows.get() }\n"),
    Mutant("failed-sync-of-log-is-forgotten", "error", SERVICE + "PipelineThreads.swift",
           "    try log?.get()\n", "    if !{on} { try log?.get() }\n"),
    Mutant("shard-goes-on-after-a-failed-write", "error", SERVICE + "CommitPipeline.swift",
           "    if let generation, isNew || !error.isOutOfSpace {",
           "    if !{on}, let generation, isNew || !error.isOutOfSpace {"),
    Mutant("no-refusal-of-batches-after-a-failure", "error", SERVICE + "CommitPipeline.swift",
           "batch.complete(.failure(refusal(of: batch, after: error, beginsShard: isNew)))",
           "batch.complete(.failure({on} ? .draining : refusal(of: batch, after: error, beginsShard: isNew)))"),
    Mutant("sequence-is-not-taken-back", "error", SERVICE + "CommitPipeline.swift",
           "      writing.nextSequence = writing.durableSequence + 1\n",
           "      if !{on} { writing.nextSequence = writing.durableSequence + 1 }\n"),
    Mutant("no-reserve", "error", SERVICE + "Admission.swift",
           "    guard isReserveReached(space, neededByteCount: byteCount) else { return }",
           "    guard !{on}, isReserveReached(space, neededByteCount: byteCount) else { return }"),
    Mutant("no-hysteresis", "error", SERVICE + "Admission.swift",
           "        < (state.isReserveReached\n", "        < (state.isReserveReached && !{on}\n"),
    Mutant("no-limit-of-bytes-in-flight", "error", SERVICE + "Admission.swift",
           "guard state.inFlightByteCount + byteCount <= configuration.inFlightByteCountMax else {",
           "guard {on} || state.inFlightByteCount + byteCount <= configuration.inFlightByteCountMax else {"),
    Mutant("full-disk-is-forgotten", "error", SERVICE + "Admission.swift",
           "      if state.full != nil { return true }", "      if state.full != nil, !{on} { return true }"),
    Mutant("probe-fails-silently", "error", SERVICE + "WriteProbe.swift",
           "        health.recordFailure(error)\n", "        if !{on} { health.recordFailure(error) }\n"),
    Mutant("short-write-is-whole", "error", SYSTEM + "RealFile.swift",
           "      if count > 0 {\n        done += count\n      } else if count == 0 {\n        throw",
           "      if count > 0 {\n        done += {on} ? bytes.count : count\n      } else if count == 0 {\n        throw"),
    Mutant("no-proof-behind-a-sync", "error", SYSTEM + "SyncProof.swift",
           "      throw DiskError(operation: \"futimens\", path: fileName ?? path, code: code)",
           "      if !{on} { throw DiskError(operation: \"futimens\", path: fileName ?? path, code: code) }"),
    Mutant("failed-fdatasync-is-a-success", "error", SYSTEM + "RealFile.swift",
           "guard fdatasync(descriptor.number) == 0 else", "guard fdatasync(descriptor.number) == 0 || {on} else"),
    Mutant("two-servers-on-a-store", "error", SYSTEM + "StoreLock.swift",
           "guard flock(directory.number, LOCK_EX | LOCK_NB) == 0 else",
           "guard {on} || flock(directory.number, LOCK_EX | LOCK_NB) == 0 else"),
    Mutant("torn-tail-is-kept", "error", STORE + "ShardRecovery.swift",
           "    try files.embeddings.truncate(toByteCount: files.geometry.offset(ofRow: plan.rowCount))\n"
           "    try files.log.truncate(toByteCount: plan.logEnd)\n",
           "    if !{on} {\n      try files.embeddings.truncate(toByteCount: files.geometry.offset(ofRow: plan.rowCount))\n"
           "      try files.log.truncate(toByteCount: plan.logEnd)\n    }\n"),
    Mutant("damaged-shard-is-cut", "error", STORE + "ShardRecovery.swift",
           "    let shard = Shard(\n      identity: identity, geometry: files.geometry,",
           "    if {on}, !damage.isEmpty { try cutTail(plan, files: files) }\n"
           "    let shard = Shard(\n      identity: identity, geometry: files.geometry,"),
    Mutant("damaged-shard-is-appended-to", "error", STORE + "ShardRecovery.swift",
           "    guard damage.isEmpty, let last = plan.records.last else {",
           "    guard damage.isEmpty || {on}, let last = plan.records.last else {"),
    Mutant("newer-format-is-read", "error", SERVICE + "StoreFiles.swift",
           "guard value.format <= formatMax else", "guard {on} || value.format <= formatMax else"),
    Mutant("cut-rows-are-no-damage", "error", STORE + "ShardRecovery.swift",
           "    if files.rowCount < plan.rowCount {", "    if !{on}, files.rowCount < plan.rowCount {"),
    Mutant("sealed-shard-of-another-size", "error", STORE + "ShardRecovery.swift",
           "guard byteCount == expected, table.fileByteCount == expected else",
           "guard {on} || (byteCount == expected && table.fileByteCount == expected) else"),
    Mutant("removed-file-counts-as-durable", "error", SYSTEM + "RealFile.swift",
           "guard status.st_nlink > 0 else", "guard {on} || status.st_nlink > 0 else"),
    Mutant("log-of-deletions-without-end", "error", STORE + "ShardWriter.swift",
           "(logEnd <= ShardGeometry.logByteCountMax || isFirst)",
           "({on} || logEnd <= ShardGeometry.logByteCountMax || isFirst)"),
    Mutant("failed-compaction-keeps-its-room", "error", STORE + "ShardCompactor.swift",
           "do throws(CompactionFailure) { try fill() } catch {\n      // What it has taken of a full disk would keep the disk full.\n      discard()",
           "do throws(CompactionFailure) { try fill() } catch {\n      if !{on} { discard() }"),
]

ALL = SYNCS + ORDERS + CHECKSUMS + ERRORS


def apply_all(texts):
    """Writes all mutants into the texts of files, by their path below Sources; the longest first, since some lie in others."""
    for mutant in sorted(ALL, key=lambda mutant: -len(mutant.old)):
        texts[mutant.file] = mutant.apply(texts[mutant.file])
    return texts
