// Small comforts. Every page works without them.

const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Copies the text of an element.
for (const button of all("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    const word = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = word; }, 1500);
  });
}

// Applies a filter as soon as a choice is made.
for (const form of all("form[data-auto]")) {
  form.addEventListener("change", (event) => {
    if (event.target.matches("select")) form.requestSubmit();
  });
}

// Leaves empty fields out of the URL.
for (const form of all('form[method="get"]')) {
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

// The list of keys.
for (const button of all("[data-keys]")) {
  button.hidden = false;
  button.addEventListener("click", () => $("#keys").showModal());
}

// Keys: / searches, g and a letter goes to a page, j and k move in a list, ? explains.
let going = false;
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "Escape" && typing) typing.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (going) {
    going = false;
    const link = $(`[data-key="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  const rows = all("[data-row]");
  const step = { j: 1, k: -1 }[event.key];
  if (event.key === "/") {
    const search = $("[data-search]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  } else if (event.key === "g") {
    going = true;
    setTimeout(() => { going = false; }, 1500);
  } else if (event.key === "?") {
    $("#keys")?.showModal();
  } else if (step && rows.length) {
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(Math.max(at + step, 0), rows.length - 1)].focus();
  }
});

// Live: shows events as they come. The page of the browser that has the lock holds the stream and
// passes events on to the others; when it closes, another one continues after the last event. A page
// pauses while it is hidden, scrolled or used.
const live = $("[data-live]");
if (live && navigator.locks) follow(live);

function follow(panel) {
  const [state, pause, more, summary] = ["state", "pause", "more", "summary"].map((name) => $(`[data-live-${name}]`));
  const body = $("tbody", panel);
  const channel = new BroadcastChannel("receiptd-live");
  const begin = Number(panel.dataset.live);
  const seen = new Set(all("[data-event]").map((row) => row.dataset.event));
  // Where the stream continues, and the newest events for pages that open later.
  let after = panel.dataset.live;
  const recent = [];
  let leads = false;
  let waiting = [];
  let held = false;
  pause.hidden = false;
  state.textContent = "Events appear as reports arrive.";

  const cell = (row, name, role) => {
    const made = row.appendChild(document.createElement(name));
    made.setAttribute("role", role);
    return made;
  };
  const add = (event) => {
    const row = document.createElement("tr");
    row.setAttribute("role", "row");
    const time = cell(row, "td", "cell").appendChild(document.createElement("time"));
    time.dateTime = event.time;
    time.textContent = event.at;
    const chip = cell(row, "td", "cell").appendChild(document.createElement("span"));
    chip.className = `chip tone-${event.tone}`;
    const svg = chip.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"));
    svg.setAttribute("class", "mark");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    svg.appendChild(document.createElementNS(svg.namespaceURI, "use")).setAttribute("href", `#mark-${event.shape}`);
    chip.append(event.word);
    const head = cell(row, "th", "rowheader");
    head.scope = "row";
    head.className = "wide";
    const link = head.appendChild(document.createElement("a"));
    link.className = "sid";
    link.href = event.path;
    link.dataset.row = "";
    link.textContent = event.sid;
    cell(row, "td", "cell").textContent = event.channel;
    const to = cell(row, "td", "cell");
    to.className = "nowrap";
    to.textContent = event.to;
    body.prepend(row);
  };
  const busy = () => held || document.hidden || scrollY > 200 || body.contains(document.activeElement);
  const render = () => {
    if (waiting.length && !busy()) {
      waiting.splice(0).forEach(add);
      while (body.rows.length > 200) body.lastElementChild.remove();
      $("[data-live-empty]").hidden = true;
    }
    more.hidden = waiting.length === 0;
    more.textContent = `${waiting.length} new: show`;
  };
  const take = (message) => {
    if (message.hello) {
      if (leads) recent.forEach(({ event }) => channel.postMessage({ event }));
      return;
    }
    const { event } = message;
    if (message.after) after = message.after;
    if (seen.has(event.id)) return;
    seen.add(event.id);
    recent.push(message);
    if (recent.length > 200) seen.delete(recent.shift().event.id);
    // Other pages may have begun earlier, or show other channels.
    if (event.position <= begin || (panel.dataset.channel ?? event.of) !== event.of) return;
    waiting = [...waiting, event].slice(-200);
    requestAnimationFrame(render);
  };
  more.addEventListener("click", () => { held = false; pause.textContent = "Pause"; scrollTo(0, 0); document.activeElement.blur(); render(); });
  pause.addEventListener("click", () => { held = !held; pause.textContent = held ? "Continue" : "Pause"; render(); });
  for (const name of ["scroll", "visibilitychange", "focusout"]) document.addEventListener(name, render, { passive: true });
  setInterval(() => { if (waiting.length) summary.textContent = `${waiting.length} new events`; }, 10000);
  channel.onmessage = ({ data }) => take(data);
  channel.postMessage({ hello: true });
  navigator.locks.request(channel.name, () => new Promise((release) => {
    leads = true;
    const source = new EventSource(`/console/live/stream?after=${after}`);
    source.onmessage = ({ data, lastEventId }) => {
      const message = { event: JSON.parse(data), after: lastEventId };
      take(message);
      channel.postMessage(message);
    };
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return;
      state.textContent = "The stream has ended. Load the page again.";
      leads = false;
      release();
    };
  }));
}
