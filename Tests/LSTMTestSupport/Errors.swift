public import LSTMTensors

extension LSTMError {
  /// The kind and the text: "argument: x: expected ...".
  public var spoken: String {
    switch self {
    case .argument(let message): "argument: " + message.text
    case .type(let message): "type: " + message.text
    case .noMemory: "noMemory"
    case .io(let message): "io: " + message.text
    case .format(let message): "format: " + message.text
    case .version(let message): "version: " + message.text
    case .diverged(let message): "diverged: " + message.text
    case .unsupported(let message): "unsupported: " + message.text
    case .source(let message): "source: " + message.text
    case .internal(let message): "internal: " + message.text
    }
  }
}

/// The LSTMError that `body` throws, as text; nil when it throws none.
public func spokenError(_ body: () throws -> Void) -> String? {
  do { try body() } catch let error as LSTMError { return error.spoken } catch { return nil }
  return nil
}

/// The text of the LSTMError.argument that `body` throws.
public func argumentError(_ body: () throws -> Void) -> String? {
  do { try body() } catch LSTMError.argument(let message) { return message.text } catch { return nil }
  return nil
}
