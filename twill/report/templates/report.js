(() => {
  const details = JSON.parse(document.getElementById("details").textContent);
  const tip = document.getElementById("tip");

  const marked = [...document.querySelectorAll("[data-op]")];
  const edges = [...document.querySelectorAll("[data-from]")];
  let current = null;

  const fill = (name) => {
    tip.replaceChildren();
    const title = document.createElement("b");
    title.textContent = name;
    const list = document.createElement("dl");
    for (const [key, value] of details[name]) {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = key;
      text.textContent = value;
      if (!key) { text.style.gridColumn = "1 / 3"; list.append(text); continue; }
      list.append(term, text);
    }
    tip.append(title, list);
  };
  const select = (name) => {
    if (name === current) return;
    current = name;
    document.body.classList.toggle("lit", name !== null);
    for (const item of marked) item.classList.toggle("on", item.dataset.op === name);
    for (const edge of edges) edge.classList.toggle("on", edge.dataset.from === name || edge.dataset.to === name);
    tip.hidden = name === null;
    if (name !== null) fill(name);
  };
  const place = (event) => {
    const x = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 16;
    const y = below + tip.offsetHeight > window.innerHeight ? event.clientY - tip.offsetHeight - 12 : below;
    tip.style.left = `${Math.max(8, x)}px`;
    tip.style.top = `${Math.max(8, y)}px`;
  };
  const follow = (event) => {
    const owner = event.target.closest ? event.target.closest("[data-op]") : null;
    const name = owner && details[owner.dataset.op] ? owner.dataset.op : null;
    select(name);
    if (name !== null) place(event);
  };
  document.addEventListener("pointermove", follow);
  document.addEventListener("pointerdown", follow);
  document.addEventListener("pointerleave", () => select(null));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") select(null); });
})();
