"use strict";
// A button copies the text of the element that it names. navigator.clipboard exists only with https.
(() => {
  async function copy(element) {
    if (navigator.clipboard) {
      try { await navigator.clipboard.writeText(element.textContent); return true; } catch { /* not allowed: as below */ }
    }
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }

  function show() { for (const each of document.querySelectorAll("[data-copy]")) each.hidden = false; }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button && await copy(document.getElementById(button.dataset.copy))) button.textContent = button.dataset.done;
  });
  document.addEventListener("loco:changed", show);
  show();
})();
