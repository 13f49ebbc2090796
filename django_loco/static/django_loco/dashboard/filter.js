"use strict";
// Completes the condition at the caret, from a list in the page.
(() => {
  const MOST = 12;
  const input = document.getElementById("filter"), list = document.getElementById("conditions");
  if (!input || !list) return;
  const all = [...list.children];
  let found = [], at = -1;
  for (const [name, value] of Object.entries({ role: "combobox", "aria-controls": list.id, "aria-autocomplete": "list", "aria-expanded": "false" })) input.setAttribute(name, value);

  // The condition before the caret, with or without a minus in front. A space in quotes is a part of it.
  function typed() {
    const [, sign, text] = /(?:^|\s)(-?)((?:[^\s"]|"[^"]*"?)*)$/.exec(input.value.slice(0, input.selectionStart)) || ["", "", ""];
    return { sign, text };
  }

  function show() {
    const { text } = typed();
    const low = text.toLowerCase();
    found = low ? all.filter((each) => each.textContent !== text && each.textContent.toLowerCase().startsWith(low)).slice(0, MOST) : [];
    for (const each of all) { each.hidden = !found.includes(each); each.setAttribute("aria-selected", "false"); }
    at = -1;
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    input.removeAttribute("aria-activedescendant");
  }

  function hide() { list.hidden = true; found = []; at = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); }

  function move(step) {
    if (at >= 0) found[at].setAttribute("aria-selected", "false");
    at = (at + step + found.length + (at < 0 && step < 0 ? 1 : 0)) % found.length;
    found[at].setAttribute("aria-selected", "true");
    found[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", found[at].id);
  }

  function take(option) {
    const { text } = typed();
    const caret = input.selectionStart, value = option.textContent;
    const more = /[:.]$/.test(value) ? "" : " ";
    const head = input.value.slice(0, caret - text.length) + value + more;
    input.value = head + input.value.slice(caret).trimStart();
    input.setSelectionRange(head.length, head.length);
    input.focus();
    if (more) hide(); else show();
  }

  input.addEventListener("input", show);
  input.addEventListener("blur", hide);
  input.addEventListener("keydown", (event) => {
    if (!found.length) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") move(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter" && at >= 0) take(found[at]);
    else if (event.key === "Tab" && at >= 0 && !event.shiftKey) take(found[at]);
    else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  });
  list.addEventListener("mousedown", (event) => {
    event.preventDefault();  // the focus stays in the input
    const option = event.target.closest("[role=option]");
    if (option) take(option);
  });
})();
