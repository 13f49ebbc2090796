"use strict";
// Asks for the parts of the page while it is seen, and changes in the document what differs: every two seconds, or when
// the server says that something has changed.
(() => {
  const EVERY = 2000, MOST = 60000, SILENT = 75000, CALM = 20000, STREAM_SILENT = 25000;
  const NAME = `loco ${location.pathname}${location.search}`;
  const channel = "BroadcastChannel" in window && navigator.locks ? new BroadcastChannel(NAME) : null, shares = channel !== null;
  const updated = document.getElementById("updated"), away = document.getElementById("away"), announced = document.getElementById("announced");
  const words = new Intl.NumberFormat(`${document.documentElement.lang || "en"}-u-nu-latn`, { style: "unit", unit: "second", unitDisplay: "short" });
  const shown = {};
  let etag = "", wait = EVERY, timer = 0, last = Date.now(), asked = 0, busy = false, failing = false;
  let mark = "", told = 0, dropStream = null;
  let known = {}, leads = !shares, heard = Date.now(), giveUp = null;

  // What people have done with the document is not in the HTML of a part, so it stays. Text that somebody has typed is
  // no attribute, and stays as well.
  const KEPT = { DETAILS: ["open"], INPUT: ["checked"] };
  const same = (one, other) => one.nodeName === other.nodeName && (one.id || "") === (other.id || "");

  function become(node, wanted) {
    if (node.isEqualNode(wanted)) return;
    if (node.nodeType !== Node.ELEMENT_NODE) { node.nodeValue = wanted.nodeValue; return; }
    const kept = KEPT[node.nodeName] || [];
    for (const { name } of [...node.attributes]) if (!wanted.hasAttribute(name) && !kept.includes(name)) node.removeAttribute(name);
    for (const { name, value } of wanted.attributes) if (!kept.includes(name) && node.getAttribute(name) !== value) node.setAttribute(name, value);
    children(node, wanted);
  }

  // Elements with an id are matched by the id, wherever they are. Others are matched by their position.
  function children(node, wanted) {
    const named = new Set([...wanted.children].map((each) => each.id).filter(Boolean));
    for (const each of [...node.children]) if (each.id && !named.has(each.id)) each.remove();
    let at = node.firstChild;
    for (const next of [...wanted.childNodes]) {
      if (at && same(at, next)) {
        become(at, next);
        at = at.nextSibling;
        continue;
      }
      const known = next.id && [...node.children].find((each) => each.id === next.id && each.nodeName === next.nodeName);
      if (known) { node.insertBefore(known, at); become(known, next); continue; }
      node.insertBefore(next, at);
      if (at && at.nodeType === Node.ELEMENT_NODE && !at.id) { const gone = at; at = at.nextSibling; gone.remove(); }
    }
    while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
  }

  function replace(name, html) {
    const part = document.querySelector(`[data-part="${name}"]`);
    if (!part) { location.reload(); return; }
    const selection = getSelection();
    if (!selection.isCollapsed && selection.containsNode(part, true)) return;  // somebody copies from it
    if (document.querySelector("dialog[open]") || part.querySelector("[data-row] input:checked")) return;
    const wanted = document.createElement("div");
    wanted.innerHTML = html;
    const said = part.querySelector("[data-announce]")?.dataset.announce;
    children(part, wanted);
    const says = part.querySelector("[data-announce]")?.dataset.announce;
    if (says && says !== said) announced.textContent = says;
    shown[name] = html;
    part.dispatchEvent(new CustomEvent("loco:changed", { bubbles: true }));
  }

  function tell() {
    const seconds = Math.round((Date.now() - last) / 1000);
    updated.textContent = failing ? updated.dataset.ago.replace("%s", words.format(seconds)) : updated.dataset.now;
  }

  function take(parts) {
    for (const [name, html] of Object.entries(parts)) if (shown[name] !== html) replace(name, html);
    return Object.entries(parts).every(([name, html]) => shown[name] === html);
  }

  function works() { last = Date.now(); failing = false; away.hidden = true; tell(); }

  function fails(text) {
    failing = true; away.hidden = false;
    if (away.textContent !== (text || away.dataset.text)) away.textContent = text || away.dataset.text;
    tell();
  }

  async function ask() {
    if (busy || document.hidden) return;
    busy = true;
    asked = Date.now();
    try {
      const headers = { Accept: "application/json", "Loco-Poll": "1", ...(etag ? { "If-None-Match": etag } : {}) };
      const options = { headers, cache: "no-store", credentials: "same-origin", redirect: "error", signal: AbortSignal.timeout(15000) };
      const answer = await fetch(location.pathname + location.search, options);
      if (answer.status === 200) {
        known = await answer.json();
        // A part that could not be replaced is requested again.
        etag = take(known) ? answer.headers.get("ETag") || "" : "";
      } else if (answer.status >= 400 && answer.status < 500) {
        if (answer.status === 404) for (const each of document.querySelectorAll("main button")) each.disabled = true;  // what it shows is gone
        throw new Error(await answer.text());
      } else if (answer.status === 304) {
        etag &&= answer.headers.get("ETag") || etag;
      } else throw new Error();
      works();
      wait = Math.min(MOST, Math.max(EVERY, 10 * (last - asked)));  // a page that takes long is asked for less often
      if (leads) channel?.postMessage({ parts: answer.status === 200 ? known : null });
    } catch (error) {
      wait = Math.min(wait * 2, MOST);
      const text = error.name === "Error" && error.message.length < 500 ? error.message : "";
      fails(text);
      if (leads) channel?.postMessage({ text });
    }
    busy = false;
    next(!failing && isTold() && isCurrent() ? CALM : wait);
  }

  function next(after) {
    clearTimeout(timer);
    if (!document.hidden && (leads || after === 0)) timer = setTimeout(ask, after * (0.9 + Math.random() / 5));
  }

  // The server sends the mark of the stores, at least every ten seconds. An ETag begins with this mark.
  const isTold = () => Date.now() - told < STREAM_SILENT, isCurrent = () => etag.includes(`"${mark}.`);

  function hear(now) {
    mark = now;
    told = now ? Date.now() : 0;
    if (leads && !busy && !(now && isCurrent())) next(Math.max(1, asked + (failing ? EVERY : wait) - Date.now()));
  }

  // Of all visible tabs of the dashboard one holds a stream, and tells the others: browsers open few connections to a
  // site by HTTP/1.1.
  const STREAM = document.body.dataset.changes, streamed = shares && STREAM ? new BroadcastChannel(`loco ${STREAM}`) : null;

  function tellAll(now) { hear(now); streamed.postMessage(now); }

  function connect(pause, set) {
    const source = new EventSource(STREAM);
    let errors = 0;
    set(() => source.close());
    source.onopen = () => { errors = 0; pause = MOST / 4; };
    source.onmessage = ({ lastEventId }) => tellAll(lastEventId);
    source.onerror = () => {  // the browser connects again by itself, except after an answer that is no stream
      errors += 1;
      if (source.readyState !== EventSource.CLOSED && errors < 3) return;
      source.close();
      tellAll("");
      const again = setTimeout(() => connect(Math.min(pause * 2, 4 * MOST), set), pause);
      set(() => clearTimeout(again));
    };
  }

  function holdStream() {
    if (!streamed || dropStream) return;
    const ended = new AbortController();
    let close = () => {}, release = () => {};
    dropStream = () => { ended.abort(); close(); release(); dropStream = null; };
    navigator.locks.request(`loco ${STREAM}`, { signal: ended.signal }, () => {
      if (ended.signal.aborted) return undefined;
      connect(MOST / 4, (how) => { close = how; });
      return new Promise((resolve) => { release = resolve; });
    }).catch(() => {});  // it was given up
  }

  // Of several tabs with the same address, one asks, and tells the others: the one that has a lock. Browsers have locks
  // for pages by HTTPS only; without, each tab asks.
  function compete() {
    if (!shares || giveUp) return;
    const ended = new AbortController();
    let release = () => {};
    giveUp = () => { ended.abort(); release(); leads = false; giveUp = null; };
    navigator.locks.request(NAME, { signal: ended.signal }, () => {
      if (ended.signal.aborted) return undefined;
      leads = true;
      next(wait);
      return new Promise((resolve) => { release = resolve; });
    }).catch(() => {});  // it was given up
  }

  if (shares) {
    channel.onmessage = ({ data }) => {
      if (leads || document.hidden) return;
      heard = Date.now();
      if ("text" in data) { fails(data.text); return; }
      if (data.parts) { known = data.parts; etag = ""; }
      take(known);
      works();
    };
    compete();
  }
  if (streamed) {
    streamed.onmessage = ({ data }) => hear(data);
    if (!document.hidden) holdStream();
  }

  document.addEventListener("visibilitychange", () => {
    wait = EVERY;
    if (document.hidden) { giveUp?.(); dropStream?.(); } else { compete(); holdStream(); next(0); }
  });
  setInterval(() => {
    if (document.hidden) return;
    if (failing) tell();
    if (!leads && Date.now() - heard > SILENT) { heard = Date.now(); next(0); }  // the tab that asks is stuck
  }, 1000);
  if (leads) next(EVERY); else setTimeout(() => next(0), EVERY);
})();
