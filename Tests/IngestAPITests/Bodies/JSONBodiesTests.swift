// JSON and ndjson bodies: every form that is taken, and what is said about the others.

import Testing

@testable import IngestAPI
@testable import ShardStore

@Suite struct JSONBodiesTests {
  @Test(arguments: [
    #"{"ids":["a",2,"ü"],"embeddings":[[1,-0.5],[2e0,0.25],[3,4]]}"#,
    #"{"embeddings":[[1,-0.5],[2.0,25e-2],[3,4]], "x":{"y":[1,{}]}, "ids":["a",2,"\u00fc"]}"#,
    #"{"items":[{"id":"a","embedding":[1,-0.5]},{"embedding":[2,0.25],"id":2,"x":[]},"#
      + #"{"id":"ü","embedding":[3,4]}]}"#,
    #"{"ids":["a",2,"ü"],"embeddings":["AACAPwAAAL8=","AAAAQAAAgD4=","AABAQAAAgEA="]}"#,
    #"{"ids":["a",2,"ü"],"embeddings":["AACAPwAAAL8=",[2,0.25],"AABAQAAAgEA="]}"#,
    #"{"object":"list","data":[{"object":"embedding","index":1,"embedding":[2,0.25]},"#
      + #"{"embedding":[1,-0.5],"index":0},{"embedding":[3,4],"index":2}],"#
      + #""model":"m","usage":{"total_tokens":5},"ids":["a",2,"ü"]}"#,
  ])
  func takesEveryForm(text: String) throws {
    for dimension in [2, nil] {
      let batch = try BodyFixture(text).decode(as: .json, dimension: dimension, dtype: nil)

      #expect(batch.idStrings == ["a", "2", "ü"])
      #expect(batch.floats == [1, -0.5, 2, 0.25, 3, 4])
      #expect(batch.dtype == .float32)
    }
  }

  @Test func takesLines() throws {
    let text = """
      {"id":"a","embedding":[1,-0.5]}\r
      \t
      {"embedding":"AAAAQAAAgD4=","id":18446744073709551615}
      {"id":-9223372036854775808,"embedding":[3,4]}
      """
    for tail in ["", "\n", "\n\n"] {
      let batch = try BodyFixture(text + tail).decode(as: .ndjson, dimension: nil)

      #expect(batch.idStrings == ["a", "18446744073709551615", "-9223372036854775808"])
      #expect(batch.floats == [1, -0.5, 2, 0.25, 3, 4])
    }
  }

  @Test func roundsAsNumPyDoes() throws {
    let body = try BodyFixture(golden: "numbers.json")

    let single = try body.decode(as: .json, dimension: nil, dtype: .float32)
    let half = try body.decode(as: .json, dimension: nil, dtype: .float16)

    #expect(try Array(single.rows) == BodyFixture(golden: "numbers.f4").bytes)
    #expect(try Array(half.rows) == BodyFixture(golden: "numbers.f2").bytes)
  }

  @Test func takesBase64InTheCollectionsDtype() throws {
    let body = BodyFixture(#"{"ids":[1],"embeddings":["ADwAwA=="]}"#)

    #expect(try body.decode(as: .json, dimension: 2, dtype: .float16).halves == [0x3C00, 0xC000])
    #expect(body.error(as: .json, dimension: 2)?.code == "wrong-dimension")
  }

  @Test(arguments: [
    ("", "bad-json"), ("{", "bad-json"), ("[]", "bad-json-shape"), ("1", "bad-json-shape"),
    ("{}", "bad-json-shape"), (#"{"ids":[1]}"#, "bad-json-shape"),
    (#"{"embeddings":[[1,2]]}"#, "bad-json-shape"), (#"{"ids":[],"embeddings":[]}"#, "zero-rows"),
    (#"{"ids":[1],"embeddings":[[1,2]]} x"#, "bad-json"),
    (#"{"ids":[1],"embeddings":[[1,2]]}{"#, "bad-json"),
    (#"{"ids":[1],"ids":[1],"embeddings":[[1,2]]}"#, "duplicate-key"),
    (#"{"ids":[1],"\u0069ds":[1],"embeddings":[[1,2]]}"#, "duplicate-key"),
    (#"{"ids":[1],"embeddings":[[1,2]],"embeddings":[[1,2]]}"#, "duplicate-key"),
    (#"{"ids":[1],"embeddings":[[1,2]],"items":[]}"#, "bad-json-shape"),
    (#"{"ids":[1],"items":[]}"#, "bad-json-shape"), (#"{"ids":1,"items":[]}"#, "bad-json-shape"),
    (#"{"ids":[1,2],"embeddings":[[1,2]]}"#, "id-count-mismatch"),
    (#"{"ids":[1,2],"embeddings":[[1,2],[1]]}"#, "wrong-dimension"),
    (#"{"ids":[1,2],"embeddings":[[1,2],[1,2,3]]}"#, "wrong-dimension"),
    (#"{"ids":[1,2],"embeddings":[[1,2],[]]}"#, "wrong-dimension"),
    (#"{"ids":[1],"embeddings":[[1,2,3]]}"#, "wrong-dimension"),
    (#"{"ids":[1],"embeddings":[[1,"2"]]}"#, "bad-json-shape"),
    (#"{"ids":[1],"embeddings":[[1,true]]}"#, "bad-json-shape"),
    (#"{"ids":[1],"embeddings":[[1,[2]]]}"#, "bad-json-shape"),
    (#"{"ids":[1],"embeddings":[1,2]}"#, "bad-json-shape"),
    (#"{"ids":[1],"embeddings":{"a":1}}"#, "bad-json-shape"),
    (#"{"ids":[1],"embeddings":[[1,2x]]}"#, "bad-json"),
    (#"{"ids":[1],"embeddings":[[01,2]]}"#, "bad-json"),
    (#"{"ids":[1],"embeddings":[[1.,2]]}"#, "bad-json"),
    (#"{"ids":[1],"embeddings":[[1 2]]}"#, "bad-json"),
    (#"{"ids":[1],"embeddings":[[1,2,3 4]]}"#, "bad-json"),
    (#"{"ids":[1],"embeddings":[[1,2,3,4}]}"#, "bad-json"),
    (#"{"ids":[1],"embeddings":[[1,2],]}"#, "bad-json"),
    (#"{"ids":[1],"embeddings":[[1,2,]]}"#, "bad-json"),
    (#"{"ids":[1],"embeddings":["AACAPwAAAL8"]}"#, "bad-base64"),
    (#"{"ids":[1],"embeddings":["AACAPwAAAL9="]}"#, "bad-base64"),
    (#"{"ids":[1],"embeddings":["AACAPwAA*L8="]}"#, "bad-base64"),
    (#"{"ids":[1],"embeddings":["=AAA=AAA=AA="]}"#, "bad-base64"),
    (#"{"ids":[1.5],"embeddings":[[1,2]]}"#, "wrong-id-type"),
    (#"{"ids":[null],"embeddings":[[1,2]]}"#, "wrong-id-type"),
    (#"{"ids":[[1]],"embeddings":[[1,2]]}"#, "wrong-id-type"),
    (#"{"ids":[18446744073709551616],"embeddings":[[1,2]]}"#, "wrong-id-type"),
    (#"{"ids":[""],"embeddings":[[1,2]]}"#, "empty-id"),
    (#"{"ids":[1,"1"],"embeddings":[[1,2],[3,4]]}"#, "duplicate-id"),
    (#"{"ids":["\ud800"],"embeddings":[[1,2]]}"#, "bad-json"),
    (#"{"items":[{"id":1}]}"#, "bad-json-shape"),
    (#"{"items":[{"embedding":[1,2]}]}"#, "bad-json-shape"),
    (#"{"items":[{"id":1,"id":2,"embedding":[1,2]}]}"#, "duplicate-key"),
    (#"{"items":[7]}"#, "bad-json-shape"),
    (#"{"ids":[1],"data":[{"embedding":[1,2],"index":1}]}"#, "bad-row-index"),
    (#"{"ids":[1],"data":[{"embedding":[1,2],"index":-1}]}"#, "bad-row-index"),
    (#"{"ids":[1],"data":[{"embedding":[1,2],"index":4294967296}]}"#, "bad-row-index"),
    (#"{"ids":[1,2],"data":[{"embedding":[1,2],"index":0},{"embedding":[1,2]}]}"#, "bad-row-index"),
    (
      #"{"ids":[1,2],"data":[{"embedding":[1,2],"index":0},{"embedding":[1,2],"index":0}]}"#,
      "bad-row-index"
    ),
  ])
  func refusesEverythingElse(text: String, code: String) {
    #expect(BodyFixture(text).error(as: .json, dimension: 2)?.code == code)
  }

  @Test(arguments: ["null", "NaN", "Infinity", "-Infinity", "1e39", "-1e400", "1e999999999999"])
  func namesRowsThatAreNotFinite(number: String) {
    let error = BodyFixture(
      #"{"embeddings":[[1,2],[\#(number),1],[1,\#(number)]],"ids":["a","b","c"]}"#
    ).error(as: .json, dimension: 2)

    #expect(error?.code == "non-finite")
    #expect(error?.offenders == [Offender(index: 1, id: "b"), Offender(index: 2, id: "c")])
  }

  @Test func refusesWhatFloat16CannotHold() throws {
    let body = BodyFixture(#"{"ids":[1],"embeddings":[[65520]]}"#)
    let below = BodyFixture(#"{"ids":[1],"embeddings":[[65519.99]]}"#)

    #expect(body.error(as: .json, dimension: 1, dtype: .float16)?.code == "non-finite")
    #expect(try below.decode(as: .json, dimension: 1, dtype: .float16).halves == [0x7BFF])
  }

  @Test func namesTheRaggedRow() {
    let error = BodyFixture(#"{"ids":["a","b"],"embeddings":[[1,2],[1,2,3,4]]}"#)
      .error(as: .json, dimension: nil)

    #expect(error?.offenders == [Offender(index: 1, id: "b")])
    #expect(error?.detail.hasPrefix("row 1 (id b) has dimension 4, expected 2") == true)
  }

  @Test func limitsDepthEverywhere() throws {
    var limits = BodyLimits()
    limits.jsonDepthMax = 5
    func body(_ depth: Int) -> BodyFixture {
      let open = String(repeating: "[", count: depth)
      let close = String(repeating: "]", count: depth)
      return BodyFixture(#"{"x":\#(open)\#(close),"ids":[1],"embeddings":[[1,2]]}"#)
    }

    #expect(try body(4).decode(as: .json, dimension: 2, limits: limits).rowCount == 1)
    #expect(body(5).error(as: .json, dimension: 2, limits: limits)?.code == "json-too-deep")
    #expect(body(100_000).error(as: .json, dimension: 2)?.code == "json-too-deep")
    for text in ["[", #"{"ids":["#, #"{"embeddings":["#, #"{"items":["#] {
      let deep = BodyFixture(text + String(repeating: "[", count: 100) + "]")
      #expect(deep.error(as: .json) != nil)
    }
    let whole = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
    #expect(BodyFixture(whole).error(as: .json)?.code == "json-too-deep")
    #expect(
      BodyFixture(#"{"embeddings":[\#(whole)]}"#).error(as: .json)?.code == "json-too-deep")
  }

  @Test func limitsRowsAndBytes() throws {
    var limits = BodyLimits()
    limits.rowCountMax = 1
    let body = BodyFixture(#"{"embeddings":[[1,2],[3,4]],"ids":[1,2]}"#)
    #expect(body.error(as: .json, dimension: 2, limits: limits)?.code == "too-many-rows")

    limits = BodyLimits()
    limits.decodedByteCountMax = 15
    #expect(body.error(as: .json, dimension: 2, limits: limits)?.code == "body-too-large-decoded")
    limits.decodedByteCountMax = 16
    #expect(try body.decode(as: .json, dimension: 2, limits: limits).rowCount == 2)

    limits = BodyLimits()
    limits.dimensionMax = 1
    #expect(
      body.error(as: .json, dimension: nil, limits: limits)?.code == "dimension-too-large")
    #expect(body.error(as: .json, dimension: 2, memory: NoMemory())?.code == "in-flight-full")
  }

  @Test func refusesTooLongIDs() throws {
    let id = String(repeating: "x", count: 512)
    #expect(
      try BodyFixture(#"{"ids":["\#(id)"],"embeddings":[[1]]}"#).decode(as: .json, dimension: 1)
        .idStrings == [id])
    #expect(
      BodyFixture(#"{"ids":["\#(id)y"],"embeddings":[[1]]}"#).error(as: .json, dimension: 1)?
        .code == "id-too-long")
  }

  @Test(arguments: [
    (
      "{\"id\":1,\"embedding\":[1,2]}\n{\"id\":2,\"embedding\":[1,2,3]}", "wrong-dimension",
      "line 2"
    ),
    ("\n\n{\"id\":1,\"embedding\":[1,2]}\n{\"id\":2", "bad-json", "line 4"),
    ("{\"id\":1,\"embedding\":[1,2]} {\"id\":2,\"embedding\":[1,2]}", "bad-json", "line 1"),
    ("{\"id\":1,\"embedding\":[1,2]}\n[1]", "bad-json-shape", "line 2"),
    ("{\"id\":1}", "bad-json-shape", "line 1"),
    ("{\"id\":{},\"embedding\":[1,2]}", "wrong-id-type", "line 1"),
  ])
  func namesTheLine(text: String, code: String, place: String) {
    let error = BodyFixture(text).error(as: .ndjson, dimension: 2)

    #expect(error?.code == code)
    #expect(error?.detail.contains(place) == true)
  }

  @Test func refusesNoLines() {
    #expect(BodyFixture("").error(as: .ndjson)?.code == "zero-rows")
    #expect(BodyFixture("\n \n").error(as: .ndjson)?.code == "zero-rows")
  }
}
