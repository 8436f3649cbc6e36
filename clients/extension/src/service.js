// The address of the service, and what follows from it.

const LOOPBACK = ["localhost", "127.0.0.1"];

/**
 * Return the address of a service in its normal form, without a slash at the end.
 * @param {string} text what the person entered
 * @returns {string | null} null for anything else than https, or http on this computer
 */
export function serviceAddress(text) {
  const entered = text.trim();
  if (!URL.canParse(/^[a-z]+:\/\//i.test(entered) ? entered : `https://${entered}`)) return null;
  const url = new URL(/^[a-z]+:\/\//i.test(entered) ? entered : `https://${entered}`);
  const safe = url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.includes(url.hostname));
  if (!safe || url.username || url.password) return null;
  return url.origin + url.pathname.replace(/\/+$/, "");
}

/**
 * Return the pattern of the one origin to which the extension asks for access. Patterns have no port.
 * @param {string} service
 */
export function hostPattern(service) {
  const { protocol, hostname } = new URL(service);
  return `${protocol}//${hostname}/*`;
}

/**
 * Return the URL of the device channel.
 * @param {string} service
 */
export function channelOf(service) {
  return `${service.replace(/^http/, "ws")}/presence`;
}

/**
 * Return whether an address is a page of the service.
 * @param {string} address
 * @param {string} service
 */
export function isPageOf(address, service) {
  return URL.canParse(address) && new URL(address).origin === new URL(service).origin;
}
