import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

/**
 * Copy the files that differ: programs may be reading the others at this moment.
 * @param {URL} from folder, with a slash at the end
 * @param {URL} to folder, with a slash at the end
 * @param {string[]} names
 */
export function copyChanged(from, to, names) {
  mkdirSync(to, { recursive: true });
  for (const name of names) {
    const source = readFileSync(new URL(name, from));
    const copy = new URL(name, to);
    if (!existsSync(copy) || !source.equals(readFileSync(copy))) writeFileSync(copy, source);
  }
}
