"use strict";
// The colours that the user has chosen, kept in this browser. Not deferred, so that no page shows other colours first.
(() => {
  const KEY = "loco-theme", root = document.documentElement;
  const stored = () => { try { return localStorage.getItem(KEY) || ""; } catch { return ""; } };  // it may be forbidden

  function show(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
    const choice = document.getElementById("theme");
    if (choice) choice.value = root.dataset.theme || "";
  }

  show(stored());
  addEventListener("storage", (event) => { if (event.key === KEY || event.key === null) show(stored()); });
  addEventListener("DOMContentLoaded", () => {
    const choice = document.getElementById("theme");
    choice.hidden = false;
    show(stored());
    choice.addEventListener("change", () => {
      try { localStorage.setItem(KEY, choice.value); } catch { /* the choice holds for this page */ }
      show(choice.value);
    });
  });
})();
