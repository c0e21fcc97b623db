// Tables: sort by a column, filter by words.
const NUMBER = /^[<~]?\s*([+−-]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?)/i;
const number = (text) => {
  const found = NUMBER.exec(text.trim());
  return found ? parseFloat(found[1].replace(/,/g, "").replace("−", "-")) : null;
};
const natural = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;

// Missing values come last in either direction; numbers come before texts.
const compare = (one, other, down) => {
  if (one === other) return 0;
  if (one === null || one === "") return 1;
  if (other === null || other === "") return -1;
  const numbers = typeof one === "number" && typeof other === "number";
  const order = numbers ? one - other : typeof one === "number" ? -1 : typeof other === "number" ? 1 : natural(one, other);
  return down ? -order : order;
};

// A model has: name, columns (headings), n rows, value(row, column), text(row), draw(rows).
const interactive = (model, head, tools) => {
  const heads = [...head.querySelectorAll("th")];
  let order = Array.from({ length: model.n }, (_, i) => i);
  let column = -1;
  let down = false;
  const input = make("input", { type: "search", placeholder: "filter: words, or head_acc > 60", value: state.filter[model.name] || "" });
  input.setAttribute("aria-label", "filter the rows of " + model.name);
  const said = make("span");
  const wanted = () => {
    const parts = (state.filter[model.name] || "").trim().toLowerCase().split(/\s+(?![<>=])(?<![<>=]\s)/).filter(Boolean);
    const tests = parts.map((part) => {
      const found = /^(.+?)\s*(<=|>=|<|>|=)\s*(.+)$/.exec(part);
      const at = found ? model.columns.findIndex((name) => name.toLowerCase() === found[1]) : -1;
      const hidden = found && at < 0 && model.hidden && model.hidden(found[1]);
      if (at < 0 && !hidden) return (row) => model.text(row).includes(part);
      const bound = parseFloat(found[3]);
      return (row) => {
        const value = hidden ? hidden(row) : model.value(row, at);
        if (found[2] === "=") return String(value).toLowerCase() === found[3] || value === bound;
        if (typeof value !== "number") return false;
        return { "<": value < bound, ">": value > bound, "<=": value <= bound, ">=": value >= bound }[found[2]];
      };
    });
    const only = model.only && new Set(model.only);
    return (row) => (!only || only.has(row)) && tests.every((test) => test(row));
  };
  const show = () => {
    const rows = order.filter(wanted());
    model.draw(rows);
    said.textContent = rows.length === model.n ? "" : ` ${rows.length} of ${model.n} rows`;
  };
  const sort = (at, falling) => {
    [column, down] = [at, falling];
    order = Array.from({ length: model.n }, (_, i) => i);
    if (column >= 0) order.sort((a, b) => compare(model.value(a, column), model.value(b, column), down) || a - b);
    heads.forEach((th, i) => th.setAttribute("aria-sort", i !== column ? "none" : down ? "descending" : "ascending"));
    state.sort[model.name] = column < 0 ? undefined : [column, down];
    keep();
    show();
  };
  heads.forEach((th, i) => {
    th.tabIndex = 0;
    th.setAttribute("role", "button");
    th.title = "sort by " + th.textContent;
    const press = () => (column !== i ? sort(i, false) : down ? sort(-1, false) : sort(i, true));
    th.addEventListener("click", press);
    th.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); press(); }
    });
  });
  input.addEventListener("input", () => { state.filter[model.name] = input.value; keep(); show(); });
  if (model.n >= 6) tools.append(input, said);
  const before = state.sort[model.name];
  if (before && before[0] < heads.length) sort(before[0], before[1]);
  else if (input.value) show();
  return { show, input };
};

for (const table of document.querySelectorAll("table.data")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const cell = (row, i) => rows[row].cells[i];
  const model = {
    name: table.dataset.name,
    columns: [...table.tHead.rows[0].cells].map((th) => th.textContent),
    n: rows.length,
    value: (row, i) => {
      const td = cell(row, i);
      if (td.dataset.v !== undefined) return parseFloat(td.dataset.v);
      return td.className === "r" ? number(td.textContent) : td.textContent;
    },
    text: (row) => rows[row].textContent.toLowerCase(),
    draw: (shown) => body.replaceChildren(...shown.map((i) => rows[i])),
  };
  const tools = make("div", { className: "tools" });
  interactive(model, table.tHead, tools);
  if (tools.childNodes.length) table.parentElement.before(tools);
}
