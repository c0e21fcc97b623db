// Keys, what was open before, and reloading.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || /^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
  const shown = [...document.querySelectorAll(".tools input")].filter((one) => one.offsetParent);
  const input = shown.find((one) => one.getBoundingClientRect().top >= 0) || shown[0];
  if (input) { event.preventDefault(); input.focus(); }
});
for (const details of document.querySelectorAll("details[id]")) if (details.id in state.open) details.open = state.open[details.id];
for (const details of document.querySelectorAll("details[open]")) unfolded(details);
if (state.y !== undefined) { scrollTo(0, state.y); delete state.y; keep(); } else follow();

const RELOAD_MS = 20000;
const reload = () => { state.y = scrollY; keep(); location.reload(); };
// What a sweep has not written for so long, it no longer writes: it was killed, or its machine is gone.
const STALE_MS = 3600000;
const isStale = (section) => Date.now() - Date.parse(section.dataset.written) > STALE_MS;
let live = $("live");
if (live && live.dataset.alive === "true" && isStale(live)) {
  live.querySelector("h2")?.append(" an hour ago or more, when this was written: it may be over");
} else if (live && live.dataset.alive === "true") {
  const busy = () => /^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName) || String(getSelection());
  const again = () => (busy() ? setTimeout(again, 2000) : reload());
  setTimeout(again, RELOAD_MS);
  if (location.protocol.startsWith("http")) setInterval(async () => {
    try {
      const answer = await fetch("live", { credentials: "same-origin" });
      if (!answer.ok) return;
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
      if (found) { live.replaceWith(found); live = found; }
    } catch { /* the server is gone; the page stays as it is */ }
  }, 3000);
}
