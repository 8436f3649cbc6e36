// Registering an application (docs/protocol.md, section 6).

import { onSubmit } from "./form.js";
import { call, root } from "./page.js";

onSubmit(document.getElementById("register"), async (fields) => {
  const { appid } = await call("POST", "/myapps", fields);
  location.assign(`${root}/myapps/${appid}`);
});
