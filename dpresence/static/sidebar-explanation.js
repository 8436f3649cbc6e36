// What an application sees of the user, why, and when it looked (docs/protocol.md, section 6).

import { element } from "./dom.js";
import { statusWord } from "./status-words.js";
import { _, locale, ngettext, parts } from "./texts.js";
import { dayInWords } from "./times.js";

/** @typedef {{day: string, channel: number, rest: number, webhook: number}} Looks of one day, UTC */
/** @typedef {"devices" | "override" | "pause" | "hours" | "shows" | "sent"} LinkName */
/** @typedef {{link: LinkName, status: string}} Link `status` is the one after this link */

const list = new Intl.ListFormat(locale);

/** @type {Record<LinkName, (status: Node) => (string | Node)[]>} what each link says, with the status that follows from it */
const LINKS = {
  devices: (status) => parts("Your devices together are %(status)s", { status }),
  override: (status) => parts("You have set one status for all of them: %(status)s", { status }),
  pause: (status) => parts("You have paused this application, so you look %(status)s", { status }),
  hours: (status) => parts("Your quiet hours hide you, so you look %(status)s", { status }),
  shows: (status) => parts("It may see only whether you are online, so you look %(status)s", { status }),
  sent: (status) => parts("A change is on its way to it; until then you look %(status)s", { status }),
};

/** @param {Looks} looks */
function looksInWords({ day, channel, rest, webhook }) {
  const ways = [
    channel ? ngettext("connected %(num)s time", "connected %(num)s times", channel) : "",
    rest ? ngettext("asked %(num)s time", "asked %(num)s times", rest) : "",
    webhook ? ngettext("was told %(num)s time", "was told %(num)s times", webhook) : "",
  ];
  return _("%(day)s: %(ways)s", { day: dayInWords(day), ways: list.format(ways.filter(Boolean)) });
}

/** @param {string} status */
function signed(status) {
  return element("span", { class: "status small", "data-status": status }, statusWord(status));
}

/**
 * Return what an application sees; opened, it says why and on which days the application looked.
 * @param {{appid: string, sees: string | null, why: Link[], looks: Looks[]}} grant
 */
export function explanation({ appid, sees, why, looks }) {
  const title = sees === null ? [_("What it sees is not known at the moment")] : parts("It sees you as %(status)s", { status: signed(sees) });
  const links = why.map(({ link, status }) => element("li", {}, ...LINKS[link](signed(status))));
  const days = looks.map((one) => element("li", {}, looksInWords(one)));
  const looked = days.length ? [element("p", {}, _("It looked on these days:")), element("ul", {}, ...days)]
    : [element("p", {}, _("It has not looked in the last 30 days."))];
  return element("details", { class: "small" },
    element("summary", { "data-key": `why ${appid}` }, ...title),
    ...(links.length ? [element("ol", {}, ...links)] : []), ...looked);
}
