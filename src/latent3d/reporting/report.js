"use strict";

// Click (or Enter) on a column's header sorts its table; empty cells stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.querySelectorAll("th[data-column]")];
  for (const header of headers) {
    const sort = () => {
      const direction = header.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", direction);
      const value = (row) => row.cells[header.dataset.column].dataset.sort;
      const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
      const rows = [...table.tBodies[0].rows].sort((first, second) => {
        const [a, b] = [value(first), value(second)];
        if (a === "" || b === "") return (a === "") - (b === "");
        return direction === "ascending" ? compare(a, b) : compare(b, a);
      });
      table.tBodies[0].append(...rows);
    };
    header.tabIndex = 0;
    header.addEventListener("click", sort);
    header.addEventListener("keydown", (event) => event.key === "Enter" && sort());
  }
}

// Buttons above a table show and hide its groups of columns.
for (const table of document.querySelectorAll(".table")) {
  const buttons = [...table.querySelectorAll(".chooser button")];
  table.querySelector(".chooser").hidden = buttons.length < 2;
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", shown);
      for (const cell of table.querySelectorAll(`table [data-group="${button.dataset.group}"]`)) cell.hidden = !shown;
    });
  }
}

// One tooltip for everything that has data-tip: below it, inside the window.
const tip = document.getElementById("tip");
const showTip = (event) => {
  const target = event.target.closest?.("[data-tip]");
  tip.hidden = !target;
  if (!target) return;
  tip.textContent = target.dataset.tip;
  const place = target.getBoundingClientRect();
  const below = place.bottom + 6 + tip.offsetHeight < innerHeight;
  tip.style.top = `${below ? place.bottom + 6 : Math.max(4, place.top - tip.offsetHeight - 6)}px`;
  tip.style.left = `${Math.max(6, Math.min(place.left, innerWidth - tip.offsetWidth - 8))}px`;
};
document.addEventListener("mouseover", showTip);
document.addEventListener("focusin", showTip);
document.addEventListener("keydown", (event) => event.key === "Escape" && (tip.hidden = true));
document.addEventListener("scroll", () => (tip.hidden = true), { capture: true, passive: true });
