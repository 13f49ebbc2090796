"use strict";
// Moves between rows by the keyboard, selects all rows by a checkbox, and shows the number of selected rows.
(() => {
  const which = document.getElementById("which"), help = document.getElementById("keys");
  const form = document.getElementById("operate-form");
  const none = which?.options[0].textContent;
  const boxes = () => [...document.querySelectorAll("[data-row] input[type=checkbox]")];
  const rows = () => [...document.querySelectorAll("[data-row]")];

  function count() {
    const all = document.getElementById("all"), every = boxes(), chosen = every.filter((each) => each.checked).length;
    if (all) {
      all.hidden = false;
      all.checked = chosen > 0 && chosen === every.length;
      all.indeterminate = chosen > 0 && chosen < every.length;
    }
    if (which) {
      const [option] = which.options;
      option.textContent = chosen ? option.dataset.text.replace("%s", String(chosen)) : none;
      for (const each of form.querySelectorAll("button")) each.disabled = !chosen && which.value === "chosen";
    }
  }

  function target(row) { return row.querySelector("[data-open]") || row.querySelector("input, a, button, summary"); }

  function go(step) {
    const every = rows(), at = every.findIndex((row) => row.contains(document.activeElement));
    const row = every[at < 0 ? (step > 0 ? 0 : every.length - 1) : Math.min(every.length - 1, Math.max(0, at + step))];
    const focused = row && target(row);
    if (focused) { focused.focus(); row.scrollIntoView({ block: "nearest" }); }
  }

  function select() {
    const box = document.activeElement.closest("[data-row]")?.querySelector("input[type=checkbox]");
    if (box) { box.checked = !box.checked; count(); }
  }

  const KEYS = {
    "/": () => { const search = document.querySelector("[data-search]"); search?.focus(); search?.select(); },
    j: () => go(1),
    k: () => go(-1),
    x: select,
    r: () => { if (which) { which.value = "chosen"; count(); } (document.activeElement.closest("[data-row]")?.querySelector("[data-key=r]") || document.querySelector("[data-key=r]"))?.click(); },
    "?": () => help?.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    if (!Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "all") for (const each of boxes()) each.checked = event.target.checked;
    if (event.target.type === "checkbox" || event.target === which) count();
  });
  document.addEventListener("loco:changed", count);
  form?.addEventListener("reset", () => setTimeout(count));
  addEventListener("pageshow", count);  // a browser that goes back checks the boxes again
  count();
})();
