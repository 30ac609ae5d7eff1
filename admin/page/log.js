// The log's tail, and the levels.
import { h, text, list, number } from './dom.js';
import { get, post } from './api.js';
import { attempt } from './dialog.js';

const names = ['debug', 'info', 'notice', 'warning', 'error', 'critical'];
const rank = { debug: 0, info: 1, notice: 2, warn: 3, warning: 3, error: 4, critical: 5, alert: 6, emergency: 7 };
const most = 500; // lines on the page
let app, search, least, out, follow, levels, outputs, add;
let filled = false, serial = 0;

export const log = {
  mount(root, a) {
    app = a;
    search = h('input', { type: 'search', placeholder: 'Text in the record', 'aria-label': 'Search the log', oninput: () => draw(true) });
    least = h('select', { 'aria-label': 'Least level shown', onchange: () => draw(true) }, names.map((n) => h('option', { value: n }, `${n} and above`)));
    follow = h('input', { type: 'checkbox', checked: true });
    out = h('ol', { class: 'log', tabindex: '0', 'aria-label': 'Log records' });
    levels = h('tbody');
    outputs = h('p', { class: 'dim small' });
    const name = h('input', { name: 'name', required: true, placeholder: 'actors/breaker', 'aria-label': 'Logger name' });
    const level = choice('debug');
    add = h('form', { class: 'row', onsubmit: (e) => { e.preventDefault(); set(name.value.trim(), level.value); name.value = ''; } }, name, level, h('button', {}, 'Set level'));
    root.append(h('div', { class: 'row above' }, search, least, h('label', { class: 'row tight' }, follow, 'Follow')),
      h('div', { class: 'card flush' }, out), outputs,
      h('div', { class: 'card' }, h('h3', {}, 'Levels'), h('table', {},
        h('thead', {}, h('tr', {}, ['Logger', 'Level', ''].map((c) => h('th', { scope: 'col' }, c || h('span', { class: 'hidden-text' }, 'Actions'))))), levels), add));
  },
  async show() {
    if (filled) return draw(true);
    filled = true;
    try {
      const before = (await get('api/v1/log?lines=500')).lines;
      const have = new Set(app.lines);
      app.lines = before.filter((l) => !have.has(l)).concat(app.lines);
    } catch (err) {
      app.lines = [err.message];
    }
    draw(true);
  },
  arrived() { if (out?.isConnected) draw(); },
  update() {
    const l = app.state?.log;
    if (!l) return;
    text(outputs, l.outputs.map((o) => `${o.name}: ${number(o.written)} written, ${number(o.dropped)} dropped, ${number(o.pending)} pending${o.error ? `, failing: ${o.error}` : ''}`).join(' · '));
    list(levels, Object.entries(l.levels).sort(([x], [y]) => x.localeCompare(y)), ([n]) => n,
      ([n]) => h('tr', {}, h('th', { scope: 'row' }, n || 'everything else'), h('td', {}, choice('info', (e) => set(n, e.target.value), `Level of ${n || 'everything else'}`)),
        h('td', { class: 'num' }, n && h('button', { type: 'button', class: 'small', 'aria-label': `Give back ${n}`, onclick: () => set(n, '') }, 'Give back'))),
      (tr, [, v]) => {
        const select = tr.querySelector('select');
        if (document.activeElement !== select) select.value = normal(v);
      });
  },
};

const normal = (v) => { const n = v.toLowerCase(); return n === 'warn' ? 'warning' : n; };
const choice = (value, onchange, label = 'Level') => h('select', { 'aria-label': label, onchange }, names.map((n) => h('option', { value: n, selected: n === value }, n)));
const set = (name, level) => attempt(level ? `${name || 'Everything else'} is logged from ${level} up.` : `${name} takes the level of what is above it.`, () => post('api/v1/log/level', { name, level }));

// parse takes the three forms of a record; any other line is its own text.
function parse(line) {
  try {
    const { time, level, severity, msg, message, timestamp, ...rest } = JSON.parse(line);
    const at = time ?? (timestamp ? new Date(timestamp.seconds * 1000 + timestamp.nanos / 1e6).toISOString() : '');
    return { at: at.slice(11, 23), level: (level ?? severity ?? '').toLowerCase(), message: msg ?? message ?? '', rest };
  } catch {
    const found = /\b(DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL)\b/.exec(line);
    return { at: '', level: found ? found[1].toLowerCase() : '', message: line.replace(/\x1b\[[0-9;]*m/g, ''), rest: {} };
  }
}

const cache = new Map();

function draw(whole) {
  const bottom = whole || out.scrollHeight - out.scrollTop - out.clientHeight < 40;
  const s = search.value.toLowerCase();
  const from = rank[least.value];
  const records = app.lines.map((line) => {
    let r = cache.get(line);
    if (!r) cache.set(line, (r = { ...parse(line), line: line.toLowerCase(), key: ++serial }));
    return r;
  }).filter((r) => (rank[r.level] ?? 9) >= from && (!s || r.line.includes(s))).slice(-most);
  if (cache.size > 5000) cache.clear();
  list(out, records, (r) => r.key, record);
  if (follow.checked && bottom) out.scrollTop = out.scrollHeight;
}

function record(r) {
  const rest = Object.entries(r.rest).filter(([k, v]) => k !== 'service' && !((k === 'job_id' || k === 'job_name') && v === 'unknown'));
  return h('li', { 'data-level': r.level },
    h('time', {}, r.at), h('span', { class: 'level' }, (r.level || '·').toUpperCase()),
    h('span', { class: 'msg' }, r.message, ...rest.flatMap(([k, v]) => [' ', h('span', { class: 'kv' }, h('b', {}, k), `=${typeof v === 'string' ? v : JSON.stringify(v)}`)])));
}
