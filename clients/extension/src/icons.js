// The picture of a notification of the system.

const ANSWER_MS = 5000;

/**
 * Return the address of the icon of the application that has sent a notification; without one, that of the extension's icon.
 * @param {string} service
 * @param {string} appid
 * @returns {Promise<string>}
 */
export async function iconOf(service, appid) {
  const icon = `${service}/icons/${encodeURIComponent(appid)}`;
  const found = await fetch(icon, { credentials: "omit", redirect: "error", signal: AbortSignal.timeout(ANSWER_MS) }).catch(() => null);
  return found?.ok ? icon : chrome.runtime.getURL("icons/128.png");
}
