// A table that sorts by a column where its head is clicked, and shows the claims of one verdict.
"use strict";
const table = document.getElementById("claims");
const heads = [...table.tHead.rows[0].cells];
heads.forEach((head, column) => {
  head.querySelector("button")?.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    const key = (row) => row.cells[column].dataset.key;
    const rows = [...table.tBodies[0].rows].sort((a, b) => key(a).localeCompare(key(b), "en", { numeric: true }));
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].replaceChildren(...(down ? rows.reverse() : rows));
  });
});
const buttons = [...document.querySelectorAll("#filter button")];
buttons.forEach((button) => button.addEventListener("click", () => {
  buttons.forEach((other) => other.classList.toggle("chosen", other === button));
  for (const row of table.tBodies[0].rows) {
    row.hidden = "outcome" in button.dataset && row.dataset.outcome !== button.dataset.outcome;
  }
}));
