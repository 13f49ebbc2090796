"use strict";
/* The form of a schedule: shows the next runs of what is being written, and the arguments of commands only. */
{
  const FIELDS = ["schedule", "at_0", "at_1", "after", "timezone", "start_0", "start_1", "end_0", "end_1", "jitter"];
  const PATIENCE = 250; // milliseconds after the last key

  function followFields(preview) {
    const form = preview.closest("form");
    let waiting = 0;
    let latest = 0;

    const show = (answer) => {
      const words = answer.error || [answer.words, answer.written, answer.zone].filter(Boolean).join(" · ");
      preview.classList.toggle("loco-wrong", Boolean(answer.error));
      preview.querySelector("p").textContent = words;
      preview.querySelector("ol").replaceChildren(...(answer.runs || []).map((run) => {
        const item = document.createElement("li");
        item.textContent = run;
        return item;
      }));
    };

    const ask = async () => {
      const mine = ++latest;
      const said = new URLSearchParams();
      for (const name of FIELDS) said.set(name, form.elements[name]?.value ?? "");
      if (!["schedule", "at_0", "after"].some((name) => said.get(name))) return;
      try {
        const response = await fetch(`${preview.dataset.url}?${said}`, { headers: { Accept: "application/json" } });
        const answer = await response.json();
        if (mine === latest) show(answer);
      } catch {
        // Not reachable, or logged out: saving will tell.
      }
    };

    const soon = (event) => {
      if (!FIELDS.includes(event.target.name)) return;
      clearTimeout(waiting);
      waiting = setTimeout(ask, PATIENCE);
    };
    form.addEventListener("input", soon);
    form.addEventListener("change", soon);
    // The calendar and the clock of the admin set a field, and put the focus into it.
    form.addEventListener("focusin", soon);
    ask();
  }

  function followTarget(run) {
    const [target, words] = run.querySelectorAll("select, input");
    const toggle = () => { words.hidden = !words.value && (!target.value || target.value.includes(".")); };
    target.addEventListener("change", toggle);
    toggle();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("#loco-preview").forEach(followFields);
    document.querySelectorAll(".loco-run").forEach(followTarget);
  });
}
