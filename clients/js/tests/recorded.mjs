// Frames that a client receives and sends, for tests that compare them with the AsyncAPI document.

/** Call a function with the path of the channel and the text of each frame that any WebSocket made afterwards receives, or sends. */
export function recordFrames(receive, send = () => {}) {
  globalThis.WebSocket = class extends WebSocket {
    constructor(url) {
      super(url);
      this.addEventListener("message", ({ data }) => receive(new URL(url).pathname, data));
    }

    send(data) {
      send(new URL(this.url).pathname, data);
      super.send(data);
    }
  };
}
