// Nothing: libFuzzer brings its own main, which calls Tests/Fuzzing/LibFuzzer.swift.
