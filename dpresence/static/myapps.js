// Registration of an application (docs/protocol.md, section 6).

import { byId } from "./dom.js";
import { onSubmit } from "./form.js";
import { call, root } from "./page.js";

onSubmit(byId("register", HTMLFormElement), async (fields) => {
  const { appid } = await call("POST", "/myapps", fields);
  location.assign(`${root}/myapps/${appid}`);
});
