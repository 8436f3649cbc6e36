// What this browser says of itself to its user: "Chrome on Windows", and whether it is a phone.

export const BROWSERS = { Edg: "Edge", OPR: "Opera", Firefox: "Firefox", Chrome: "Chrome", Safari: "Safari" };
export const SYSTEMS = { "iPhone|iPad": "iOS", Android: "Android", Windows: "Windows", CrOS: "ChromeOS", Mac: "macOS", Linux: "Linux" };

/**
 * Return the value of the first pattern that a text matches, "" if none does.
 * @param {Record<string, string>} names by pattern
 * @param {string} text
 */
function firstOf(names, text) {
  return Object.entries(names).find(([pattern]) => new RegExp(pattern).test(text))?.[1] ?? "";
}

/**
 * Describe this browser.
 * @param {string} [agent] its User-Agent
 * @returns {{label: string, kind: "browser" | "phone"}}
 */
export function describeBrowser(agent = navigator.userAgent) {
  const [browser, system] = [firstOf(BROWSERS, agent) || "Browser", firstOf(SYSTEMS, agent)];
  return { label: system ? `${browser} on ${system}` : browser, kind: /Mobi/.test(agent) ? "phone" : "browser" };
}
