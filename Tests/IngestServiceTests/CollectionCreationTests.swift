// A collection is created with syncs. Who looks a collection up does not wait for them, however long they take.

import DiskSimulation
import Dispatch
import ShardStore
import Synchronization
import SystemIO
import Testing

@testable import IngestService

@Suite struct CollectionCreationTests {
  /// A disk whose first sync does not end before it is told to.
  private final class HangingDisk: Sendable {
    let disk = SimulatedDisk()
    let hangs = DispatchSemaphore(value: 0)
    let goesOn = DispatchSemaphore(value: 0)
    private let syncCount = Atomic(0)

    init() throws {
      let layout = StoreLayout(root: "/store")
      for path in [layout.root, layout.collections] { try disk.makeDirectory(path) }
    }

    func hang() {
      disk.setFault { [self] operation, _, _ in
        guard operation == "fsync", syncCount.add(1, ordering: .relaxed).oldValue == 0 else {
          return nil
        }
        hangs.signal()
        goesOn.wait()
        return nil
      }
    }
  }

  @Test func othersAreLookedUpWhileTheDiskHangs() throws {
    let hanging = try HangingDisk()
    let service = IngestService(
      configuration: ServiceConfiguration(), layout: StoreLayout(root: "/store"),
      storeUUID: PipelineFixture.storeUUID, disk: hanging.disk, catalog: nil, collections: [],
      problems: [], lock: nil, logger: RealStore.logger)
    _ = try service.createCollection("known", dimension: 4, dtype: .float32)
    hanging.hang()

    let create = NamedThread("create") {
      _ = try? service.createCollection("new", dimension: 4, dtype: .float32)
    }
    hanging.hangs.wait()
    let found = DispatchSemaphore(value: 0)
    let lookUp = NamedThread("look-up") {
      if service.collection("known") != nil, service.collections.count == 1 { found.signal() }
    }
    let isFound = found.wait(timeout: .now() + 10) == .success
    hanging.goesOn.signal()
    create.join()
    lookUp.join()

    #expect(isFound)
    #expect(service.collections.map(\.name) == ["known", "new"])
  }

  @Test func manyThatCreateTheSameGetTheSame() throws {
    let hanging = try HangingDisk()
    let service = IngestService(
      configuration: ServiceConfiguration(), layout: StoreLayout(root: "/store"),
      storeUUID: PipelineFixture.storeUUID, disk: hanging.disk, catalog: nil, collections: [],
      problems: [], lock: nil, logger: RealStore.logger)
    let created = Mutex<[(uuid: String, isNew: Bool)]>([])

    let threads = (0..<8).map { number in
      NamedThread("create-\(number)") {
        guard let one = try? service.createCollection("c", dimension: 4, dtype: .float32) else {
          return
        }
        created.withLock { $0.append((one.collection.uuid, one.isNew)) }
      }
    }
    for thread in threads { thread.join() }

    let all = created.withLock { $0 }
    #expect(all.count == 8 && Set(all.map(\.uuid)).count == 1)
    #expect(all.filter(\.isNew).count == 1)
  }
}
