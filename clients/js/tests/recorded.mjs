// Frames that a client receives, for tests that compare them with the AsyncAPI document.

/** Call `receive` with the path of the channel and the text of each frame that any WebSocket made afterwards receives. */
export function recordFrames(receive) {
  globalThis.WebSocket = class extends WebSocket {
    constructor(url) {
      super(url);
      this.addEventListener("message", ({ data }) => receive(new URL(url).pathname, data));
    }
  };
}
