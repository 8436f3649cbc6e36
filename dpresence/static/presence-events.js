// A part of presence.js: the type of its events, for editors and TypeScript.

/** @import { Notification, State } from "./presence-types.js" */
/** @typedef {{state: CustomEvent<State>, notification: CustomEvent<Notification>, unread: CustomEvent<number>, cleared: CustomEvent<string[]>}} ChannelEvents */
/**
 * An `EventTarget` whose events have types.
 * @template {Record<string, Event>} Events
 * @typedef {Omit<EventTarget, "addEventListener" | "removeEventListener"> & {
 *   addEventListener: <Name extends keyof Events & string>(name: Name, listener: (event: Events[Name]) => unknown,
 *     options?: boolean | AddEventListenerOptions) => void,
 *   removeEventListener: <Name extends keyof Events & string>(name: Name, listener: (event: Events[Name]) => unknown,
 *     options?: boolean | EventListenerOptions) => void,
 * }} TypedEventTarget
 */

/** The base class of a channel. */
export const ChannelEventTarget = /** @type {{new(): TypedEventTarget<ChannelEvents>}} */ (/** @type {unknown} */ (EventTarget));
