// Small requests whose answers are JSON documents.

import Foundation
import SystemIO

extension ServerClient {
  /// Of an answer that is taken into memory.
  private static let documentByteCountMax = 64 << 20

  func get<Answer: Decodable>(
    _ path: String, as type: Answer.Type, accepting: [Int] = []
  ) throws(ClientError) -> Answer {
    try document(of: ClientRequest("GET", path), as: type, accepting: accepting)
  }

  /// The document of an answer that may be 404: nil then.
  func getIfThere<Answer: Decodable>(
    _ path: String, as type: Answer.Type, unknownCode: String
  ) throws(ClientError) -> Answer? {
    do throws(ClientError) { return try get(path, as: type) } catch {
      guard case .refused(let problem) = error, problem.status == 404, problem.code == unknownCode
      else { throw error }
      return nil
    }
  }

  /// - Parameter json: The body; nil for none.
  func document<Answer: Decodable>(
    _ method: String, _ path: String, json: String?, as type: Answer.Type
  ) throws(ClientError) -> Answer {
    var request = ClientRequest(method, path)
    if let json { request.setJSON(json) }
    return try document(of: request, as: type)
  }

  func document<Answer: Decodable>(
    of request: ClientRequest, as type: Answer.Type, accepting: [Int] = []
  ) throws(ClientError) -> Answer {
    var content = Data()
    var isTooLong = false
    _ = try send(request, accepting: accepting) { piece throws(DiskError) in
      isTooLong = isTooLong || content.count + piece.count > Self.documentByteCountMax
      if !isTooLong { unsafe content.append(contentsOf: piece) }
    }
    let name = "\(request.method) \(request.path)"
    guard !isTooLong else {
      throw .notUnderstood("\(name): the answer has more than \(Self.documentByteCountMax) bytes")
    }
    do { return try JSONDecoder().decode(type, from: content) } catch {
      throw .notUnderstood("\(name): the answer is not the JSON of an Ingot server: \(error)")
    }
  }
}
