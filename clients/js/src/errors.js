// Errors of this package. All of them are a PresenceError.

/** An error of this package. No error contains a key or an assertion. */
export class PresenceError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

/** The service refused a frame or a call (docs/protocol.md, section 7). */
export class Refused extends PresenceError {
  /**
   * @param {{errno?: number, error?: string, details?: unknown, retry_after?: number}} answer the error object
   * @param {number} [status] HTTP status of the answer to a handshake
   */
  constructor({ errno = 0, error = "", details, retry_after: retryAfter = 0 }, status) {
    super(errno ? `errno ${errno}: ${error}` : error);
    /** Number in the table of section 7; 0 if something other than the service answered. */
    this.errno = errno;
    /** The service's sentence. */
    this.error = error;
    /** Name of the wrong field, "" if the sentence names none. */
    this.field = /^([\w.[\]]+): /.exec(error)?.[1] ?? "";
    this.details = details;
    /** Seconds to wait before another attempt. */
    this.retryAfter = Math.max(0, retryAfter);
    this.status = status;
  }
}

/** The service closed the channel for good: the client does not reconnect. */
export class Closed extends PresenceError {
  /** @param {number} code close code of section 7 @param {string} reason */
  constructor(code, reason) {
    super(`the service closed the channel (${code}): ${reason || "no reason was given"}`);
    this.code = code;
    this.reason = reason;
  }
}

/** The connection ended before the answer, or the time for it was over: the service may have accepted the notifications or not. */
export class OutcomeUnknown extends PresenceError {}

/** The service did not answer a call, which it may have carried out; or `notify` had no connection in time: then nothing was sent. */
export class NotConnected extends PresenceError {}

/** The pairing ended without a credential: the user has refused it, or the codes have expired. */
export class PairingFailed extends PresenceError {}

/** The client was stopped by its own program. */
export class ClientStopped extends PresenceError {
  constructor() {
    super("this client is stopped");
  }
}

/** An answer to a call is not that of the service; or a frame cannot be read: then the client closes the connection and tries again. */
export class ProtocolError extends PresenceError {}

/** A stored table cannot be used; the text names the file and what to do. */
export class StoreError extends PresenceError {}
