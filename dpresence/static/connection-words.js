// The state of the connection of "My presence" in words.

import { _ } from "./texts.js";

/** @typedef {import("./presence-types.js").State} State */

/** Errno of a proxy that passes no websockets. */
export const NO_UPGRADE = 108;
const SIGNED_OUT = 4009, REPLACED = 4010;
/** @type {Record<string, string>} reasons of the service for a person */
const REASONS = {
  "signed out": _("signed out"),
};

/**
 * Describe the connection.
 * @param {State} now
 * @param {boolean} signedOut
 * @returns {[sign: string, text: string, spoken?: string]} `spoken` is the text for screen readers
 */
export function connectionInWords(now, signedOut) {
  if (now.state === "connected") return ["good", _("Connected")];
  if (now.state === "connecting") return ["warn", _("Connecting")];
  if (now.state === "waiting" && now.errno === NO_UPGRADE) return ["bad", _("Connection blocked")];
  if (now.state === "waiting") return ["warn", _("Reconnecting in %(seconds)s s", { seconds: now.seconds }), _("Reconnecting")];
  return ["bad", signedOut ? _("Signed out") : _("Disconnected")];
}

/**
 * Return why the connection has ended.
 * @param {{code: number, reason: string}} stopped
 * @param {boolean} signedOut
 */
export function whyStopped({ code, reason: given }, signedOut) {
  const reason = REASONS[given] ?? given;
  if (signedOut) return _("You are signed out here. No notifications arrive, and this browser is no longer one of your devices.");
  if (code === SIGNED_OUT) return _("This device was disconnected: %(reason)s.", { reason });
  if (code === REPLACED) return _("Another program has connected with the name of this device.");
  return _("The connection ended: %(reason)s.", { reason });
}
