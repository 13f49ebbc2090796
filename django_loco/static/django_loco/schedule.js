"use strict";
/* The form of a schedule: previews the next runs while it is edited, and shows the arguments only for commands. */
{
  // The delay by "jitter" depends on the name.
  const FIELDS = ["name", "schedule", "at_0", "at_1", "after", "timezone", "start_0", "start_1", "end_0", "end_1", "jitter"];
  const DELAY_MILLISECONDS = 250; // after the last change

  function followFields(preview) {
    const form = preview.closest("form");
    let timer = 0;
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
      const request = ++latest;
      const query = new URLSearchParams();
      for (const name of FIELDS) query.set(name, form.elements[name]?.value ?? "");
      if (!["schedule", "at_0", "after"].some((name) => query.get(name))) return;
      try {
        const response = await fetch(`${preview.dataset.url}?${query}`, { headers: { Accept: "application/json" } });
        const answer = await response.json();
        if (request === latest) show(answer);
      } catch {
        // The server cannot be reached, or the user is logged out. Saving will show the error.
      }
    };

    const askLater = (event) => {
      if (!FIELDS.includes(event.target.name)) return;
      clearTimeout(timer);
      timer = setTimeout(ask, DELAY_MILLISECONDS);
    };
    form.addEventListener("input", askLater);
    form.addEventListener("change", askLater);
    // The admin's calendar and clock change a field without an event, and then focus it.
    form.addEventListener("focusin", askLater);
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
