// Shows what GET /api/state says, again every few seconds. Texts from outside become text nodes, never markup.

import { element, badge, time, days, table, row } from "./elements.js";

const interval = 3000;
const main = document.getElementById("main");
const alarm = document.getElementById("alarm");
const news = document.getElementById("news");
const refresh = document.getElementById("refresh");
const changeToken = document.querySelector('meta[name="change-token"]').content;
/** Results of "Check Connection", by subaccount and name: they outlive a refresh. */
const results = new Map();
let shown = "";
let state = null;

// Connectors

function availability(text) {
  if (text === "reachable") return badge("reachable", "good");
  return text.startsWith("not reachable") ? badge(text, "bad") : badge(text, "odd");
}

function system(item, connector, subaccount) {
  const isHTTP = item.protocol.startsWith("HTTP");
  const id = `template ${subaccount.id} ${connector.locationID} ${item.host}`;
  const button = element(
    "button",
    { id, onclick: () => makeDestination(item, connector, subaccount), "aria-label": `Create a destination for ${item.host}` },
    "Create destination",
  );
  return row(
    element("span", { class: "long" }, item.host, item.description ? element("div", { class: "quiet" }, item.description) : ""),
    item.protocol, item.type, item.hasResources ? "available" : "none", availability(item.availability),
    isHTTP && item.hasResources ? button : "",
  );
}

function connectorCard(connector, subaccount, now) {
  const isUp = connector.tunnels > 0;
  const facts = [
    ["Location ID", connector.locationID || "none (default)"],
    [isUp ? "Connected since" : "Disconnected since", time(isUp ? connector.connectedSince : connector.disconnectedSince)],
    ["Tunnels", `${connector.tunnels}${connector.remote ? `, from ${connector.remote}` : ""}`],
    ...(connector.services ? [["Tunnels to", Object.entries(connector.services).sort().map(([name, count]) => `${name}: ${count}`).join(", ")]] : []),
    ["Certificate", days(connector.certificateExpires, now)],
    ...(connector.dialect ? [["Dialect", `${connector.dialect}: static, and no Cloud Connector checks paths there`]] : []),
    ...(connector.replicas ?? []).map((replica) => [
      `Instance ${replica.instance}`,
      `${replica.tunnels} tunnels, from ${replica.remote}, configuration ${replica.configuration}${replica.isLeftOut ? ": LEFT OUT, not that of the others" : ""}`,
    ]),
    ["Version", connector.version || "–"],
    ["Description", connector.description || "–"],
  ];
  const systems = connector.systems.map((item) => system(item, connector, subaccount));
  return element(
    "article", { class: "card", "aria-label": `Cloud Connector ${connector.locationID || "without a location ID"}` },
    element("div", { class: "title" }, element("h3", null, "Master Instance"), badge(connector.state, isUp ? "good" : "bad"), connector.silentSeconds === undefined ? "" : badge(`silent for ${connector.silentSeconds} s`, "odd")),
    element("dl", null, facts.map(([name, value]) => element("div", null, element("dt", null, name), element("dd", null, value)))),
    table(
      "Exposed Back-End Systems", ["Host", "Protocol", "Back-End Type", "Resources", "Availability", "Action"], systems,
      "No back-end systems are configured in cloud connector.",
    ),
    connector.omittedSystems ? element("p", null, `and ${connector.omittedSystems} more`) : null,
  );
}

// Destinations

function resultOf(key) {
  const result = results.get(key);
  if (!result || result.isRunning) return "";
  return element(
    "div", { class: `result ${result.isGood ? "good" : "bad"}` },
    element("p", null, element("strong", null, result.isGood ? "✓ " : "✗ "), result.message),
    result.detail ? element("p", { class: "quiet" }, result.detail) : "",
  );
}

function destination(item, subaccount) {
  const key = `check ${subaccount.id} ${item.name}`;
  const button = element(
    "button",
    { id: key, onclick: () => check(item, subaccount, key), "aria-disabled": results.get(key)?.isRunning ? "true" : null,
      "aria-label": `Check connection of ${item.name}` },
    "Check Connection",
  );
  const proxy = item.locationID ? `${item.proxyType} (${item.locationID})` : item.proxyType;
  const name = element("span", { class: "long" }, element("strong", null, item.name), item.description ? element("div", { class: "quiet" }, item.description) : "");
  return row(name, item.type, proxy, item.authentication, element("span", { class: "long" }, item.url, resultOf(key)), button);
}

async function change(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": changeToken },
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({ error: `the service answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

async function check(item, subaccount, key) {
  // Disabled in words only: a button that is disabled for good loses the focus.
  if (results.get(key)?.isRunning) return;
  results.set(key, { isRunning: true });
  show();
  try {
    const result = await change("/api/check", { subaccount: subaccount.id, name: item.name });
    results.set(key, result);
    news.textContent = [result.message, result.detail].filter(Boolean).join(" ");
  } catch (error) {
    results.set(key, { isGood: false, message: "Could not check at the moment. Please try again later", detail: error.message });
    news.textContent = "Could not check at the moment. Please try again later";
  }
  show();
  // A check that was refused is among the refusals.
  await update();
}

async function makeDestination(item, connector, subaccount) {
  try {
    const answer = await change("/api/template", {
      subaccount: subaccount.id, name: "", host: item.host, locationID: connector.locationID,
    });
    news.textContent = `Destination ${answer.properties.Name} created`;
    say("");
    await update();
  } catch (error) {
    say(`No destination was created: ${error.message}`);
  }
}

// SAP Process Orchestration

function systemRow(item, subaccount) {
  const key = `po ${subaccount.id} ${item.name}`;
  const result = results.get(key);
  const button = element(
    "button",
    { id: key, onclick: () => testSystem(item, subaccount, key), "aria-disabled": result?.isRunning ? "true" : null,
      "aria-label": `Test connection of ${item.name}` },
    "Test Connection",
  );
  const lines = (result?.checks ?? []).map((check) => element(
    "p", { class: check.isGood ? "good" : "bad" }, `${check.isGood ? "✓" : "✗"} ${check.status || "no answer"}: ${check.explanation}`,
    element("span", { class: "quiet" }, ` (HEAD ${check.url})`),
  ));
  const problem = item.problem ?? result?.problem;
  const details = element("div", { class: "result" }, lines, problem ? element("p", { class: "bad" }, problem) : "");
  return row(
    element("span", { class: "long" }, element("strong", null, item.name), details), element("span", { class: "long" }, item.directoryURL),
    element("span", { class: "long" }, item.repositoryURL), button,
  );
}

async function testSystem(item, subaccount, key) {
  if (results.get(key)?.isRunning) return;
  results.set(key, { isRunning: true });
  show();
  try {
    const checks = await change("/api/po-systems/test", { subaccount: subaccount.id, ...noSystem, name: item.name });
    results.set(key, { checks });
    news.textContent = checks.map((check) => check.explanation).join("; ");
  } catch (error) {
    results.set(key, { problem: error.message });
    news.textContent = error.message;
  }
  show();
  await update();
}

const noSystem = { name: "", address: "", user: "", password: "", locationID: "" };
const systemFields = [
  ["name", "System name", { required: true, pattern: "[A-Za-z0-9_\\-]+" }],
  ["address", "Address of the Integration Directory (virtual)", { required: true, type: "url", placeholder: "http://pohost:50000" }],
  ["user", "User ID", { required: true, autocomplete: "off" }],
  ["password", "Password", { required: true, type: "password", autocomplete: "new-password" }],
  ["locationID", "Location ID", {}],
  ["repositoryAddress", "Address of the ES Repository, if it is another one", { type: "url" }],
  ["repositoryUser", "Its user ID, if it is another one", { autocomplete: "off" }],
  ["repositoryPassword", "Its password", { type: "password", autocomplete: "new-password" }],
  ["repositoryLocationID", "Its location ID", {}],
];

/** A dialog, so that a refresh of the page leaves alone what is being typed. */
function askForSystem(subaccount) {
  const inputs = systemFields.map(([name, label, attributes]) => {
    const input = element("input", { id: `po-${name}`, name, ...attributes });
    return element("p", null, element("label", { for: `po-${name}` }, label), input);
  });
  const problem = element("p", { class: "bad", role: "alert" });
  const form = element(
    "form", { method: "dialog" }, element("h2", { id: "po-title" }, "Add a PO system"), inputs, problem,
    element(
      "p", { class: "buttons" }, element("button", { type: "submit" }, "Save"),
      element("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
    ),
  );
  const dialog = element("dialog", { "aria-labelledby": "po-title" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wish = { subaccount: subaccount.id, ...Object.fromEntries(new FormData(form)) };
    for (const name of Object.keys(wish)) if (name.startsWith("repository") && !wish[name]) delete wish[name];
    try {
      const names = await change("/api/po-systems/add", wish);
      news.textContent = `Destinations ${names.join(", ")} created`;
      dialog.close();
      await update();
    } catch (error) {
      problem.textContent = error.message;
    }
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    document.getElementById(`po-add ${subaccount.id}`)?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}

// Refusals

function refusal(item) {
  const entry = item.entry;
  const advice = item.advice && element(
    "details", { id: `advice ${entry.subaccount} ${entry.method} ${entry.target} ${entry.cause}` },
    element("summary", null, "What would allow it"),
    element("p", { class: "result" }, item.advice.text), item.advice.lines ? element("pre", { tabindex: 0 }, item.advice.lines) : "",
  );
  const times = entry.count > 1 ? `${entry.count} times, last ${time(entry.time)}` : time(entry.time);
  return row(
    times, element("span", { class: "long" }, `${entry.method} ${entry.target}`, entry.locationID ? element("div", { class: "quiet" }, `location ID ${entry.locationID}`) : ""),
    String(entry.status), element("span", { class: "long" }, `${entry.source}: ${entry.cause}`, advice ?? ""),
  );
}

/** One of the last requests, whatever became of it. */
function request(item) {
  const took = item.milliseconds === undefined ? "in progress" : `${item.milliseconds} ms`;
  const inside = item.backendMilliseconds === undefined ? "" : element("div", { class: "quiet" }, `connect ${item.connectMilliseconds} ms, internal host ${item.backendMilliseconds} ms`);
  return row(
    time(item.time), element("span", { class: "long" }, `${item.method} ${item.target}`, element("div", { class: "quiet" }, item.id)),
    item.status === undefined ? "open" : item.status === 0 ? "cut" : String(item.status),
    element("span", { class: "long" }, item.source ? `${item.source} (${item.decision}, ${item.error}): ${item.cause}` : item.decision), element("span", null, took, inside),
  );
}

// Who may be a connector, and who was sent away

function whose(item) {
  return item.subaccount == null ? "–" : item.subaccount + (item.locationID ? ` (${item.locationID})` : "");
}

function certificateRow(item, now) {
  const state = item.isRevoked ? badge("revoked", "bad") : item.expires < now ? badge("expired", "bad") : badge("valid", "good");
  return row(whose(item), element("span", { class: "long" }, item.serial), days(item.expires, now), state);
}

function refusedConnection(item) {
  const times = item.count > 1 ? `${item.count} times, last ${time(item.time)}` : time(item.time);
  return row(times, item.remote, whose(item), element("span", { class: "long" }, `${item.what}: ${item.cause}`));
}

function enrolmentSection(now) {
  if (!state.certificates) return "";
  return element(
    "section", { "aria-label": "Enrolment" },
    element(
      "div", { class: "card" },
      table(
        "Certificates of Connectors", ["Connector", "Serial Number", "Validity", "State"],
        state.certificates.map((item) => certificateRow(item, now)), "No connector has been enrolled yet.",
      ),
      table(
        "Unused Tokens for Enrolment", ["Connector", "Valid Until"],
        state.tokens.map((item) => row(whose(item), time(item.expires))), "There are none.",
      ),
    ),
  );
}

function serviceRow(item) {
  const stateOf = item.failure ? badge(`does not answer: ${item.failure}`, "bad") : item.isDraining ? badge("stopping", "odd") : badge("up", "good");
  return row(item.name, item.address, item.version, stateOf, `${item.connectors}`, `${item.tunnels}`);
}

// Those that share the store.
function servicesSection() {
  if (!state.name) return "";
  return element(
    "section", { "aria-label": "Services" },
    element(
      "div", { class: "card" },
      table(
        `Services Beside ${state.name}`, ["Name", "Address", "Version", "State", "Connectors", "Tunnels"],
        state.services.map(serviceRow), "There is no other service.",
      ),
    ),
  );
}

function connectionsSection() {
  const full = state.listeners.filter((item) => item.connections >= item.limit);
  const short = state.listeners.filter((item) => item.exhaustions > 0);
  return element(
    "section", { "aria-label": "Refused connections" },
    element(
      "div", { class: "card" },
      full.map((item) => element("p", { class: "bad" }, `${item.name}: ${item.connections} of ${item.limit} connections, who comes now waits`)),
      short.map((item) => element("p", { class: "bad" }, `${item.name}: the service was out of file descriptors (${item.exhaustions} times since its start)`)),
      table(
        "Connections Refused at the Tunnels’ Address", ["When", "From", "Connector", "Reason"],
        state.refusedConnections.map(refusedConnection), "Nobody was refused.",
      ),
    ),
  );
}

// The page

function subaccountSection(subaccount, now) {
  const badFiles = subaccount.findings.map((text) => element("p", { class: "bad" }, text));
  const connectors = subaccount.connectors.map((connector) => connectorCard(connector, subaccount, now));
  const nobody = element(
    "div", { class: "card" }, element("div", { class: "title" }, element("h3", null, "No Cloud Connector"), badge("Not connected", "odd")),
    element("p", { class: "quiet" }, "No Cloud Connector has been here yet. Make a token for one with:"),
    element("pre", { tabindex: 0 }, `connectord enrol create --subaccount ${subaccount.id}`),
  );
  return element(
    "section", { "aria-label": `Subaccount ${subaccount.subdomain}` },
    element("h2", null, `Subaccount: ${subaccount.subdomain} `, element("span", { class: "quiet" }, subaccount.id)),
    connectors.length > 0 ? connectors : nobody,
    element(
      "div", { class: "card" },
      table(
        "Destinations", ["Name", "Type", "Proxy Type", "Authentication", "URL", "Action"],
        subaccount.destinations.map((item) => destination(item, subaccount)), "There are no destinations.",
      ),
      badFiles,
    ),
    element(
      "div", { class: "card" },
      table(
        "SAP Process Orchestration Systems", ["Name", "Integration Directory", "ES Repository", "Action"],
        subaccount.systems.map((item) => systemRow(item, subaccount)), "There are no PO systems.",
      ),
      element("p", null, element("button", { id: `po-add ${subaccount.id}`, onclick: () => askForSystem(subaccount) }, "Add a PO system")),
    ),
  );
}

/** Draws anew what is known, and keeps focus and what was opened. */
function show() {
  const focused = document.activeElement?.id;
  const open = new Set([...document.querySelectorAll("details[open]")].map((node) => node.id));
  const refusals = state.refusals.map(refusal);
  main.replaceChildren(
    ...state.subaccounts.map((subaccount) => subaccountSection(subaccount, state.now)),
    enrolmentSection(state.now),
    servicesSection(),
    connectionsSection(),
    element(
      "section", { "aria-label": "Recent refusals" },
      element("div", { class: "card" }, table("Recent Refusals", ["When", "Request", "Status", "Reason"], refusals, "Nothing was refused.")),
    ),
    element(
      "section", { "aria-label": "Recent requests" },
      element("div", { class: "card" }, table("Recent Requests", ["When", "Request and ID", "Status", "Decision", "Time"], state.requests.map(request), "No request has been here yet.")),
    ),
  );
  for (const node of document.querySelectorAll("details")) node.open = open.has(node.id);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function say(text) {
  alarm.textContent = text;
  alarm.hidden = text === "";
}

async function update() {
  try {
    const response = await fetch("/api/state", { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`the service answered ${response.status}`);
    const text = await response.text();
    const next = JSON.parse(text);
    document.getElementById("about").textContent = `connectord ${next.version}, proxy on ${next.proxy}`;
    if (!alarm.hidden && alarm.dataset.lost) say("");
    delete alarm.dataset.lost;
    // The time alone is no reason to draw anew.
    const listeners = next.listeners.map((item) => ({ ...item, connections: item.connections >= item.limit }));
    const content = JSON.stringify({ ...next, listeners, now: Math.floor(next.now / 3600) });
    if (content === shown) return;
    const states = (from) => from?.subaccounts.flatMap((one) => one.connectors.map((item) => `${item.locationID} ${item.state}`)).join() ?? "";
    if (state && states(state) !== states(next)) news.textContent = "The state of a Cloud Connector has changed";
    shown = content;
    state = next;
    show();
  } catch (error) {
    say(`The cloud side does not answer: ${error.message}`);
    alarm.dataset.lost = "yes";
  }
}

async function keepUpdating() {
  for (;;) {
    if (refresh.checked && !document.hidden) await update();
    await new Promise((resolve) => setTimeout(resolve, interval));
  }
}

refresh.addEventListener("change", () => refresh.checked && update());
document.addEventListener("visibilitychange", () => !document.hidden && refresh.checked && update());
keepUpdating();
