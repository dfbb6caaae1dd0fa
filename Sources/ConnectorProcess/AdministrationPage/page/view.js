// What the page shows: each section from the last state.

import { element, badge, time, days as daysFrom, table, row } from "./elements.js";
import { page, show, load, act, ask, mayChange, mayAdminister, mayRenew, say } from "./page.js";
import { systemDialog, resourceDialog, confirmDialog, proposalDialog, differenceOf, subaccountDialog, learnDialog, learntDialog } from "./change.js";

function ago(seconds) {
  const past = Math.max(0, page.state.now - seconds);
  if (past < 90) return `${past} s ago`;
  if (past < 5400) return `${Math.round(past / 60)} min ago`;
  return past < 130000 ? `${Math.round(past / 3600)} h ago` : `${Math.round(past / 86400)} days ago`;
}

function days(seconds) { return daysFrom(seconds, page.state.now); }

function section(id, title, ...children) {
  return element("section", { id, "aria-labelledby": `${id}-title` }, element("h2", { id: `${id}-title` }, title), ...children);
}

function button(id, text, label, onclick, kind) {
  return element("button", { id, type: "button", class: kind, "aria-label": label, onclick }, text);
}

function findings(list) {
  return list.length === 0 ? "" : element("ul", { class: "findings" }, list.map((text) => element("li", null, text)));
}

// Login

function form(title, fields, action, note) {
  const problem = element("p", { class: "bad", role: "alert" });
  const node = element("form", {
    class: "card login",
    onsubmit: async (event) => {
      event.preventDefault();
      problem.textContent = "";
      try {
        await action(...fields.map(([id]) => node.querySelector(`#${id}`).value));
      } catch (error) {
        problem.textContent = error.message;
        node.querySelector("input:not([autocomplete=username])").select();
      }
    },
  },
    element("h2", null, title), element("p", { class: "quiet" }, note),
    fields.map(([id, label, type, autocomplete, value]) => element("div", { class: "field" },
      element("label", { for: id }, label), element("input", { id, type, autocomplete, value, required: true }))),
    problem, element("div", { class: "buttons" }, element("button", { class: "main" }, "Continue")));
  return node;
}

export function loginForm(login) {
  return form("Log in", [["login-user", "User", "text", "username", "Administrator"], ["login-password", "Password or one-time code", "password", "current-password"]], login,
    "The first time, or with a forgotten password: connectord admin password, on the connector's machine, prints a one-time code.");
}

export function passwordForm(set) {
  const fields = [["new-password", "New password", "password", "new-password"], ["repeated", "New password again", "password", "new-password"]];
  return form("Set a password", fields, (password, repeated) => {
    if (password !== repeated) throw new Error("The two are not the same.");
    return set(password);
  }, "At least 12 characters. The one-time code is used up with it.");
}

// Status

function headline(connector) {
  const { status } = connector;
  const name = `subaccount ${status.subaccount}${status.locationID ? `, location ${status.locationID}` : ""}`;
  if (!connector.isActive) return `Disconnected on purpose: ${name}.`;
  if (status.tunnels.length > 0) {
    const since = Math.min(...status.tunnels.map((tunnel) => tunnel.connectedSince));
    return `Connected to ${status.service} as ${name}: ${status.tunnels.length} tunnel${status.tunnels.length === 1 ? "" : "s"}, since ${time(since)}.`;
  }
  const cause = Object.entries(status.failures).map(([address, text]) => `${address}: ${text}`)[0];
  return `Not connected to ${status.service} as ${name}${cause ? `: ${cause}` : ""}.`;
}

function connectorCard(connector) {
  const { status } = connector;
  const isUp = status.tunnels.length > 0;
  const rows = status.tunnels.map((tunnel) => row(tunnel.service, time(tunnel.connectedSince), String(tunnel.streams),
    tunnel.roundTripMilliseconds == null ? "–" : `${tunnel.roundTripMilliseconds.toFixed(1)} ms`,
    tunnel.silentSeconds ? badge(`silent for ${tunnel.silentSeconds} s`, "odd") : badge("healthy", "good")));
  const facts = [["File", status.file], ["Certificate", days(status.certificateExpires)], ["Renewal", connector.renews ? "by itself, at two thirds of its life" : "by hand"],
    ["Certificates of internal hosts", connector.trustsAll ? element("span", { class: "bad" }, "all are accepted") : "those in the trust store"]];
  const change = connector.isActive ? "Disconnect" : "Connect";
  const toggle = () => act(`${change}ed`, () => ask("PUT", `${connector.path}/state`, { connected: !connector.isActive }));
  return element("article", { class: "card", "aria-label": headline(connector) },
    element("div", { class: "title" }, element("h3", null, connector.displayName), badge(connector.isActive ? status.state : "Disconnected", isUp ? "good" : connector.isActive ? "bad" : "odd"),
      isUp && mayRenew() ? button(`renew ${status.file}`, "Renew certificate", `Renew the certificate of ${connector.displayName}`, () => act("renewed", () => ask("POST", "/api/page/renew", { file: status.file }))) : "",
      mayChange() ? button(`state ${status.file}`, change, `${change} ${connector.displayName}`, () => (connector.isActive ? confirmDialog(`Disconnect ${connector.displayName}?`, "Nothing inside is reachable from then on.", change, toggle) : toggle())) : ""),
    element("p", { class: isUp ? "" : "bad" }, headline(connector)),
    element("dl", null, facts.map(([name, value]) => element("div", null, element("dt", null, name), element("dd", null, value)))),
    table("Tunnels", ["Service", "Since", "Requests now", "Round trip", "Health"], rows, "There is no tunnel."), findings(connector.findings));
}

// Systems

async function check(system, key) {
  page.results.set(key, { isRunning: true });
  show();
  try {
    const steps = await ask("POST", "/api/page/check", { virtualHost: system.address });
    page.results.set(key, { steps });
    const bad = steps.find((step) => !step.isGood);
    say(bad ? `${system.address}: ${bad.name}: ${bad.text}` : `${system.address} is reachable`);
  } catch (error) {
    page.results.set(key, { steps: [{ name: "check", isGood: false, milliseconds: 0, text: error.message }] });
  }
  load(true);
}

function steps(key) {
  const result = page.results.get(key);
  if (!result) return "";
  if (result.isRunning) return element("p", { class: "quiet" }, "Looking…");
  return table("Steps of the check", ["Step", "Result", "Time"], result.steps.map((step) => row(step.name,
    element("span", { class: step.isGood ? "good" : "bad" }, `${step.isGood ? "✓" : "✗"} ${step.text}`), `${step.milliseconds.toFixed(1)} ms`)), "");
}

function availability(system) {
  const found = system.availability;
  if (!found || found.state === "unchecked") return badge("unchecked", "odd");
  return badge(found.state, found.state === "reachable" ? "good" : "bad");
}

function resourceRow(resource, system, connector) {
  const { document: own } = resource;
  const path = `${connector.path}/systemMappings/${encodeURIComponent(system.address)}/resources/${encodeID(own.id)}`;
  const change = (what, body) => act(what, () => ask("PUT", path, { ...bodyOf(own), ...body }));
  const label = `${own.id} of ${system.address}`;
  return row(element("span", { class: "long" }, own.id, own.description ? element("div", { class: "quiet" }, own.description) : "", findings(resource.findings)),
    own.exactMatchOnly ? "path only" : "path and all sub-paths", badge(own.enabled ? "active" : "suspended", own.enabled ? "good" : "odd"),
    resource.calls > 0 ? `${resource.calls}, ${ago(resource.lastUse)}` : element("span", { class: "quiet" }, "never"),
    mayChange() ? element("span", { class: "buttons" },
      button(`edit ${label}`, "Edit", `Edit ${label}`, () => resourceDialog(connector, system, own)),
      button(`suspend ${label}`, own.enabled ? "Suspend" : "Activate", `${own.enabled ? "Suspend" : "Activate"} ${label}`, () => change(own.enabled ? "suspended" : "activated", { enabled: !own.enabled })),
      button(`remove ${label}`, "Remove", `Remove ${label}`, () => confirmDialog(`Remove ${label}?`, "Requests to it are refused from then on.", "Remove", () => act("removed", () => ask("DELETE", path))))) : "");
}

function bodyOf(own) {
  const body = { enabled: own.enabled, exactMatchOnly: own.exactMatchOnly, websocketUpgradeAllowed: own.websocketUpgradeAllowed };
  return own.description == null ? body : { ...body, description: own.description };
}

export function encodeID(id) { return encodeURIComponent(id.replaceAll("+", "+2B").replaceAll("-", "+2D").replaceAll("/", "-")).replaceAll("%2B", "+"); }

function systemCard(system, connector) {
  const own = system.document;
  const key = `check ${connector.status.file} ${system.address}`;
  const isHTTP = own.protocol.startsWith("HTTP");
  const path = `${connector.path}/systemMappings/${encodeURIComponent(system.address)}`;
  const cause = system.availability?.cause;
  return element("article", { class: "card", "aria-label": `System ${system.address}` },
    element("div", { class: "title" }, element("h3", null, system.address), element("span", { class: "quiet" }, `→ ${own.localHost}:${own.localPort}, ${own.protocol}, ${own.backendType}`), availability(system),
      system.access ? badge(`LEARNS: everything passes, ${system.access}`, "bad") : isHTTP && own.enabledResourcesCount === 0 ? badge("nothing exposed", "odd") : "",
      button(key, "Check", `Check availability of ${system.address}`, () => check(system, key)),
      isHTTP && mayChange() ? button(`learn ${key}`, system.access ? "Stop learning" : "Learn…", `${system.access ? "Stop learning" : "Learn"} what ${system.address} needs`, () => (system.access ? act("learns no more", () => ask("POST", "/api/page/learn", { virtualHost: system.address, hours: 0 })) : learnDialog(system))) : "",
      isHTTP && mayChange() ? button(`propose ${key}`, "Propose resources", `Propose resources for ${system.address}`, () => learntDialog(system)) : "",
      mayChange() ? button(`edit ${key}`, "Edit", `Edit ${system.address}`, () => systemDialog(connector, system)) : "",
      mayChange() ? button(`remove ${key}`, "Remove", `Remove ${system.address}`, () => confirmDialog(`Remove ${system.address}?`, "With its resources; History can bring it back.", "Remove", () => act("removed", () => ask("DELETE", path)))) : ""),
    own.description ? element("p", { class: "quiet" }, own.description) : "", cause ? element("p", { class: "bad" }, cause) : "", findings(system.findings), steps(key),
    element("p", { class: "quiet" }, `${system.requests} requests since the start, ${system.refused} refused or failed, ${system.connections} connections`),
    isHTTP ? table(`Resources of ${system.address}`, ["URL path", "Access policy", "Status", "Used", "Change"], system.resources.map((resource) => resourceRow(resource, system, connector)), system.access ? "No resource of its own; everything passes while it learns." : "No resource: every request is refused.") : "",
    isHTTP && mayChange() ? button(`add ${key}`, "Add resource", `Add a resource to ${system.address}`, () => resourceDialog(connector, system)) : "");
}

// Requests

function refused() {
  const list = page.state.requests.filter((item) => item.source);
  const rows = list.slice(0, 50).map((item) => {
    const canAllow = item.source === "policy" && ["system", "resource"].includes(item.decision) && mayChange() && item.target.startsWith("http://");
    return row(ago(item.time), `${item.method} ${item.target}`, String(item.status ?? "–"), `${item.source}, ${item.decision}`, item.cause ?? "",
      canAllow ? button(`allow ${item.id}`, "Allow…", `Show what would allow ${item.target}`, () => proposalDialog(item)) : "");
  });
  return section("refused", "Refused or failed", table("The latest first", ["When", "Request", "Status", "Who and where", "Why", "Change"], rows, "Nothing was refused since the start."));
}

function requests() {
  const filter = page.filter.toLowerCase();
  const list = page.state.requests.filter((item) => JSON.stringify(item).toLowerCase().includes(filter));
  const rows = list.map((item) => row(ago(item.time), `${item.method} ${item.target}`, item.status === 0 ? "broken off" : String(item.status ?? "running"), item.decision,
    item.milliseconds == null ? "–" : `${item.milliseconds.toFixed(1)} ms (connect ${(item.connectMilliseconds ?? 0).toFixed(1)}, back end ${(item.backendMilliseconds ?? 0).toFixed(1)})`, `${item.requestBytes} / ${item.responseBytes}`));
  const input = element("input", { id: "filter", type: "text", value: page.filter, oninput: (event) => { page.filter = event.target.value; show(); } });
  return section("requests", "Recent requests", element("div", { class: "field" }, element("label", { for: "filter" }, "Filter"), input),
    table("The latest first", ["When", "Request", "Status", "Decision", "Took", "Bytes in / out"], rows, "No requests."));
}

function trial() {
  const result = page.results.get("explain");
  const explain = async (event) => {
    event.preventDefault();
    const [method, url] = [event.target.method.value, event.target.url.value];
    try {
      page.results.set("explain", { method, url, ...(await ask("POST", "/api/page/explain", { method, url })) });
    } catch (error) {
      page.results.set("explain", { method, url, isAllowed: false, lines: [error.message] });
    }
    say(page.results.get("explain").lines.join(". "));
    show();
  };
  return section("try", "Try it", element("form", { class: "card", onsubmit: explain },
    element("div", { class: "fields" },
      element("div", { class: "field" }, element("label", { for: "try-method" }, "Method"), element("select", { id: "try-method", name: "method" }, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map((name) => element("option", { selected: name === result?.method }, name)))),
      element("div", { class: "field" }, element("label", { for: "try-url" }, "URL, as a program in the cloud writes it"), element("input", { id: "try-url", name: "url", type: "text", required: true, value: result?.url ?? "", placeholder: "http://virtual-host:port/path" }))),
    element("div", { class: "buttons" }, element("button", null, "Explain")),
    result ? element("div", { class: "result" }, badge(result.isAllowed ? "allowed" : "refused", result.isAllowed ? "good" : "bad"), element("pre", null, result.lines.join("\n"))) : ""));
}

// What is looked at now and then

function certificates() {
  const { expired, expiring, ok } = page.state.certificates;
  const rows = [...expired, ...expiring, ...ok].map((item) => row(item.type === "UI" ? "this page" : `subaccount ${item.subaccountName}`, item.subjectDN ?? "–", item.issuerDN ?? "–", days(item.validTo / 1000)));
  return section("certificates", "Certificates", table("The connector's own", ["Of", "Subject", "Issuer", "Valid"], rows, "None."));
}

function later(id, title, path, draw) {
  const data = page[id];
  const fetchNow = async () => { page[id] = await ask("GET", path).catch((error) => ({ error: error.message })); show(); };
  const content = !data ? "" : data.error ? element("p", { class: "bad" }, data.error) : draw(data);
  return section(id, title, element("div", { class: "buttons" }, button(`show ${id}`, data ? "Read again" : "Show", `${title}: read`, fetchNow)), content);
}

function history() {
  return later("history", "History", "/api/page/history", (list) => (list.length === 0 ? element("p", { class: "quiet" }, "Nothing was changed by command, page or API yet.") : list.map((version) =>
    element("details", { id: `version ${version.file} ${version.name}` }, element("summary", null, `${version.file}, before the change of ${version.name.split(".").pop()}`), differenceOf(version.difference),
      mayAdminister() ? button(`restore ${version.name}`, "Set the file back to this", `Set ${version.file} back to ${version.name}`, () => confirmDialog("Set the file back?", "What it says now becomes the latest of the earlier versions.", "Set back", async () => {
        await act("set back", () => ask("POST", "/api/page/history/restore", { file: version.file, name: version.name }));
        page.history = await ask("GET", "/api/page/history");
        show();
      })) : ""))));
}

function audit() {
  const verify = async () => {
    const result = await ask("POST", "/api/page/audit/verify").catch((error) => ({ isWhole: false, text: error.message, findings: [] }));
    page.results.set("audit", result);
    say(result.isWhole ? `whole: ${result.text}` : `not whole: ${result.text}`);
    show();
  };
  const result = page.results.get("audit");
  return later("audit", "Audit log", "/api/page/audit", (data) => [element("p", { class: "quiet" }, data.summary),
    element("div", { class: "buttons" }, button("verify", "Verify the chain", "Verify the chain", verify), result ? badge(result.isWhole ? `whole: ${result.text}` : `NOT WHOLE: ${result.text}`, result.isWhole ? "good" : "bad") : ""),
    result ? findings(result.findings) : "",
    table("The latest first", ["When", "What", "Text"], data.records.map((record) => row(record.time, record.type, record.text)), "Nothing is recorded.")]);
}

function log() {
  const level = element("select", { id: "log-level", "aria-label": "Log level", onchange: (event) => act(`log level ${event.target.value}`, () => ask("PATCH", "/api/v1/configuration/connector/logAndTrace", { sccLogLevel: event.target.value })) },
    element("option", { value: "", disabled: true, selected: true }, "Change the level…"), ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].map((name) => element("option", null, name)));
  return later("log", "Log", "/api/page/log", (entries) => [["administrator", "support"].includes(page.session.role) ? element("div", { class: "field" }, level) : "",
    table("The latest first", ["When", "Level", "Text"], entries.map((entry) => row(entry.time, badge(entry.level, entry.level === "error" || entry.level === "critical" ? "bad" : entry.level === "warning" ? "odd" : "good"), entry.text)), "Nothing yet.")]);
}

function backup() {
  if (!mayAdminister()) return "";
  const problem = element("p", { class: "bad", role: "alert" });
  const make = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      const blob = await ask("POST", "/api/v1/configuration/backup", { password: event.target.password.value });
      const link = element("a", { href: URL.createObjectURL(blob), download: "connector-backup.zip" });
      link.click();
      URL.revokeObjectURL(link.href);
      say("The backup was made.");
    } catch (error) { problem.textContent = error.message; }
  };
  const restore = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    confirmDialog("Restore from this backup?", "All files of the connector become what they were in it.", "Restore", () => act("restored", () => ask("PUT", "/api/v1/configuration/backup", form)));
  };
  const field = (id, label, type) => element("div", { class: "field" }, element("label", { for: id }, label), element("input", { id, name: id.split("-").pop(), type, required: true, autocomplete: "off" }));
  return section("backup", "Backup and restore", element("div", { class: "fields" },
    element("form", { class: "card", onsubmit: make }, element("h3", null, "Backup"), field("backup-password", "A password for the secrets in it", "password"), problem, element("div", { class: "buttons" }, element("button", null, "Make a backup"))),
    element("form", { class: "card", onsubmit: restore }, element("h3", null, "Restore"), field("restore-backup", "Backup", "file"), field("restore-password", "Its password", "password"), element("div", { class: "buttons" }, element("button", null, "Restore…")))));
}

export function sections() {
  const { connectors } = page.state;
  const systems = connectors.flatMap((connector) => [
    connectors.length > 1 ? element("h3", null, connector.displayName) : "",
    ...connector.systems.map((system) => systemCard(system, connector)),
    connector.systems.length === 0 ? element("p", { class: "quiet" }, "Nothing is exposed yet.") : "",
    connector.omitted > 0 ? element("p", null, `and ${connector.omitted} more, which connectord system list shows`) : "",
    mayChange() ? button(`add system ${connector.status.file}`, "Add system mapping", `Add a system mapping to ${connector.displayName}`, () => systemDialog(connector), "main") : "",
  ]);
  return [
    section("status", "Status", connectors.length === 0 ? element("article", { class: "card" }, element("h3", null, "Not set up yet"),
      element("p", null, "Add a subaccount: whoever runs the connectivity service gives you a one-time token, which connectord enrol create prints there.")) : "", connectors.map(connectorCard), mayChange() ? button("add subaccount", "Add subaccount", "Add a subaccount", () => subaccountDialog()) : ""),
    section("systems", "Systems", systems),
    refused(), trial(), requests(), certificates(), history(), audit(), log(), backup(),
  ];
}
