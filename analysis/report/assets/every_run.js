// Every run.
const source = $("run-data");
const data = source && JSON.parse(source.textContent);
const pageOf = (run) => "pages/" + encodeURIComponent(data && data.files[run] ? data.files[run] : run + ".html");
const column = {};
if (data) for (const c of data.columns) column[c.name] = { ...c, at: (i) => (c.of ? c.of[c.codes[i]] : c.values[i]) };
const threeDigits = (v) => String(parseFloat(v.toPrecision(3)));
const inMillions = (v) => (v >= 999500 ? threeDigits(v / 1e6) + "M" : threeDigits(v / 1e3) + "K");
const written = (v, form) => {
  if (v === null || v === undefined) return "";
  if (typeof v !== "number") return String(v);
  if (typeof form === "number") return v.toFixed(form).replace(/\B(?=(\d{3})+(?!\d)(?=\.|$))/g, ",");
  if (form === "M") return inMillions(v);
  if (form === "s") return v >= 3600 ? (v / 3600).toFixed(1) + " h" : v.toFixed(0) + " s";
  if (form === "p") return v >= 0.0001 ? v.toFixed(4) : "<0.0001";
  if (form === "+") return (v < 0 ? "" : "+") + v.toFixed(2);
  if (form === "%") return (v < 0 ? "" : "+") + (100 * v).toFixed(1) + " %";
  if (form === "n") return Math.round(v).toLocaleString("en");
  return String(parseFloat(v.toPrecision(6)));
};
const SOME = 200;
let runTable = null;
const drawRuns = () => {
  if (runTable || !data) return runTable;
  const names = data.shown;
  const head = make("tr", {}, make("th", { textContent: "run" }), ...names.map((name) =>
    make("th", { textContent: column[name].heading || name, className: column[name].form === null ? "" : "r" })));
  const body = make("tbody");
  const more = make("button", { type: "button", textContent: "show more" });
  const drop = make("button", { type: "button", textContent: "all runs" });
  let limit = SOME;
  const rowOf = (i) => make("tr", {}, make("td", { className: "t" }, make("a", { href: pageOf(data.runs[i]), textContent: data.runs[i] })),
    ...names.map((name) => {
      const c = column[name];
      const text = written(c.at(i), c.form);
      return c.form === null ? make("td", { textContent: text }) : make("td", { className: "r" }, make("a", { href: pageOf(data.runs[i]), textContent: text }));
    }));
  const texts = [];
  const model = {
    name: "every-run",
    columns: ["run", ...names.map((name) => column[name].heading || name)],
    n: data.runs.length,
    only: null,
    hidden: (wanted) => {
      const name = [...Object.keys(column), ...Object.keys(data.common)].find((one) => one.toLowerCase() === wanted);
      return name && (column[name] ? column[name].at : () => data.common[name]);
    },
    value: (row, i) => (i === 0 ? data.runs[row] : column[names[i - 1]].at(row)),
    text: (row) => texts[row] ??= [data.runs[row], ...names.map((name) => written(column[name].at(row), column[name].form))].join(" ").toLowerCase(),
    draw: (rows) => {
      body.replaceChildren(...rows.slice(0, limit).map(rowOf));
      more.hidden = rows.length <= limit;
      more.textContent = `show more (${Math.min(limit, rows.length)} of ${rows.length} are shown)`;
      drop.hidden = !model.only;
    },
  };
  const tools = make("div", { className: "tools" });
  const thead = make("thead", {}, head);
  const table = make("table", { className: "data" }, thead, body);
  $("run-table").append(tools, make("div", { className: "table" }, table), make("div", { className: "tools" }, more));
  runTable = { model, ...interactive(model, thead, tools) };
  tools.append(drop);
  more.addEventListener("click", () => { limit *= 4; runTable.show(); });
  drop.addEventListener("click", () => { model.only = null; runTable.show(); });
  runTable.show();
  return runTable;
};

// From a number to the runs behind it: one run has a page; several are shown in the table of every run.
const showRuns = (runs) => {
  const table = drawRuns();
  if (!table) return;
  const wanted = new Set(runs);
  table.model.only = data.runs.map((run, i) => (wanted.has(run) ? i : -1)).filter((i) => i >= 0);
  table.input.value = state.filter["every-run"] = "";
  $("every-run").open = true;
  table.show();
  $("every-run").scrollIntoView();
  $("every-run").querySelector("summary").focus({ preventScroll: true });
};
document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest('a[href="#every-run"]');
  const row = link && link.closest("[data-runs]");
  if (!row) return;
  event.preventDefault();
  showRuns(row.dataset.runs.split(" "));
});
