"use strict";
/* The list of jobs: the checkbox in the table's head selects all jobs of the page. It is shown only with scripts. */
document.addEventListener("DOMContentLoaded", () => {
  const all = document.querySelector("#loco-all");
  if (!all) return;
  const boxes = [...document.querySelectorAll(".loco-jobs .action-select")];
  const follow = () => {
    const checked = boxes.filter((box) => box.checked).length;
    all.checked = checked > 0 && checked === boxes.length;
    all.indeterminate = checked > 0 && checked < boxes.length;
  };
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
  });
  for (const box of boxes) box.addEventListener("change", follow);
});
