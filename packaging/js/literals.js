// An ESLint rule: texts that a person reads are in the catalogue (docs/pages.md, Languages).

const CATALOGUE = ["_", "ngettext", "parts"];
/** Functions that show arguments: the first of them and the one after the last. */
const SHOWING = { element: [2, Infinity], announce: [0, 1], setText: [1, 2], confirmAction: [0, 3], prompt: [0, 1], itemButton: [0, 1], leaveSignedOut: [0, 1] };
const NOT_SHOWN = ["class", "rel", "target", "type", "d", "viewBox", "role", "dir"];
const TEXT = /^[A-Z][a-z]+[ .:,…!?]|^[A-Z][a-z]+ |[a-z] [a-z]+ [a-z]/;

const textOf = (node) => (node.type === "TemplateLiteral" ? node.quasis.map((each) => each.value.cooked).join("\u0000") : node.value);
const nameOf = (node) => node?.callee?.name ?? node?.callee?.property?.name;

/** Return whether a literal is one that a function or property shows, whatever it looks like. */
function isShown(node) {
  let [child, at] = [node, node.parent];
  while (["ConditionalExpression", "LogicalExpression"].includes(at.type)) [child, at] = [at, at.parent];
  if (at.type === "AssignmentExpression") return ["textContent", "title", "ariaLabel"].includes(at.left.property?.name);
  if (at.type === "Property") return ["aria-label", "title", "alt"].includes(at.key.value ?? at.key.name) && at.value === child;
  const shown = at.type === "CallExpression" ? SHOWING[nameOf(at)] : undefined;
  if (!shown || at.arguments[0].value === "code") return false;
  const index = at.arguments.indexOf(child);
  return index >= shown[0] && index < shown[1];
}

/** Return whether a literal is no text: an attribute, a selector, a class, a pattern or a message for developers. */
function isException(node) {
  for (let [child, at] = [node, node.parent]; at; [child, at] = [at, at.parent]) {
    if (at.type === "CallExpression" && CATALOGUE.includes(nameOf(at)) && at.arguments.includes(child)) return true;
    if (at.type === "Property" && at.key === child) return true;
    if (at.type === "Property" && NOT_SHOWN.includes(at.key.value ?? at.key.name)) return true;
    if (["ThrowStatement", "ImportDeclaration", "BinaryExpression"].includes(at.type)) return true;
    if (/Statement$|Function|^Class|^Program/.test(at.type)) return false;
  }
  return false;
}

export const rule = {
  meta: { type: "problem", schema: [] },
  create: (context) => {
    const check = (node) => {
      const text = textOf(node);
      if (typeof text !== "string" || !/[a-z]{2}/i.test(text) || isException(node)) return;
      if (isShown(node) || TEXT.test(text)) context.report({ node, message: "A text outside of the catalogue: {{text}}", data: { text } });
    };
    const nested = ({ expressions }) => {
      for (const each of expressions) {
        const source = context.sourceCode.getText(each);
        if (/\b(_|ngettext|parts)\(/.test(source)) context.report({ node: each, message: "`make texts` does not find texts within a template literal." });
      }
    };
    return { Literal: check, TemplateLiteral: (node) => (check(node), nested(node)) };
  },
};
