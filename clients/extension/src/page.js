// What the panel and the options share.

/**
 * Have the background do something.
 * @param {string} what
 * @param {object} [details]
 */
export async function order(what, details = {}) {
  const { error } = await chrome.runtime.sendMessage({ do: what, ...details });
  if (error) throw new Error(error);
}

/** Render now, and after each change of what is stored. @param {() => Promise<void>} render */
export function follow(render) {
  chrome.storage.onChanged.addListener(() => void render());
  return render();
}
