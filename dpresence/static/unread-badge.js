// The number of unread notifications outside the page: in its title, its icon and the badge of the installed app.

const title = document.title;
const icon = /** @type {HTMLLinkElement} */ (document.querySelector("link[rel=icon]"));
const [plain, marked] = [icon.href, new URL("icon-unread.svg", import.meta.url).href];

/**
 * Show a number, or that there are none.
 * @param {number} count
 */
export function showUnread(count) {
  document.title = count ? `(${count}) ${title}` : title;
  const href = count ? marked : plain;
  if (icon.href !== href) icon.href = href;
  const badge = count ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.();
  badge?.catch(() => {}); // the page is not installed, or the system has no badges
}
