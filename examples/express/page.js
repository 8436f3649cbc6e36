// The only page, as text. A template engine takes the place of this.

const escape = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

const ENTER = '<form method="post" action="/enter"><label>Your name <input name="name" required maxlength="40"></label> <button>Enter</button></form>';
const ASK = '<form method="post" action="/ask"><button>Let the club see when I am reachable</button></form>';
const MEMBERS = `<h2>Members</h2>
<ul id="members"></ul>
<template id="member"><li><b></b> <span></span> <form method="post" action="/greet"><input type="hidden" name="name"><button>Say hello</button></form></li></template>
<script src="/club.js"></script>`;

/** Return the page for a member, or the form to enter for a visitor. */
export function page({ name, joined, service, message }) {
  const seen = `<p>The club sees when you're online. You can end that on <a href="${escape(service)}/sidebar">My presence</a>.</p>`;
  const member = () => `<form method="post" action="/leave"><p>You are ${escape(name)}. <button>Leave</button></p></form>
${joined ? seen : ASK}
${MEMBERS}`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Chess club</title>
<link rel="stylesheet" href="/club.css">
<h1>Chess club</h1>
${message ? `<p class="message">${escape(message)}</p>` : ""}
${name === undefined ? ENTER : member()}
`;
}
