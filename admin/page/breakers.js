// The breakers: a tree of services and paths, and an operator's states.
import { h, text, attr, list, number, plural, until, clock, pill, setPill } from './dom.js';
import { get, post } from './api.js';
import { attempt } from './dialog.js';

let app, trees, note, logBody, span, logNote;
let transitions = [];
const seen = new Map(); // service → last transition that was fetched

const acts = [['forced-open', 'Force open', 'Refuse every call'], ['forced-closed', 'Force closed', 'Admit every call and count none'],
  ['metrics-only', 'Metrics only', 'Admit every call, show what would have been'], ['reset', 'Reset', 'Close it and end what was forced']];

export const breakers = {
  mount(root, a) {
    app = a;
    span = h('select', { 'aria-label': 'How long a forced state lasts' },
      [['5m', '5 minutes'], ['1m', '1 minute'], ['30m', '30 minutes'], ['2h', '2 hours'], ['24h', '1 day'], ['0s', 'until reset']].map(([v, l]) => h('option', { value: v }, l)));
    note = h('p', { class: 'dim' }, 'The service has no breaker.');
    trees = h('div', { class: 'trees' });
    logBody = h('tbody');
    logNote = h('p', { class: 'dim' }, 'No breaker has changed its state.');
    root.append(h('div', { class: 'row above' }, h('label', { class: 'row tight' }, 'Force for', span)), note, trees,
      h('div', { class: 'card' }, h('h3', {}, 'Transitions'), logNote, h('div', { class: 'scroll tall', tabindex: '0', role: 'region', 'aria-label': 'Transitions' },
        h('table', {}, h('thead', {}, h('tr', {}, ['When', 'Service and path', 'From', 'To', 'Why'].map((c) => h('th', { scope: 'col' }, c)))), logBody))));
  },

  update() {
    const all = app.state?.breakers ?? [];
    const left = app.state?.more?.breakers ?? 0;
    note.hidden = all.length > 0 && !left;
    text(note, left ? `${number(left)} more breakers are not shown; those in trouble are.` : 'The service has no breaker.');
    list(trees, all, (b) => b.service, tree, (el, b) => {
      setPill(el.querySelector('h3 + .pill'), b.state);
      text(el.querySelector('.more'), b.more ? `and ${number(b.more)} more paths` : '');
      text(el.querySelector('.limits'), limits(b));
      list(el.querySelector('ul'), b.entries, (e) => e.path, (e) => entry(b.service, e), (li, e) => fill(li, e));
    });
    for (const b of all) if ((seen.get(b.service) ?? 0) < b.seq) fetchLog(b);
    logNote.hidden = transitions.length > 0;
    list(logBody, transitions.slice(0, 200), (t) => `${t.service} ${t.seq}`, (t) => h('tr', {},
      h('td', { class: 'dim' }, h('time', { datetime: t.at }, clock(t.at))), h('td', {}, `${t.service}${t.path}`),
      h('td', {}, pill(t.from)), h('td', {}, pill(t.to), t.shadow ? h('span', { class: 'dim small' }, ' would have been') : ''), h('td', { class: 'why' }, t.reason)));
  },
};

async function fetchLog(b) {
  const since = seen.get(b.service) ?? 0;
  seen.set(b.service, b.seq);
  try {
    const fresh = (await get(`api/v1/transitions?${new URLSearchParams({ service: b.service, since })}`)).list;
    if (fresh.length) seen.set(b.service, Math.max(b.seq, fresh.at(-1).seq));
    const have = new Set(transitions.map((t) => `${t.service} ${t.seq}`));
    transitions = transitions.concat(fresh.filter((t) => !have.has(`${t.service} ${t.seq}`))).sort((x, y) => Date.parse(y.at) - Date.parse(x.at) || y.seq - x.seq).slice(0, 1000);
    breakers.update();
  } catch {
    seen.set(b.service, since); // with the next state again
  }
}

function tree(b) {
  return h('article', { class: 'card tree', 'data-service': b.service },
    h('div', { class: 'row' }, h('h3', {}, b.service), pill(b.state)),
    h('p', { class: 'dim small limits' }), h('ul', { class: 'plain' }), h('p', { class: 'dim small more' }));
}

// The limit of calls in flight, and the addresses behind the name, where the service has them.
function limits(b) {
  const parts = [];
  if (b.limit) {
    parts.push(`limit ${number(b.limit.limit)}`, `${number(b.limit.in_flight)} in flight`, `${number(b.limit.waiting)} queued`,
      `${number(b.limit.refused)} refused`);
  }
  if (b.addresses) {
    const out = (b.addresses.open ?? 0) + (b.addresses['half-open'] ?? 0);
    parts.push(plural((b.addresses.closed ?? 0) + out, 'address', 'addresses') + (out ? `, ${number(out)} left out` : ''));
  }
  return parts.join(' · ');
}

function entry(service, e) {
  const depth = Math.min(e.path.split('/').length - 1, 8);
  const where = e.path || 'the whole service';
  const may = e.path.startsWith('@') ? acts.filter(([to]) => to === 'reset') : acts; // an address is not forced
  return h('li', { class: 'entry', 'data-path': e.path, 'data-depth': depth },
    h('span', { class: 'path' }, e.path || '/'), pill(e.state), h('span', { class: 'dim small counts' }),
    h('span', { class: 'row tight push' }, may.map(([to, label, title]) => h('button', {
      type: 'button', class: `small${to === 'forced-open' ? ' danger' : ''}`, title, 'data-act': to, 'aria-label': `${label}: ${service}${e.path}`,
      onclick: () => attempt(to === 'reset' ? `${service}${e.path} is reset.` : `${where} of ${service} is ${to} ${span.selectedOptions[0].textContent === 'until reset' ? 'until it is reset' : `for ${span.selectedOptions[0].textContent}`}.`,
        () => (to === 'reset' ? post('api/v1/breakers/reset', { service, path: e.path }) : post('api/v1/breakers/force', { service, path: e.path, to, for: span.value }))),
    }, label))));
}

function fill(li, e) {
  setPill(li.querySelector('.pill'), e.state);
  const parts = [];
  if (e.own !== e.state) parts.push(`${e.own} beneath`);
  if (e.failures) parts.push(plural(e.failures, 'failure'));
  if (e.successes) parts.push(plural(e.successes, 'success', 'successes'));
  if (e.probes) parts.push(`${number(e.probes)} probing`);
  if (e.hanging) parts.push(`${number(e.hanging)} hanging`);
  if (e.opens) parts.push(`opened ${number(e.opens)}×`);
  if (e.until) parts.push(`${e.state === 'open' ? 'next probe' : 'ends'} in ${until(e.until, app.now())}`);
  text(li.querySelector('.counts'), parts.join(' · '));
  attr(li, 'data-state', e.state);
}
