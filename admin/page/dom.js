// Small tools for the views: elements, keyed lists, and words for numbers.

// visible shows marks that turn the direction of text as a replacement character:
// a foreign name must not change how the words around it read.
const marks = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
export const visible = (s) => (typeof s === 'string' ? s.replace(marks, '\ufffd') : s);

// h makes an element. Properties that begin with "on" are listeners; text is
// always text, never markup.
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) el.addEventListener(key.slice(2), value);
    else if (key === 'class') el.className = value;
    else if (value === true) el.setAttribute(key, '');
    else el.setAttribute(key, visible(value));
  }
  el.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false).map(visible));
  return el;
}

// text changes an element's text only if it differs: a live page keeps selections,
// and a screen reader does not repeat itself.
export function text(el, value) {
  value = visible(String(value));
  if (el.textContent !== value) el.textContent = value;
  return el;
}

export function attr(el, name, value) {
  if (value === null || value === false) el.removeAttribute(name);
  else if (el.getAttribute(name) !== visible(String(value))) el.setAttribute(name, visible(String(value)));
}

// list keeps the children of parent in step with items: one row for each item by
// its key, made once and updated after, to keep focus and scrolling.
export function list(parent, items, key, make, update) {
  const rows = (parent._rows ??= new Map());
  const keyed = new Map(items.map((item, i) => [key(item, i), item]));
  for (const [k, row] of rows) { // first, so that what stays need not be moved
    if (keyed.has(k)) continue;
    row.remove();
    rows.delete(k);
  }
  let at = parent.firstChild;
  let i = 0;
  for (const [k, item] of keyed) {
    let row = rows.get(k);
    if (!row) rows.set(k, (row = make(item, i)));
    update?.(row, item, i);
    if (row === at) at = at.nextSibling;
    else parent.insertBefore(row, at);
    i++;
  }
}

const plain = new Intl.NumberFormat('en');
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
export const number = (n) => (n >= 100000 ? compact.format(n) : plain.format(n ?? 0));

export function rate(n) {
  if (!n) return '0';
  if (n < 10) return n.toFixed(1);
  return number(Math.round(n));
}

export function duration(s) {
  if (s === undefined || s === null || Number.isNaN(s)) return '–';
  s = Math.max(s, 0);
  if (s === 0) return '0 s';
  if (s < 0.001) return `${Math.round(s * 1e6)} µs`;
  if (s < 1) return `${+(s * 1000).toPrecision(2)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  s = Math.round(s);
  if (s < 3600) return `${Math.floor(s / 60)} m ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// Times on a live page are whole seconds, or they would flicker.
const whole = (s) => (s < 1 ? '0 s' : duration(Math.round(s)).replace('.0 s', ' s'));
export const ago = (at, now) => whole((now - Date.parse(at)) / 1000);
export const until = (at, now) => whole(Math.max(0, (Date.parse(at) - now) / 1000));
export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
export const clock = (at) => new Date(at).toLocaleTimeString('en-GB');
export const stamp = (at) => `${new Date(at).toLocaleDateString('sv')} ${clock(at)}`;

// tones of the states that the service has words for.
const tones = {
  OK: 'good', running: 'good', RUNNING: 'good', closed: 'good', succeeded: 'good', settled: 'good',
  ERROR: 'bad', stopped: 'bad', open: 'bad', failed: 'bad', given_up: 'bad', abandoned: 'bad', lost_lease: 'bad',
  'forced-open': 'bad', settle_failed: 'bad', dead: 'bad', silent: 'bad', exhausted: 'bad', undecodable: 'bad',
  stopping: 'warn', starting: 'warn', STOPPING: 'warn', STOPPED: 'warn', 'half-open': 'warn', waiting: 'warn', paused: 'warn',
  held: 'warn', interrupted: 'warn', unrecognised: 'warn', cancelled: 'warn', unknown: 'warn', sealed: 'warn', too_late: 'warn', stalled: 'warn',
  'forced-closed': 'info', 'metrics-only': 'info', queued: 'info', received: 'info', started: 'info', given_back: 'info', postponed: 'info',
};

// pill is a state: its word, with a colour and a shape of the same meaning.
export function pill(word, label) {
  const el = h('span', { class: 'pill' });
  return setPill(el, word, label);
}

export function setPill(el, word, label) {
  attr(el, 'data-tone', tones[word] ?? 'info');
  return text(el, label ?? String(word).replaceAll('_', ' '));
}

const svg = 'http://www.w3.org/2000/svg';

// spark is a small curve of the last numbers.
export function spark(label) {
  const el = document.createElementNS(svg, 'svg');
  el.setAttribute('class', 'spark');
  el.setAttribute('viewBox', '0 0 120 32');
  el.setAttribute('preserveAspectRatio', 'none');
  el.setAttribute('role', 'img');
  el.setAttribute('aria-label', label);
  const area = document.createElementNS(svg, 'path');
  area.setAttribute('class', 'area');
  const line = document.createElementNS(svg, 'path');
  line.setAttribute('class', 'line');
  el.append(area, line);
  el.draw = (values, span = 120) => {
    const points = values.slice(-span);
    const top = Math.max(...points, 0) || 1;
    const x = (i) => 120 - ((points.length - 1 - i) * 120) / (span - 1);
    const y = (v) => 30 - (v / top) * 27;
    const d = points.map((v, i) => `${i ? 'L' : 'M'}${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join('');
    line.setAttribute('d', d);
    area.setAttribute('d', points.length > 1 ? `${d}L120 32L${x(0).toFixed(1)} 32Z` : '');
  };
  return el;
}
