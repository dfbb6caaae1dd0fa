// The page of a connector's administrators: who is logged in, and what is asked of the connector again and again.
// Texts from outside become text nodes, never markup.

import { element } from "./elements.js";
import { sections, loginForm, passwordForm } from "./view.js";

const interval = 3000;
const main = document.getElementById("main");
const alarm = document.getElementById("alarm");
const news = document.getElementById("news");
const refresh = document.getElementById("refresh");
let shown = "";
let code = "";

/** What the page knows: the session, and the last state. Results and open parts outlive a refresh. */
export const page = { session: null, state: null, results: new Map(), filter: "", log: null, audit: null, history: null };

export function say(text) { news.textContent = text; }

/** Roles that may change what is exposed. */
export function mayChange() {
  return ["administrator", "associate-administrator", "subaccount-administrator"].includes(page.session?.role);
}

export function mayRenew() { return ["administrator", "associate-administrator"].includes(page.session?.role); }

export function mayAdminister() { return page.session?.role === "administrator"; }

/** Asks the connector; throws what it says is wrong. */
export async function ask(method, path, body, { isBackground = false } = {}) {
  const headers = {};
  if (page.session) headers["X-CSRF-Token"] = page.session.changeToken;
  if (isBackground) headers["X-Background"] = "1";
  let content = body;
  if (body !== undefined && !(body instanceof FormData)) {
    headers["Content-Type"] = "application/json";
    content = JSON.stringify(body);
  }
  const response = await fetch(path, { method, headers, body: content });
  if (response.status === 401 && path !== "/login") {
    leave();
    throw new Error("The session has ended; log in again.");
  }
  if (response.headers.get("content-type")?.startsWith("application/json")) {
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.message ?? answer.error ?? `the connector answered ${response.status}`);
    return answer;
  }
  if (!response.ok) throw new Error((await response.text()) || `the connector answered ${response.status}`);
  return response.status === 204 ? null : response.blob();
}

function leave() {
  page.session = null;
  page.state = null;
  showWho();
  show(true);
}

async function login(user, password) {
  page.session = await ask("POST", "/login", { user, password });
  showWho();
  // The code is asked for again with the new password; whoever has just typed it need not.
  code = page.session.mustSetPassword ? password : "";
  if (page.session.mustSetPassword) return show(true);
  await load(true);
}

async function setPassword(password) {
  const user = page.session.user;
  await ask("PUT", "/api/v1/configuration/connector/authentication/basic", { oldPassword: code, newPassword: password });
  page.session = null;
  await login(user, password);
}

function showWho() {
  const isIn = page.session && !page.session.mustSetPassword;
  document.getElementById("who").hidden = !isIn;
  document.getElementById("sections").hidden = !isIn;
  document.getElementById("user").textContent = isIn ? `${page.session.user}, ${page.session.title}` : "";
}

/** Draws everything anew where something has changed, and keeps focus, open parts and place. */
export function show(isForced = false) {
  const text = JSON.stringify([page.state, page.session?.user, page.filter, page.log, page.audit, page.history, [...page.results]]);
  if (!isForced && text === shown) return;
  if (!page.session) return main.replaceChildren(loginForm(login));
  if (page.session.mustSetPassword) return code ? main.replaceChildren(passwordForm(setPassword)) : leave();
  if (!page.state) return;
  const fields = [...main.querySelectorAll("input[id], select[id]")];
  // What somebody is about to send is theirs: a file or a password cannot be put back.
  if (!isForced && fields.some((field) => ["file", "password"].includes(field.type) && field.value)) return;
  const typed = new Map(fields.filter((field) => field.type !== "file").map((field) => [field.id, field.value]));
  const focus = document.activeElement?.id;
  const [start, end] = [document.activeElement?.selectionStart, document.activeElement?.selectionEnd];
  const open = new Set([...main.querySelectorAll("details[open]")].map((details) => details.id));
  shown = text;
  main.replaceChildren(...sections());
  for (const [id, value] of typed) {
    const field = document.getElementById(id);
    if (field && value && field.value !== value) field.value = value;
  }
  for (const details of main.querySelectorAll("details")) if (open.has(details.id)) details.open = true;
  if (!focus || document.getElementById("dialog").open) return;
  const target = document.getElementById(focus);
  target?.focus({ preventScroll: true });
  if (target?.matches("input[type=text]")) target.setSelectionRange(start, end);
}

function complain(error) {
  alarm.hidden = !error;
  alarm.textContent = error ? error.message : "";
}

export async function load(isForced = false) {
  try {
    page.state = await ask("GET", "/api/page/state", undefined, { isBackground: !isForced });
    const { state } = page;
    document.getElementById("about").textContent = `Version ${state.version}, running since ${new Date(state.startedAt * 1000).toLocaleString()}`;
    complain(state.lastError.length > 0 ? new Error(`The file as it is now is not in force: ${state.lastError[0]}`) : null);
    show(isForced);
  } catch (error) {
    if (page.session) complain(error.message === "Failed to fetch" ? new Error("The connector does not answer.") : error);
  }
}

/** Has something done that the user asked for, and says what came of it. */
export async function act(what, body) {
  try {
    const result = await body();
    complain(null);
    say(what);
    await load(true);
    return result;
  } catch (error) {
    complain(error);
    say(error.message);
    return undefined;
  }
}

document.getElementById("logout").addEventListener("click", async () => {
  await ask("POST", "/logout").catch(() => null);
  leave();
});

async function begin() {
  try {
    page.session = await ask("GET", "/session");
  } catch {
    page.session = null;
  }
  showWho();
  show(true);
  if (page.session && !page.session.mustSetPassword) await load(true);
  setInterval(() => {
    const isWanted = page.session && !page.session.mustSetPassword && refresh.checked && !document.hidden;
    if (isWanted) load();
  }, interval);
}

document.getElementById("sections").append(
  ...["Status", "Systems", "Refused", "Try", "Requests", "Certificates", "History", "Audit", "Log", "Backup"].map((name) =>
    element("a", { href: `#${name.toLowerCase()}` }, name)),
);
begin();
