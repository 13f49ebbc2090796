"use strict";
// Keeps the bars of {% loco_progress result %} up to date. It asks every second while something changes and less often
// while nothing does, not at all in a hidden tab, and stops when the job has ended. Then it sends "loco:finished".
(() => {
  const FIRST = 1000, SLOWEST = 10000, SLOWEST_AFTER_ERRORS = 60000;
  if (window.locoProgress) return; // a page may have several bars, each with this script
  window.locoProgress = true;

  function begin(box) {
    if ("begun" in box.dataset) return;
    box.dataset.begun = "";
    const bar = box.querySelector("progress");
    const text = box.querySelector(".loco-progress-text"), state = box.querySelector(".loco-progress-state");
    let pause = FIRST, last = "";

    function show(found) {
      if (found.percent === null) bar.removeAttribute("value");
      else { bar.max = 100; bar.value = found.percent; }
      text.textContent = found.text || found.state_text;
      box.dataset.state = found.state;
      if (!found.finished) return;
      box.dataset.finished = "";
      state.textContent = found.state_text;
      box.dispatchEvent(new CustomEvent("loco:finished", { bubbles: true, detail: found }));
    }

    // Returns whether there may be more to tell.
    async function ask() {
      const headers = { Accept: "application/json", "Loco-Poll": "1" };
      const answer = await fetch(box.dataset.locoProgress, { headers, cache: "no-cache" });
      if (answer.status === 404) return false;
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const body = await answer.text(), found = JSON.parse(body);
      pause = body === last ? Math.min(1.5 * pause, SLOWEST) : FIRST;
      if (body !== last) show(found);
      last = body;
      return !found.finished;
    }

    async function turn() {
      if (!box.isConnected) return;
      if (document.hidden) { document.addEventListener("visibilitychange", turn, { once: true }); return; }
      try {
        if (!await ask()) return;
      } catch { // the site or its network is away
        pause = Math.min(2 * pause, SLOWEST_AFTER_ERRORS);
      }
      setTimeout(turn, pause);
    }

    if (!("finished" in box.dataset)) setTimeout(turn, FIRST / 4);
  }

  function beginAll() { for (const box of document.querySelectorAll("[data-loco-progress]")) begin(box); }

  beginAll();
  new MutationObserver(beginAll).observe(document.documentElement, { childList: true, subtree: true }); // parts that come later
})();
