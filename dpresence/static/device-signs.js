// The signs of kinds of devices, drawn in the colour of the text, so that they follow the theme and forced colours.

/** @typedef {"browser" | "phone" | "program" | "terminal" | "other"} Kind */

const SVG = "http://www.w3.org/2000/svg";
/** @type {Record<Kind, string>} paths of 24 by 24 */
const PATHS = {
  browser: "M4 5h16v11H4zM2 19h20",
  phone: "M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2",
  program: "M3 5h18v14H3zM3 9h18M6 7h.01M9 7h.01",
  terminal: "M3 5h18v14H3zM7 10l3 2-3 2M12 15h5",
  other: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 11v5M12 8h.01",
};

/** @param {Kind | null} [kind] */
export function deviceSign(kind) {
  const sign = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ class: "device-sign", viewBox: "0 0 24 24", "aria-hidden": "true" })) sign.setAttribute(name, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[kind ?? "other"] ?? PATHS.other);
  sign.append(path);
  return sign;
}
