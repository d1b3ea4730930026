"use strict";
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const show = (isDark) => root.setAttribute("data-theme", isDark ? "dark" : "light");
  show(dark.matches);
  dark.addEventListener("change", (event) => show(event.matches));
  document.getElementById("theme").addEventListener("click", () => show(root.getAttribute("data-theme") !== "dark"));
})();
