// A fake of what a browser gives to the extension: storage, notifications, and listeners that tests call.

import "./texts.mjs";

const turn = () => new Promise((go) => setImmediate(go));

/** Wait until everything has happened that waits for nothing outside. */
export async function settle() {
  for (let turns = 0; turns < 20; turns++) await turn();
}

/** Return a storage area whose values are those of an object. @param {Record<string, any>} values */
function area(values) {
  return {
    get: async (defaults) => (await turn(), structuredClone({ ...defaults, ...values })),
    set: async (changes) => void Object.assign(values, structuredClone(changes)),
  };
}

/** Give Node a new browser, and return what it stores and shows. */
export function fakeBrowser() {
  const [stored, shown, notifications] = [{}, {}, {}];
  let held = Promise.resolve();
  const [local, session] = [area(stored), area(shown)];
  Object.defineProperty(globalThis, "navigator", { value: { userAgent: "Chrome/130.0", platform: "Linux" }, configurable: true });
  Object.assign(globalThis.chrome, {
    runtime: { id: "dpresence", getURL: (path) => path },
    storage: { local, session },
    notifications: {
      create: async (id, options) => (await held, (notifications[id] = options), id),
      clear: async (id) => delete notifications[id],
      getAll: async () => ({ ...notifications }),
    },
  });
  const holdNotifications = () => {
    let show;
    held = new Promise((go) => (show = go));
    return show;
  };
  return { stored, shown, notifications, local, holdNotifications };
}
