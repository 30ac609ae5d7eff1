// The settings in force, and where each came from.
import { h, text, list, number } from './dom.js';
import { get } from './api.js';

let search, changed, body, note;
let all = [];

export const settings = {
  mount(root) {
    search = h('input', { type: 'search', placeholder: 'Key, value, source or meaning', 'aria-label': 'Search settings', oninput: draw });
    changed = h('input', { type: 'checkbox', onchange: draw });
    note = h('span', { class: 'dim', role: 'status' });
    body = h('tbody');
    root.append(h('div', { class: 'row above' }, search, h('label', { class: 'row tight' }, changed, 'Only what is not the default'), note),
      h('div', { class: 'card' }, h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of settings' }, h('table', { class: 'stack settings' },
        h('thead', {}, h('tr', {}, ['Key', 'Value', 'From', 'Meaning'].map((c) => h('th', { scope: 'col' }, c)))), body))));
  },
  async show() {
    try {
      all = (await get('api/v1/settings')).list ?? [];
      draw();
    } catch (err) {
      text(note, err.message);
    }
  },
};

function draw() {
  const s = search.value.trim().toLowerCase();
  const found = all.filter((x) => (!changed.checked || x.from !== 'default') && (!s || `${x.key} ${x.value} ${x.from} ${x.doc}`.toLowerCase().includes(s)));
  text(note, found.length === all.length ? `${number(all.length)} settings` : `${number(found.length)} of ${number(all.length)} settings`);
  list(body, found, (x) => x.key, (x) => h('tr', { 'data-changed': x.from !== 'default' ? 'yes' : null },
    h('th', { scope: 'row' }, h('code', {}, x.key)), h('td', { 'data-label': 'Value' }, h('code', {}, x.value === '' ? '–' : x.value), x.secret ? h('span', { class: 'dim small' }, ' hidden') : ''),
    h('td', { 'data-label': 'From', class: 'dim' }, x.from), h('td', { class: 'dim small' }, x.doc ?? '')));
}
