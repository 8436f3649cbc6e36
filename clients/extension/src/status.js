// What the device says, and what the toolbar shows.

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

/** @type {Record<Status, string>} */
export const WORDS = { online: "Online", unavailable: "Unavailable", offline: "Offline" };

/**
 * Return what the connection is, in words.
 * @param {State} state
 */
export function connectionInWords(state) {
  if (state.state === "connected") return "Connected";
  if (state.state === "connecting") return "Connecting";
  if (state.state === "waiting") return "Not connected. Trying again soon.";
  return state.errno || state.code !== 1000 ? `Not connected: ${state.reason}` : "Not connected";
}

/**
 * Return badge and title of the toolbar's icon.
 * @param {{state: State, status: Status, unread: number} | null} seen null without an account
 * @returns {{text: string, title: string}}
 */
export function toolbar(seen) {
  if (seen === null) return { text: "", title: "dpresence: not connected to your account" };
  const { state, status, unread } = seen;
  if (state.state === "stopped") return { text: "!", title: `dpresence: ${connectionInWords(state)}` };
  const words = state.state === "connected" ? WORDS[status].toLowerCase() : "not connected";
  const news = unread ? `, ${unread} unread` : "";
  return { text: unread > 99 ? "99+" : unread ? String(unread) : "", title: `dpresence: ${words}${news}` };
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
