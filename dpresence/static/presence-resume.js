// A part of presence.js: detects that a page is shown or resumed. A proxy may have dropped its connection meanwhile.

const WINDOW_EVENTS = ["online", "pageshow"];
const DOCUMENT_EVENTS = ["visibilitychange", "resume"];

/**
 * Call a listener when the page is shown, is resumed or has its network back, unless the page is hidden.
 * @param {() => void} listener
 * @returns {() => void} function that removes the listener
 */
export function onResume(listener) {
  const handler = () => void (globalThis.document?.hidden || listener());
  /** @param {"addEventListener" | "removeEventListener"} method */
  const each = (method) => {
    for (const event of WINDOW_EVENTS) globalThis[method]?.(event, handler);
    for (const event of DOCUMENT_EVENTS) globalThis.document?.[method](event, handler);
  };
  each("addEventListener");
  return () => each("removeEventListener");
}
