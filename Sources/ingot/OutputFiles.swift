// Where commands may write files: outside of stores, and never twice to one place or over what they read. Written by way
// of SystemIO/PartialFile.swift, which replaces nothing unasked.

import ArgumentParser
import Foundation
import SystemIO

/// The files and folders that a command was told to write, by their options.
struct OutputFiles {
  private struct Output {
    let option: String
    let path: String
    /// Without symbolic links, as far as it is there.
    let place: String
  }

  private let outputs: [Output]

  /// Options that were not given are left out.
  init(_ paths: KeyValuePairs<String, String?>) {
    outputs = paths.compactMap { option, path in
      path.map { Output(option: option, path: $0, place: Self.place(of: $0)) }
    }
  }

  /// - Throws: what is wrong with the options themselves.
  func checkNames() throws(ValidationError) {
    for output in outputs {
      guard !output.path.isEmpty else {
        throw ValidationError("\(output.option): the name of a file is empty")
      }
      guard output.path != "-" else {
        throw ValidationError(
          "\(output.option) takes the name of a file, and cannot be standard output")
      }
    }
    for (number, output) in outputs.enumerated() {
      if let other = outputs[..<number].first(where: { $0.place == output.place }) {
        throw ValidationError("\(other.option) and \(output.option) name the same file")
      }
    }
  }

  /// Called before anything is opened for writing.
  ///
  /// - Parameter inputs: What the command reads.
  func check(inputs: [String?] = []) throws(Failure) {
    let inputPlaces = inputs.compactMap { $0?.followingLinks }
    for output in outputs {
      guard !inputPlaces.contains(output.path.followingLinks) else {
        throw Failure("\(output.path) is read here and would be written over", code: .inputUnusable)
      }
      if let store = Self.store(around: output.place) {
        throw Failure(
          "\(output.option) \(output.path) is within the store \(store), where nothing but Ingot may "
            + "write", code: .inputUnusable)
      }
    }
  }

  /// Devices and pipes cannot be written: a file takes its name when it is complete.
  func checkKinds() throws(Failure) {
    for output in outputs {
      let kind = try? RealDisk().kind(of: output.path)
      guard kind == .directory || kind == .other else { continue }
      throw Failure(
        "\(output.option) \(output.path): a regular file is expected, or a name that is free; a file "
          + "takes its name when it is complete", code: .couldNotRun)
    }
  }

  /// Nothing is replaced unasked.
  func checkFree() throws(Failure) {
    for output in outputs where (try? RealDisk().kind(of: output.path)) == .file {
      throw Failure("\(output.path) is there already; --force replaces it", code: .conflict)
    }
  }

  /// The store that a path is in, or is.
  private static func store(around place: String) -> String? {
    var directory = place
    while true {
      if (try? RealDisk().kind(of: directory + "/store.json")) != nil { return directory }
      guard directory != "/", directory != "." else { return nil }
      directory = PartialFile.directory(of: directory)
    }
  }

  private static func place(of path: String) -> String {
    let disk = RealDisk()
    if (try? disk.kind(of: path)) == .directory { return path.followingLinks }
    guard let directory = try? disk.realPath(of: PartialFile.directory(of: path)) else {
      return path.followingLinks
    }
    return URL(fileURLWithPath: directory).appendingPathComponent(
      URL(fileURLWithPath: path).lastPathComponent
    ).path
  }
}

extension String {
  /// The path of what a symbolic link leads to.
  var followingLinks: String { URL(fileURLWithPath: self).resolvingSymlinksInPath().path }
}
