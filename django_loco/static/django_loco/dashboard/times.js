"use strict";
// Shows times that are marked with data-age as durations, "5 min ago", and sends the reader's time zone to the server in a cookie.
(() => {
  const language = `${document.documentElement.lang || "en"}-u-nu-latn`;  // the digits of the server
  const words = new Intl.RelativeTimeFormat(language, { numeric: "always", style: "short" });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  function text(seconds) {
    const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) || UNITS[3];
    return words.format(Math.trunc(seconds / size), unit);
  }

  function write() {
    for (const each of document.querySelectorAll("time[datetime]")) {
      const at = new Date(each.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const exact = at.toLocaleString(language, { dateStyle: "medium", timeStyle: "long" });
      if (each.title !== exact) each.title = exact;
      if (!each.hasAttribute("data-age")) continue;
      const now = text((at - Date.now()) / 1000);
      if (each.textContent !== now) each.textContent = now;
    }
  }

  if (/^[\w+/-]+$/.test(zone) && !document.cookie.split("; ").includes(`loco_zone=${zone}`)) {
    document.cookie = `loco_zone=${zone}; path=${document.body.dataset.root}; max-age=31536000; samesite=lax`;
  }
  document.addEventListener("loco:changed", write);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) write(); });
  setInterval(() => { if (!document.hidden) write(); }, 10000);
  write();
})();
