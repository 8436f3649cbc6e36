// Registering an application (docs/protocol.md, section 6).

import { onSubmit } from "./form.js";
import { call } from "./page.js";

onSubmit(document.getElementById("register"), async (fields) => {
  const { appid } = await call("POST", "/myapps", fields);
  location.assign(`/myapps/${appid}`);
});
