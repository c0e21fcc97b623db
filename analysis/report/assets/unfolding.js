// Unfolding.
const unfolded = (details) => {
  if (details.id === "every-run") drawRuns();
  if (details.id === "compare") prepareCompare();
  drawCharts();
  for (const list of details.querySelectorAll("p.runs[data-runs='']")) {
    const names = list.textContent.split(" ");
    list.removeAttribute("data-runs");
    list.replaceChildren(`${names.length} run${names.length === 1 ? "" : "s"}: `,
      ...names.flatMap((run, i) => [i ? ", " : "", make("a", { href: pageOf(run), textContent: run })]));
  }
};
document.addEventListener("toggle", (event) => {
  const details = event.target;
  if (details.open) unfolded(details);
  if (details.id) { state.open[details.id] = details.open; keep(); }
}, true);
const reveal = (target) => {
  for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView();
};
const follow = () => {
  let name = location.hash.slice(1);
  try { name = decodeURIComponent(name); } catch { /* it is no name of ours */ }
  const target = name && $(name);
  if (target) reveal(target);
};
addEventListener("hashchange", follow);
document.addEventListener("click", (event) => {  // again to where one is already
  const link = event.target.closest && event.target.closest('a[href^="#"]');
  if (link && !event.defaultPrevented && link.hash === location.hash) follow();
});
