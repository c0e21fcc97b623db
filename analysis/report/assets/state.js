// Small helpers, and what outlives a reload of the page.
const $ = (id) => document.getElementById(id);
const make = (tag, fields = {}, ...inside) => {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...inside);
  return element;
};

const KEY = "raysweep " + location.pathname;
const state = { open: {}, sort: {}, filter: {}, fields: {} };
try { Object.assign(state, JSON.parse(sessionStorage.getItem(KEY) || "{}")); } catch { /* a page of no origin */ }
const keep = () => {
  try { sessionStorage.setItem(KEY, JSON.stringify(state)); } catch { /* it then forgets */ }
};
