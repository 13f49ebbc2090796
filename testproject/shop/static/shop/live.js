// Keeps what the server has rendered up to date. The page works without; then it is as old as its last load.
"use strict";

const root = document.getElementById("live");
const BUSY = 500, CALM = 2000;  // milliseconds between two looks

const at = (data, path) => path.split(".").reduce((value, name) => value?.[name], data);

function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;  // else a screen reader would repeat it
}

function row(template, item) {
  const fragment = template.content.cloneNode(true);
  fragment.firstElementChild.dataset.state = item.status;
  for (const field of fragment.querySelectorAll("[data-field]")) {
    const value = item[field.dataset.field];
    if (!Array.isArray(value)) { field.textContent = value; continue; }
    field.replaceChildren(...value.map(text => Object.assign(document.createElement("li"), { textContent: text })));
  }
  return fragment;
}

function show(data) {
  for (const element of document.querySelectorAll("[data-text]")) {
    const text = at(data, element.dataset.text);
    if (text !== undefined) setText(element, text);
    if ("hideIfEmpty" in element.dataset) element.hidden = !text;
  }
  for (const element of document.querySelectorAll("[data-value]")) element.value = at(data, element.dataset.value) ?? 0;
  for (const element of document.querySelectorAll("[data-show]")) element.hidden = !at(data, element.dataset.show);
  for (const element of document.querySelectorAll("[data-hide]")) element.hidden = Boolean(at(data, element.dataset.hide));
  for (const element of document.querySelectorAll(".run")) element.dataset.state = data.run?.state ?? "";
  for (const list of document.querySelectorAll("[data-list]")) {
    const items = at(data, list.dataset.list), seen = JSON.stringify(items);
    if (list.dataset.seen === seen) continue;
    list.dataset.seen = seen;
    list.replaceChildren(...items.map(item => row(document.getElementById(list.dataset.template), item)));
  }
}

function isBusy(data) {
  return data.run?.state === "running" || data.failures.some(failure => ["ready", "running"].includes(failure.status));
}

// When a re-index has ended, what is on the shelves may have changed.
async function restock() {
  const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
  document.getElementById("products").replaceWith(page.getElementById("products"));
}

let stateBefore = root.querySelector(".run").dataset.state;

async function look() {
  let pause = CALM;
  if (!document.hidden) {
    try {
      const response = await fetch(root.dataset.url, { headers: { Accept: "application/json" } });
      if (response.ok) {
        const data = await response.json();
        show(data);
        if (isBusy(data)) pause = BUSY;
        const state = data.run?.state ?? "";
        if (state === "done" && stateBefore !== "done") await restock();
        stateBefore = state;
      }
    } catch {
      // The site is restarting; the next look will tell.
    }
  }
  setTimeout(look, pause);
}

look();
