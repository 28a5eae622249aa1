// Waiting between threads, and the clock that deadlines are counted by.

import SystemIO
import Testing

@Suite struct MonitorTests {
  @Test func handsValuesFromThreadToThread() {
    let queue = Monitor<[Int]>([])
    let sum = Monitor(0)
    let reader = NamedThread("reader") {
      for _ in 0..<1000 {
        let next = queue.wait { $0.isEmpty ? nil : $0.removeFirst() }
        sum.change { $0 += next ?? 0 }
      }
    }
    let writer = NamedThread("writer") {
      for number in 1...1000 { queue.change { $0.append(number) } }
    }

    writer.join()
    reader.join()

    #expect(sum.withLock { $0 } == 500_500)
    #expect(queue.withLock { $0.isEmpty })
  }

  @Test func givesUpAtItsDeadlineAndNotBefore() {
    let monitor = Monitor(0)
    let deadline = MonotonicTime.now.advanced(by: .milliseconds(20))

    let answer: Int? = monitor.wait(until: deadline) { _ in nil }

    #expect(answer == nil)
    #expect(MonotonicTime.now >= deadline)
    #expect(monitor.wait(until: deadline) { $0 } == 0)
  }

  @Test func keepsChangesFromManyThreads() {
    let monitor = Monitor(0)
    let threads = (0..<8).map { number in
      NamedThread("adder-\(number)") { for _ in 0..<1000 { monitor.withLock { $0 += 1 } } }
    }
    for thread in threads { thread.join() }

    #expect(monitor.withLock { $0 } == 8000)
  }
}

@Suite struct MonotonicTimeTests {
  @Test func onlyGoesForward() {
    var last = MonotonicTime.now
    for _ in 0..<1000 {
      let next = MonotonicTime.now
      #expect(next >= last)
      last = next
    }
  }

  @Test func addsAndSubtractsDurations() {
    let start = MonotonicTime(nanoseconds: 5)

    let later = start.advanced(by: .seconds(2) + .nanoseconds(3))

    #expect(later.nanoseconds == 2_000_000_008)
    #expect(start.duration(to: later) == .nanoseconds(2_000_000_003))
    #expect(later.duration(to: start).nanoseconds == -2_000_000_003)
    #expect(Duration.milliseconds(1500).seconds == 1.5)
  }

  @Test func wallClockIsInThisCentury() {
    #expect(MonotonicTime.wallClockNanoseconds > 1_600_000_000_000_000_000)
  }
}
