// What the scripts of both pages make their contents of. Texts from outside become text nodes, never markup.

export function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value != null) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== "" && child !== false));
  return node;
}

export function badge(text, kind) {
  return element("span", { class: `badge ${kind}` }, text);
}

export function time(seconds) {
  return seconds ? new Date(seconds * 1000).toLocaleString() : "–";
}

export function days(seconds, now) {
  if (!seconds) return "–";
  const left = Math.floor((seconds - now) / 86400);
  if (left < 0) return element("span", { class: "bad" }, `expired on ${time(seconds)}`);
  const text = `${left} day${left === 1 ? "" : "s"} left, until ${time(seconds)}`;
  return left < 14 ? element("span", { class: "odd" }, text) : text;
}

export function table(caption, head, rows, empty) {
  const columns = head.map((text) => element("th", { scope: "col" }, text));
  const body = rows.length > 0 ? rows : [element("tr", null, element("td", { colspan: head.length, class: "quiet" }, empty))];
  // On a phone each row is a block, whose cells say what they are; the roles stay those of a table then.
  for (const line of rows) [...line.children].forEach((cell, index) => cell.setAttribute("data-label", head[index]));
  return element(
    "div", { class: "scroll" },
    element("table", { role: "table" }, element("caption", null, caption), element("thead", null, element("tr", null, columns)), element("tbody", null, body)),
  );
}

export function row(...cells) {
  return element("tr", { role: "row" }, cells.map((cell) => element("td", { role: "cell" }, cell)));
}
