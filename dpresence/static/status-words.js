// The statuses in words: within a sentence, as a title, and for a status that may be over.

import { _ } from "./texts.js";

/** @type {Record<string, [word: string, title: string, was: string, wasTitle: string]>} */
const WORDS = {
  online: [_("online"), _("Online"), _("was online"), _("Was online")],
  unavailable: [_("unavailable"), _("Unavailable"), _("was unavailable"), _("Was unavailable")],
  offline: [_("offline"), _("Offline"), _("was offline"), _("Was offline")],
};

/** @param {string} status */
export const statusWord = (status) => WORDS[status]?.[0] ?? status;
/** @param {string} status */
export const statusTitle = (status) => WORDS[status]?.[1] ?? status;
/** @param {string} status */
export const wasStatus = (status) => WORDS[status]?.[2] ?? status;
/** @param {string} status */
export const wasStatusTitle = (status) => WORDS[status]?.[3] ?? status;
