// Changes: each is shown as the difference of the file before it is made, with what check-config says of it as one types.

import { page, ask, act, load, say } from "./page.js";
import { element } from "./elements.js";
import { encodeID } from "./view.js";

const dialog = document.getElementById("dialog");

function open(...children) {
  dialog.replaceChildren(...children);
  dialog.showModal();
}

export function differenceOf(lines) {
  return element("pre", { "aria-label": "Difference" }, lines.map((line) =>
    element("span", { class: line.startsWith("+") ? "came" : line.startsWith("-") ? "went" : null }, `${line}\n`)));
}

export function confirmDialog(title, text, action, body) {
  open(element("h2", null, title), element("p", null, text), element("div", { class: "buttons" },
    element("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
    element("button", { type: "button", class: "main", onclick: () => { dialog.close(); body(); } }, action)));
}

/** Requests of the last hours that would be answered otherwise. */
function rehearsed(requests) {
  if (!requests || requests.changes.length === 0) return [];
  const lines = requests.changes.slice(0, 8).map((change) => element("li", null, `${change.method} ${change.path} (${change.count}): ${change.before} → ${change.after}`));
  return [element("p", { class: "odd" }, `Of the last 24 hours, requests to ${requests.changes.length + requests.omitted === 1 ? "one path" : `${requests.changes.length + requests.omitted} paths`} would be answered otherwise:`), element("ul", { class: "findings" }, lines)];
}

export function learnDialog(system) {
  const hours = element("select", { id: "hours" }, [1, 4, 8, 24].map((count) => element("option", { value: String(count) }, `${count} hour${count === 1 ? "" : "s"}`)));
  open(element("h2", null, `Learn what ${system.address} needs`),
    element("p", { class: "bad" }, "Until then everything below this host passes. It is recorded, in the audit log as well, and ends by itself."),
    element("div", { class: "field" }, element("label", { for: "hours" }, "For"), hours),
    element("div", { class: "buttons" }, element("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      element("button", { type: "button", class: "main", onclick: () => { dialog.close(); act("learns", () => ask("POST", "/api/page/learn", { virtualHost: system.address, hours: Number(hours.value) })); } }, "Learn")));
}

/** What was asked for as resources, to be accepted whole or by line. */
export async function learntDialog(system) {
  const list = await act("read", () => ask("POST", "/api/page/proposals", { virtualHost: system.address }));
  if (!list) return;
  const boxes = list.map((one, index) => element("input", { id: `proposal-${index}`, type: "checkbox", checked: true }));
  const problem = element("p", { class: "bad", role: "alert" });
  const accept = async () => {
    const resources = list.filter((_, index) => boxes[index].checked).map(({ path, access }) => ({ path, access }));
    try {
      await ask("POST", "/api/page/accept", { virtualHost: system.address, resources });
      dialog.close();
      say("accepted");
      await load(true);
    } catch (error) { problem.textContent = error.message; }
  };
  open(element("h2", null, `What ${system.address} was asked for`),
    element("p", { class: "quiet" }, "In the last 24 hours, without what its resources admit already. Accepting ends the learning."),
    list.length === 0 ? element("p", null, "Nothing.") : element("ul", null, list.map((one, index) => element("li", null, element("label", { for: `proposal-${index}` }, boxes[index], ` ${one.path}, ${one.access === "path-only" ? "path only" : "path and all sub-paths"} `), element("span", { class: "quiet" }, `${one.reason}, ${one.count} requests${one.examples.length > 0 ? `, such as ${one.examples.join(", ")}` : ""}`)))),
    problem, element("div", { class: "buttons" }, element("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      list.length > 0 ? element("button", { type: "button", class: "main", onclick: accept }, "Accept") : ""));
}

/** A form whose change is rehearsed while one types. `call` gives method, path and body for the form's values. */
function changeForm(title, fields, action, call) {
  const outcome = element("div", { class: "result", "aria-live": "polite" });
  const inputs = new Map();
  const nodes = fields.map((field) => {
    const id = `field-${field.name}`;
    const input = field.options
      ? element("select", { id, name: field.name }, field.options.map(([value, text]) => element("option", { value, selected: value === field.value }, text)))
      : field.rows ? element("textarea", { id, name: field.name, rows: field.rows, placeholder: field.hint }, field.value ?? "")
        : element("input", { id, name: field.name, type: field.type ?? "text", value: field.type === "checkbox" ? null : field.value, checked: field.type === "checkbox" && field.value, placeholder: field.hint, readonly: field.isFixed, autocomplete: "off" });
    const finding = element("p", { class: "finding", id: `${id}-finding` });
    input.setAttribute("aria-describedby", finding.id);
    inputs.set(field.name, { input, finding, keys: field.keys ?? [] });
    return element("div", { class: "field" }, element("label", { for: id }, field.label), input, finding);
  });
  const values = () => Object.fromEntries([...inputs].map(([name, { input }]) => [name, input.type === "checkbox" ? input.checked : input.value]));
  const mark = (message) => {
    let isPlaced = !message;
    for (const { input, finding, keys } of inputs.values()) {
      const isMeant = !isPlaced && keys.some((key) => message.includes(key));
      finding.textContent = isMeant ? message : "";
      input.setAttribute("aria-invalid", isMeant);
      if (isMeant) isPlaced = true;
    }
    outcome.replaceChildren(isPlaced ? "" : element("p", { class: "bad" }, message));
  };
  let turn = 0;
  const rehearse = async () => {
    const own = ++turn;
    const { method, path, body } = call(values());
    if (!path) return;
    try {
      const result = await ask(method, `${path}?dry-run=true`, body);
      if (own !== turn) return;
      mark("");
      outcome.replaceChildren(...result.warnings.map((text) => element("p", { class: "odd" }, text)), ...rehearsed(result.requests), result.difference.length > 0 ? differenceOf(result.difference) : element("p", { class: "quiet" }, "Nothing changes."));
    } catch (error) {
      if (own === turn) mark(error.message);
    }
  };
  let timer = 0;
  const form = element("form", {
    oninput: () => { clearTimeout(timer); timer = setTimeout(rehearse, 250); },
    onsubmit: async (event) => {
      event.preventDefault();
      const { method, path, body } = call(values());
      try {
        await ask(method, path, body);
        dialog.close();
        say("saved");
        await load(true);
      } catch (error) { mark(error.message); }
    },
  }, element("h2", null, title), element("div", { class: "fields" }, nodes), outcome, element("div", { class: "buttons" },
    element("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), element("button", { class: "main" }, action)));
  open(form);
  form.querySelector("input:not([readonly]), select")?.focus();
  if (fields.some((field) => field.value)) rehearse();
}

const protocols = ["HTTP", "HTTPS", "TCP", "TCPS"].map((name) => [name, name]);
const modes = [["NONE", "Off"], ["NONE_RESTRICTED", "Off, and no logon by the system certificate"], ["X509_RESTRICTED", "X.509 certificate (recommended)"], ["X509_GENERAL", "X.509 certificate, or logon by the system certificate"], ["KERBEROS", "Kerberos ticket"]];
const types = [["nonSAPsys", "Non-SAP System"], ["abapSys", "ABAP System"], ["hana", "SAP HANA"], ["netweaverCE", "SAP NetWeaver CE"], ["netweaverGW", "SAP Gateway"], ["applServerJava", "SAP Application Server Java"], ["PI", "SAP Process Integration"], ["BC", "SAP Business Connector"], ["otherSAPsys", "Other SAP System"]];

export function systemDialog(connector, system, given = {}) {
  const own = system?.document ?? given;
  const fields = [
    { name: "localHost", label: "Internal host", value: own.localHost, keys: ["internal-host", "localHost"], hint: "erp.example.internal" },
    { name: "localPort", label: "Internal port", value: own.localPort, keys: ["localPort"], hint: "8443" },
    { name: "virtualHost", label: "Virtual host, by which programs call it", value: own.virtualHost, keys: ["virtual-host", "virtualHost"], hint: "erp", isFixed: Boolean(system) },
    { name: "virtualPort", label: "Virtual port", value: own.virtualPort, keys: ["virtualPort"], hint: "443", isFixed: Boolean(system) },
    { name: "protocol", label: "Protocol", value: own.protocol ?? "HTTPS", options: protocols, keys: ["protocol"] },
    { name: "backendType", label: "Back-end type", value: own.backendType ?? "nonSAPsys", options: types, keys: ["back-end-type"] },
    { name: "hostInHeader", label: "Host in request header", value: own.hostInHeader ?? "VIRTUAL", options: [["VIRTUAL", "Use virtual host"], ["INTERNAL", "Use internal host"]], keys: ["host-in-header"] },
    { name: "authenticationMode", label: "Principal propagation", value: own.authenticationMode ?? "NONE", options: modes, keys: ["authentication-mode"] },
    { name: "description", label: "Description", value: own.description ?? "", keys: ["description"] },
  ];
  const base = `${connector.path}/systemMappings`;
  changeForm(system ? `Edit ${system.address}` : "Add a system mapping", fields, system ? "Save" : "Add", (values) => {
    const body = { ...values };
    if (!values.description && own.description == null) delete body.description;
    const isReady = values.localHost && values.localPort && values.virtualHost && values.virtualPort;
    return { method: system ? "PUT" : "POST", path: isReady ? (system ? `${base}/${encodeURIComponent(system.address)}` : base) : null, body };
  });
}

export function resourceDialog(connector, system, own, given = {}) {
  const start = own ?? { id: "", enabled: true, exactMatchOnly: true, websocketUpgradeAllowed: false, ...given };
  const fields = [
    { name: "id", label: "URL path", value: start.id, keys: [".path", "id ", "starts with", "exists already"], hint: "/sap/opu/odata/", isFixed: Boolean(own) },
    { name: "exactMatchOnly", label: "Access policy", value: start.exactMatchOnly ? "true" : "false", options: [["true", "Path only (sub-paths are excluded)"], ["false", "Path and all sub-paths"]], keys: ["access"] },
    { name: "enabled", label: "Active", type: "checkbox", value: start.enabled },
    { name: "websocketUpgradeAllowed", label: "WebSocket upgrade allowed", type: "checkbox", value: start.websocketUpgradeAllowed },
    { name: "description", label: "Description", value: start.description ?? "" },
  ];
  const base = `${connector.path}/systemMappings/${encodeURIComponent(system.address)}/resources`;
  changeForm(own ? `Edit ${own.id} of ${system.address}` : `Add a resource to ${system.address}`, fields, own ? "Save" : "Add", (values) => {
    const body = { ...values };
    if (!values.description && start.description == null) delete body.description;
    if (own) delete body.id;
    return { method: own ? "PUT" : "POST", path: values.id ? (own ? `${base}/${encodeID(own.id)}` : base) : null, body };
  });
}

/** From a refusal to the rules that would allow it, the narrowest first. */
export function proposalDialog(item) {
  const url = new URL(item.target);
  const address = `${url.hostname}:${url.port || 80}`;
  const path = decodeURI(url.pathname);
  const connector = page.state.connectors.find((one) => one.status.subaccount === item.subaccount && one.status.locationID === item.locationID) ?? page.state.connectors[0];
  const system = connector.systems.find((one) => one.address.toLowerCase() === address.toLowerCase());
  if (!system) return systemDialog(connector, null, { virtualHost: url.hostname, virtualPort: url.port || "80", protocol: "HTTP" });
  const suspended = system.resources.find((one) => !one.document.enabled && (one.document.id === path || (!one.document.exactMatchOnly && path.startsWith(one.document.id))));
  const parts = path.split("/").filter(Boolean);
  const wider = parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}/`).reverse().filter((prefix) => prefix !== path || !path.endsWith("/")).slice(path.endsWith("/") ? 0 : 1);
  const choices = [
    suspended ? [`Activate ${suspended.document.id}, which is suspended`, () => resourceDialog(connector, system, { ...suspended.document, enabled: true })] : null,
    [`${path}, path only`, () => resourceDialog(connector, system, null, { id: path, exactMatchOnly: true })],
    ...wider.slice(0, 3).map((prefix) => [`${prefix} and all sub-paths`, () => resourceDialog(connector, system, null, { id: prefix, exactMatchOnly: false })]),
  ].filter(Boolean);
  open(element("h2", null, `What would allow ${item.method} ${path}`), element("p", { class: "quiet" }, `The narrowest first. Each is shown as a change of the file before it is made. ${item.cause ?? ""}`),
    element("div", { class: "field" }, choices.map(([text, body]) => element("p", null, element("button", { type: "button", onclick: () => { dialog.close(); body(); } }, text)))),
    element("div", { class: "buttons" }, element("button", { type: "button", onclick: () => dialog.close() }, "Cancel")));
}

function tokenFacts(text) {
  try {
    const base64 = text.trim().replace(/^cce1_/, "").replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(base64));
  } catch { return null; }
}

export function subaccountDialog() {
  const facts = element("div", { class: "result", "aria-live": "polite" });
  const token = element("textarea", { id: "token", rows: 4, required: true, oninput: () => {
    const found = tokenFacts(token.value);
    facts.replaceChildren(found ? element("dl", null, [["Service", found.service], ["Subaccount", found.subaccount], ["Location ID", found.locationID || "none (default)"], ["Valid until", new Date(found.expires * 1000).toLocaleString()]].map(([name, value]) => element("div", null, element("dt", null, name), element("dd", null, value)))) : token.value ? element("p", { class: "bad" }, "This is not an enrolment token; copy the whole word.") : "");
  } });
  const form = element("form", { onsubmit: async (event) => {
    event.preventDefault();
    const done = await act("added", () => ask("POST", "/api/v1/configuration/subaccounts", { authenticationData: token.value.trim() }));
    if (done) dialog.close();
    else facts.replaceChildren(element("p", { class: "bad" }, document.getElementById("alarm").textContent));
  } }, element("h2", null, "Add a subaccount"), element("div", { class: "field" }, element("label", { for: "token" }, "One-time token, as connectord enrol create prints it"), token), facts,
    element("div", { class: "buttons" }, element("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), element("button", { class: "main" }, "Add")));
  open(form);
  token.focus();
}
