// What libFuzzer calls. The target is named by INGOT_FUZZ_TARGET, since one binary is built for all.

internal import Foundation

private let target: FuzzTarget = {
  let name = ProcessInfo.processInfo.environment["INGOT_FUZZ_TARGET"] ?? ""
  guard let target = FuzzTarget(rawValue: name) else {
    let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
    fatalError("INGOT_FUZZ_TARGET is \"\(name)\", expected one of \(names)")
  }
  return target
}()

/// Source: https://llvm.org/docs/LibFuzzer.html
@_cdecl("LLVMFuzzerTestOneInput")
package func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))
  if let problem = target.run(bytes) { fatalError(problem) }
  return 0
}
