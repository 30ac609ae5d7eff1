// The schedules: what is next, what was last, and an operator's orders.
import { h, text, list, clock } from './dom.js';
import { post } from './api.js';
import { attempt } from './dialog.js';

let app, body;
const columns = ['Schedule', 'Times', 'Next', 'Last sent', 'Last run here', 'Took', 'Missed', 'Skipped', ''];
const when = (at) => (at ? clock(at) : '–');

export const schedules = {
  mount(root, a) {
    app = a;
    body = h('tbody');
    root.append(h('p', { class: 'dim' }, 'A pause is of the whole fleet. Runs, failures and skipped ticks are those of this process.'),
      h('div', { class: 'card' }, h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Schedules' },
        h('table', {}, h('thead', {}, h('tr', {}, columns.map((c) => h('th', { scope: 'col' }, c)))), body))));
  },

  update() {
    list(body, app.state?.schedules ?? [], (s) => s.name, row, fill);
  },
};

function row(s) {
  const tr = h('tr', { 'data-schedule': s.name },
    h('td', {}, s.name, h('div', { class: 'dim small', 'data-cell': 'task' })), h('td', { 'data-cell': 'times' }), h('td', { 'data-cell': 'next' }),
    h('td', { 'data-cell': 'sent' }), h('td', { 'data-cell': 'run' }), h('td', { 'data-cell': 'took' }), h('td', { 'data-cell': 'missed' }), h('td', { 'data-cell': 'skipped' }),
    h('td', { class: 'row tight' },
      h('button', { type: 'button', class: 'small', 'data-act': 'run', onclick: () => attempt(`${s.name} was sent.`, () => post('api/v1/schedules/run', { name: s.name })) }, 'Run now'),
      h('button', { type: 'button', class: 'small', 'data-act': 'pause', onclick: (e) => {
        const act = e.currentTarget.dataset.to;
        return attempt(`${s.name}: ${act}d.`, () => post(`api/v1/schedules/${act}`, { name: s.name }));
      } }, 'Pause')));
  return tr;
}

function fill(tr, s) {
  const cell = (name, value) => text(tr.querySelector(`[data-cell=${name}]`), value);
  cell('task', [s.task, s.source, s.error].filter(Boolean).join(' · '));
  cell('times', `${s.expr} ${s.zone}`);
  cell('next', s.paused ? `paused by ${s.paused}` : when(s.next));
  cell('sent', when(s.last_sent));
  cell('run', s.last_run ? `${when(s.last_run.began)}${s.last_run.error ? ` failed: ${s.last_run.error}` : ''}` : '–');
  cell('took', s.last_run ? `${s.last_run.took_seconds.toFixed(1)} s` : '–');
  cell('missed', `${s.missed}`);
  cell('skipped', `${s.skipped}`);
  const button = tr.querySelector('[data-act=pause]');
  button.dataset.to = s.paused === 'operator' ? 'resume' : 'pause';
  text(button, s.paused === 'operator' ? 'Resume' : 'Pause');
}
