// Comparison of two arms or runs.
let members = null;
const prepareCompare = () => {
  if (members || !data) return;
  members = {};
  const experiments = column.experiment;
  data.runs.forEach((run, i) => {
    members[run] = [i];
    const name = experiments ? experiments.at(i) : data.common.experiment;
    if (name) (members[name] ??= []).push(i);
  });
  $("arms").replaceChildren(...Object.keys(members).map((name) => make("option", { value: name })));
  for (const [id, other] of [["compare-one", 0], ["compare-other", 1]]) {
    const input = $(id);
    input.value ||= state.fields[id] || "";  // somebody may have typed before the numbers were there
    input.addEventListener("input", () => { state.fields[id] = input.value; keep(); differ(); });
  }
  differ();
};
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const short = (value) => (typeof value === "number" ? String(parseFloat(value.toPrecision(6))) : value ?? "");
const sideOf = (c, rows) => {
  const values = [...new Set(rows.map((i) => c.at(i)))].filter((value) => value !== null);
  if (c.part === "results" && values.length && values.every((value) => typeof value === "number"))
    return mean(rows.map((i) => c.at(i)).filter((value) => value !== null));
  return values.length === 1 ? values[0] : values.map(short).join(", ");
};
const differ = () => {
  const [one, other] = ["compare-one", "compare-other"].map((id) => members[$(id).value]);
  const into = $("differences");
  if (!one || !other) { into.textContent = "Name two of the arms or runs."; return; }
  const rows = [];
  for (const part of ["configuration", "results", "provenance"])
    for (const c of Object.values(column)) {
      if (c.part !== part || ["run", "experiment", "seed", "error"].includes(c.name)) continue;
      const [a, b] = [sideOf(c, one), sideOf(c, other)];
      if (a === b) continue;
      const change = typeof a === "number" && typeof b === "number" && part === "results" ? b - a : null;
      rows.push([c.name + (c.cosmetic ? " (without effect)" : ""), part, short(a), short(b), change === null ? "" : (change < 0 ? "" : "+") + short(change)]);
    }
  if (!rows.length) { into.textContent = "They differ in nothing that was recorded."; return; }
  const cell = (text, i) => make("td", { textContent: text, className: i > 1 && i < 5 ? "r" : "" });
  into.replaceChildren(make("div", { className: "table" }, make("table", { className: "differences" },
    make("thead", {}, make("tr", {}, ...["field", "part", $("compare-one").value, $("compare-other").value, "change"].map((text) => make("th", { textContent: text })))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell)))))));
};
