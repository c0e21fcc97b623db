// Curves that one may zoom.
const SVG = "http://www.w3.org/2000/svg";
const shape = (tag, fields, parent, text) => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(fields)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
};
const ticks = (low, high, n) => {
  const raw = (high - low) / n || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + 1e-9 * step; at += step) found.push(parseFloat(at.toPrecision(10)));
  return found;
};
const drawChart = (figure) => {
  const chart = JSON.parse(figure.dataset.chart);
  const [W, H, L, R, T, B] = [720, 330, 56, 14, 10, 38];
  const points = chart.series.flatMap((series) => series.points).filter((p) => p[1] !== null);
  if (!points.length) return;
  const span = (values) => values.reduce(([lo, hi], v) => [Math.min(lo, v), Math.max(hi, v)], [Infinity, -Infinity]);
  const whole = span(points.map((p) => p[0]));
  let view = whole;
  const svg = shape("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", tabindex: 0, "aria-label": chart.title }, figure);
  const x = (v) => L + ((v - view[0]) / (view[1] - view[0] || 1)) * (W - L - R);
  const draw = () => {
    svg.replaceChildren();
    const seen = chart.series.map((series) => series.points.filter((p) => p[1] !== null && p[0] >= view[0] - 1e-9 && p[0] <= view[1] + 1e-9));
    const heights = seen.flat().map((p) => p[1]);
    let [low, high] = heights.length ? span(heights) : [0, 1];
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    [low, high] = [low - room, high + room];
    const y = (v) => H - B - ((v - low) / (high - low)) * (H - T - B);
    const id = "clip" + Math.random().toString(36).slice(2);
    shape("rect", { x: L - 4, y: T, width: W - L - R + 8, height: H - T - B }, shape("clipPath", { id }, svg));
    for (const tick of ticks(low, high, 6)) {
      shape("line", { x1: L, x2: W - R, y1: y(tick), y2: y(tick), class: "grid" }, svg);
      shape("text", { x: L - 6, y: y(tick) + 4, "text-anchor": "end" }, svg, String(tick));
    }
    for (const tick of ticks(view[0], view[1], 9)) shape("text", { x: x(tick), y: H - B + 16, "text-anchor": "middle" }, svg, String(tick));
    shape("text", { x: (L + W - R) / 2, y: H - 4, "text-anchor": "middle" }, svg, chart.x);
    shape("text", { x: 12, y: T + (H - T - B) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${T + (H - T - B) / 2})` }, svg, chart.y);
    const inside = shape("g", { "clip-path": `url(#${id})` }, svg);
    for (const mark of chart.marks || []) shape("line", { x1: x(mark), x2: x(mark), y1: T, y2: H - B, class: "mark" }, inside);
    for (const series of chart.series) {
      const known = series.points.filter((p) => p[1] !== null);
      let begins = true;  // a line has gaps where there is no value
      let path = "";
      for (const [at, value] of series.points) {
        if (value !== null) path += `${begins ? "M" : "L"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
        begins = value === null;
      }
      const line = shape("path", { d: path, stroke: series.color, "stroke-dasharray": series.dash || "", class: series.faint ? "line faint" : "line" }, inside);
      shape("title", {}, line, series.label);
      if (known.length === 1) shape("circle", { cx: x(known[0][0]), cy: y(known[0][1]), r: 3, fill: series.color }, inside);
    }
  };
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    const where = ((event.clientX - box.left) / box.width) * W;
    return view[0] + ((Math.min(Math.max(where, L), W - R) - L) / (W - L - R)) * (view[1] - view[0]);
  };
  const look = (from, to) => {
    const width = Math.min(Math.max(to - from, (whole[1] - whole[0]) / 500), whole[1] - whole[0]);
    const start = Math.min(Math.max(from, whole[0]), whole[1] - width);
    view = [start, start + width];
    back.hidden = width >= whole[1] - whole[0] - 1e-9;
    draw();
  };
  let begun = null;
  let box = null;
  svg.addEventListener("pointerdown", (event) => {
    begun = at(event);
    box = shape("rect", { x: x(begun), y: T, width: 0, height: H - T - B, class: "drag" }, svg);
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (begun === null) return;
    const [from, to] = [begun, at(event)].sort((a, b) => a - b);
    box.setAttribute("x", x(from));
    box.setAttribute("width", x(to) - x(from));
  });
  svg.addEventListener("pointerup", (event) => {
    if (begun === null) return;
    const [from, to] = [begun, at(event)].sort((a, b) => a - b);
    begun = null;
    box.remove();
    if (x(to) - x(from) > 6) look(from, to);
  });
  svg.addEventListener("pointercancel", () => { begun = null; if (box) box.remove(); });
  const middle = (factor) => {
    const [centre, half] = [(view[0] + view[1]) / 2, ((view[1] - view[0]) * factor) / 2];
    look(centre - half, centre + half);
  };
  const reset = () => look(whole[0], whole[1]);
  svg.addEventListener("dblclick", reset);
  svg.addEventListener("keydown", (event) => {
    const step = (view[1] - view[0]) / 5;
    const does = { "+": () => middle(0.5), "-": () => middle(2), Escape: reset, ArrowLeft: () => look(view[0] - step, view[1] - step), ArrowRight: () => look(view[0] + step, view[1] + step) }[event.key];
    if (does) { event.preventDefault(); does(); }
  });
  const back = make("button", { type: "button", textContent: "whole curve", hidden: true });
  back.addEventListener("click", reset);
  const legend = make("div", { className: "legend-of" }, ...chart.series.filter((series) => !series.faint).map((series) => {
    const sample = make("i");
    sample.style.background = series.color;
    return make("span", {}, sample, series.label);
  }));
  figure.append(legend, make("div", { className: "tools" }, "drag, or + and -, to zoom; arrows move; Esc or a double click shows all ", back));
  draw();
};
// Charts that are folded are drawn when they are unfolded.
const drawCharts = () => {
  for (const figure of document.querySelectorAll("figure.chart:not([data-drawn])")) {
    if (figure.closest("details:not([open])")) continue;
    figure.dataset.drawn = "";
    drawChart(figure);
  }
};
drawCharts();
