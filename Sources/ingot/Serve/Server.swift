// Wires the layers together: lock, service, API, HTTP server; and takes them apart again on SIGTERM.

import ArgumentParser
import Dispatch
import Foundation
import HTTPServer
import IngestAPI
import IngestService
import Logging
import SystemIO

struct Server {
  private let settings: ServeSettings

  init(_ settings: ServeSettings) { self.settings = settings }

  /// Serves until a signal, then drains.
  func run() throws {
    // Before any thread is started, so that all of them inherit the mask.
    let signals = StopSignals()
    LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
    var logger = Logger(label: "ingot")
    logger.logLevel = settings.logLevel

    startQueues()
    let service = try openService(logger)
    let api = IngestAPI(
      service: service, configuration: settings.api, serverConfiguration: settings.server,
      workerCount: settings.workerCount)
    let server = HTTPServer(configuration: settings.server, handler: api)
    api.attach(server.counters)
    do throws(HTTPServerError) { try server.start() } catch {
      service.close()
      throw Failure("cannot listen on \(settings.address): \(error)", code: .couldNotRun)
    }
    let address = ListenAddress.text(
      host: settings.address.host, port: server.boundPort ?? settings.address.port)
    do throws(Failure) {
      try StandardOutput.write("ingot: serving \(settings.store) on http://\(address)\n")
    } catch {
      logger.warning("\(error)")
    }
    logger.info("ready", metadata: ["store": "\(settings.store)", "address": "\(address)"])

    let signal = signals.wait()
    logger.info("signal \(signal): draining")
    api.beginDraining()
    if !server.drain() { logger.warning("connections were cut: they did not end in time") }
    logger.info("drained")
    api.close()
    service.close()
    logger.info("stopped")
  }

  /// The queues on which SQLite is called get an epoll and a timer when they need them, and end the process when there
  /// is no descriptor for these (fault B10): they are made now, when there is one.
  ///
  /// Source: swift-corelibs-libdispatch, src/event/event_epoll.c, _dispatch_epoll_init.
  private func startQueues() {
    let done = DispatchSemaphore(value: 0)
    let timer = DispatchSource.makeTimerSource()
    timer.setEventHandler { done.signal() }
    timer.schedule(deadline: .now())
    timer.activate()
    DispatchQueue.global().async { done.signal() }
    done.wait()
    done.wait()
    timer.cancel()
  }

  private func openService(_ logger: Logger) throws -> IngestService {
    do throws(StoreProblem) {
      let lock = try IngestService.lock(
        root: settings.store, creates: settings.service.expectedStoreUUID == nil)
      let service = try IngestService.open(
        root: settings.store, configuration: settings.service, lock: lock, logger: logger)
      logger.info("\(service.startSummary)")
      return service
    } catch {
      throw Failure(error)
    }
  }
}

/// A command that ends with a message on standard error and an exit code.
struct Failure: Error, CustomStringConvertible {
  let description: String
  let code: ExitCode

  init(_ description: String, code: ExitCode) {
    self.description = description
    self.code = code
  }

  init(_ problem: StoreProblem) {
    if case .inUse = problem {
      self.init("\(problem)", code: .storeInUse)
    } else {
      self.init("\(problem)", code: .couldNotRun)
    }
  }
}
