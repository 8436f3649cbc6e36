// What the device says, and what the toolbar shows.

import { text } from "./texts.js";

/** @typedef {import("./lib/presence-types.js").Status} Status */
/** @typedef {import("./lib/presence-types.js").State} State */

/**
 * Return the status of the device: who has chosen to be online is unavailable while they are away.
 * @param {Status} chosen
 * @param {boolean} away
 * @returns {Status}
 */
export function deviceStatus(chosen, away) {
  return chosen === "online" && away ? "unavailable" : chosen;
}

/**
 * Return what the connection is, in words.
 * @param {State} state
 */
export function connectionInWords(state) {
  if (state.state === "connected") return text("connected");
  if (state.state === "connecting") return text("connecting");
  if (state.state === "waiting") return text("tryingAgain");
  return state.errno || state.code !== 1000 ? text("notConnectedBecause", state.reason) : text("notConnected");
}

/**
 * Return badge and title of the toolbar's icon.
 * @param {{state: State, status: Status, unread: number} | null} seen null without an account
 * @returns {{badge: string, title: string}}
 */
export function toolbar(seen) {
  if (seen === null) return { badge: "", title: text("titleNobody") };
  const { state, status, unread } = seen;
  if (state.state === "stopped") return { badge: "!", title: text("title", connectionInWords(state)) };
  const words = state.state === "connected" ? text(status) : text("notConnected");
  const title = unread ? text("titleUnread", words, text("unread", unread)) : text("title", words);
  return { badge: unread > 99 ? "99+" : unread ? String(unread) : "", title };
}

const ENDS = /** @type {Record<string, (now: Date) => number>} */ ({
  hour: (now) => now.getTime() + 3600_000,
  today: (now) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1).getTime(),
});

/**
 * Return when an override ends, undefined if only the person ends it.
 * @param {string} choice
 * @param {Date} now
 */
export function overrideEnd(choice, now) {
  return ENDS[choice]?.(now);
}
