// The icon on the page of an application: the chosen picture is made smaller here, so that any camera's picture can be sent.

import { applicationSign } from "./application-sign.js";
import { byId } from "./dom.js";
import { announce, attempt, call, confirmAction, onClick } from "./page.js";
import { _ } from "./texts.js";

const PIXELS = 256, LEAST_PIXELS = 32; // the service takes no picture that is narrower or lower

/**
 * Return a picture as a PNG that is at most 256 pixels wide and high, or 32 pixels in the other direction.
 * @param {File} file
 * @returns {Promise<Blob | null>} null if the browser cannot read it
 */
async function smaller(file) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return null;
  const [shorter, longer] = [picture.width, picture.height].sort((one, other) => one - other);
  const scale = Math.min(1, Math.max(PIXELS / longer, LEAST_PIXELS / shorter));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height].map((length) => Math.max(1, Math.round(length * scale)));
  canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return new Promise((resolve) => canvas.toBlob(resolve));
}

/**
 * Have the page send and remove the icon of its application.
 * @param {string} path of the application
 */
export function manageIcon(path) {
  const input = byId("icon", HTMLInputElement), error = byId("icon-error");
  input.addEventListener("change", () => attempt(input, async () => {
    const [file] = input.files ?? [];
    input.value = "";
    error.textContent = "";
    if (!file) return;
    const picture = await smaller(file);
    const stored = picture && (await call("PUT", `${path}/icon`, picture).catch((/** @type {any} */ refused) => {
      if (refused.errno === 107 || refused.errno === 113) return null;
      throw refused;
    }));
    if (!stored) {
      error.textContent = _("This file is no picture that can be used. Choose a PNG, JPEG or WebP picture of at least 32 by 32 pixels.");
      return;
    }
    showIcon(stored);
    announce(_("The icon is saved."));
  }));
  onClick("remove-icon", async () => {
    const detail = _("People see the first letter of your domain instead. You need the picture to set it again.");
    if (!(await confirmAction(_("Remove the icon?"), detail, _("Remove the icon")))) return;
    await call("DELETE", `${path}/icon`);
    showIcon(await call("GET", path));
    input.focus();
    announce(_("The icon is removed."));
  });
}

/** @param {{appid: string, domain: string, icon?: string}} application */
function showIcon(application) {
  byId("sign").replaceChildren(applicationSign(application));
  byId("remove-icon").hidden = !application.icon;
}
