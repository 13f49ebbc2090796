"use strict";
// Asks for the parts of the page every two seconds while it is seen, and replaces those that have changed.
(() => {
  const EVERY = 2000, MOST = 60000;
  const updated = document.getElementById("updated"), away = document.getElementById("away");
  const shown = {};
  let etag = "", wait = EVERY, timer = 0, last = Date.now(), busy = false, failing = false;

  function replace(name, html) {
    const part = document.querySelector(`[data-part="${name}"]`);
    if (!part) { location.reload(); return; }
    const selection = getSelection();
    if (!selection.isCollapsed && selection.containsNode(part, true)) return;  // somebody copies from it
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const links = [...part.querySelectorAll("a, button, summary, [tabindex]")];
    const place = links.indexOf(focused);
    const open = [...part.querySelectorAll("details[open]")].map((each) => each.id);
    const scrolled = [...part.querySelectorAll(".scroll")].map((each) => each.scrollTop);
    part.innerHTML = html;
    open.forEach((id) => { const each = document.getElementById(id); if (each) each.open = true; });
    part.querySelectorAll(".scroll").forEach((each, index) => { each.scrollTop = scrolled[index] || 0; });
    if (focused) {
      const again = focused.id ? document.getElementById(focused.id) : part.querySelectorAll("a, button, summary, [tabindex]")[place];
      if (again) again.focus({ preventScroll: true });
    }
    shown[name] = html;
  }

  function tell() {
    const seconds = Math.round((Date.now() - last) / 1000);
    updated.textContent = failing ? updated.dataset.ago.replace("%s", `${seconds} s`) : updated.dataset.now;
  }

  async function ask() {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const headers = etag ? { "If-None-Match": etag } : {};
      const options = { headers, cache: "no-store", credentials: "same-origin", redirect: "error", signal: AbortSignal.timeout(15000) };
      const answer = await fetch(document.body.dataset.url + location.search, options);
      if (answer.status === 200) {
        const parts = await answer.json();
        for (const [name, html] of Object.entries(parts)) if (shown[name] !== html) replace(name, html);
        // A part that could not be replaced is asked for again.
        etag = Object.entries(parts).every(([name, html]) => shown[name] === html) ? answer.headers.get("ETag") || "" : "";
      } else if (answer.status !== 304) throw new Error(String(answer.status));
      last = Date.now(); wait = EVERY; failing = false; away.hidden = true;
    } catch {
      wait = Math.min(wait * 2, MOST); failing = true; away.hidden = false;
      away.textContent = away.dataset.text;
    }
    busy = false;
    tell();
    next(wait);
  }

  function next(after) { clearTimeout(timer); if (!document.hidden) timer = setTimeout(ask, after); }

  document.addEventListener("visibilitychange", () => { wait = EVERY; next(0); });
  setInterval(() => { if (failing && !document.hidden) tell(); }, 1000);
  next(EVERY);
})();
