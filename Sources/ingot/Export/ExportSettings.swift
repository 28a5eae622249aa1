// Which options of `ingot export` go together, and which values they may have.

import ArgumentParser
import IngestService

/// The options of an export, checked.
struct ExportSettings {
  enum Place {
    case store(root: String)
    case server(ServerAddress)
  }

  enum Form {
    case file(ExportFormat)
    /// Files are never links when `copies`.
    case clipRetrieval(copies: Bool)
  }

  let place: Place
  let form: Form
  let collection: String
  /// Nil for standard output.
  let out: String?
  let ids: String?
  let outputs: OutputFiles
  let replaces: Bool
}

extension ExportFormat {
  /// What the end of a file's name says.
  init?(endOf path: String) {
    let name = path.split(separator: "/").last ?? ""
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
    switch name[name.index(after: dot)...] {
    case "txt": self = .ids
    case "ids": return nil
    case let end: self.init(rawValue: String(end))
    }
  }

  /// Whether the ids are in the file, or are the file.
  var hasIDs: Bool { self == .npz || self == .ids }
}

extension ExportCommand {
  /// - Throws: What to say instead; exit code 64.
  func checkedSettings() throws(ValidationError) -> ExportSettings {
    guard Collection.isValidName(collection) else {
      throw ValidationError(
        "--collection takes 1 to 63 of a-z 0-9 . _ -, with a letter or digit first, not "
          + "'\(collection.prefix(80))'")
    }
    let outputs = OutputFiles(["--out": out == "-" ? nil : out, "--ids": ids])
    let form = try form()
    let place = try place()
    if case .clipRetrieval = form, case .server = place {
      throw ValidationError("--layout needs --store: links and files are made where the store is")
    }
    try checkIDs(form)
    try outputs.checkNames()
    return ExportSettings(
      place: place, form: form, collection: collection, out: name(form), ids: ids,
      outputs: outputs, replaces: force)
  }

  /// What is written; nil for standard output. A folder may have been named with a slash at its end.
  private func name(_ form: ExportSettings.Form) -> String? {
    guard case .clipRetrieval = form else { return out == "-" ? nil : out }
    var name = out[...]
    while name.count > 1, name.hasSuffix("/") { name.removeLast() }
    return String(name)
  }

  private func place() throws(ValidationError) -> ExportSettings.Place {
    try ServerAddress.checkIsEither(store: store, url: url)
    switch (store, url) {
    case (let root?, nil) where !root.isEmpty: return .store(root: root)
    case (nil, let url?): return .server(try ServerAddress(option: url))
    default: throw ValidationError("--store names no directory")
    }
  }

  private func form() throws(ValidationError) -> ExportSettings.Form {
    if let layout {
      guard layout == "clip-retrieval" else {
        throw ValidationError("--layout takes clip-retrieval, not '\(layout)'")
      }
      guard format == nil else {
        throw ValidationError("--format and --layout are two ways to write; choose one")
      }
      guard out != "-" else { throw ValidationError("--layout makes a folder; --out names it") }
      return .clipRetrieval(copies: copy)
    }
    guard !copy else { throw ValidationError("--copy is for --layout") }
    let known = ExportFormat.allCases.map(\.rawValue).joined(separator: ", ")
    guard let format else {
      if let found = ExportFormat(endOf: out) { return .file(found) }
      throw ValidationError("--format is needed, for --out '\(out)' does not say it: \(known)")
    }
    guard let found = ExportFormat(rawValue: format) else {
      throw ValidationError("--format takes one of \(known), not '\(format)'")
    }
    return .file(found)
  }

  private func checkIDs(_ form: ExportSettings.Form) throws(ValidationError) {
    guard let ids else { return }
    guard case .file(let format) = form, !format.hasIDs else {
      throw ValidationError("--ids is for formats without ids: npy, fbin, f32, safetensors")
    }
    guard ids != "-" else {
      throw ValidationError(
        "--ids takes the name of a file; --format ids writes to standard output")
    }
  }
}
