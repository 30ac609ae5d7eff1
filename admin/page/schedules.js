// The schedules: what is next, what was last, and an operator's orders.
import { h, text, attr, list, number, duration, clock, stamp } from './dom.js';
import { post } from './api.js';
import { attempt } from './dialog.js';

const columns = ['Schedule', 'Times', 'Next', 'Last sent', 'Last run here', 'Took', 'Missed', 'Skipped', ''];
const counts = ['Took', 'Missed', 'Skipped'];
let app, body;

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();
// when is the time, with its day unless that is today.
const when = (at) => (!at ? '–' : sameDay(at, app.now()) ? clock(at) : stamp(at));

export const schedules = {
  mount(root, a) {
    app = a;
    body = h('tbody');
    root.append(h('p', { class: 'dim' }, 'A pause is of the whole fleet. Runs, failures and skipped ticks are those of this process.'),
      h('div', { class: 'card' }, h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of schedules' },
        h('table', { class: 'stack schedules' },
          h('thead', {}, h('tr', {}, columns.map((c) => h('th', { scope: 'col', class: counts.includes(c) ? 'num' : '' }, c || h('span', { class: 'hidden-text' }, 'Actions'))))), body))));
  },

  update() {
    list(body, app.state?.schedules ?? [], (s) => s.name, row, fill);
  },
};

function row(s) {
  const cell = (name, label) => h('td', { 'data-cell': name, 'data-label': label, class: counts.includes(label) ? 'num' : '' });
  return h('tr', { 'data-schedule': s.name },
    h('th', { scope: 'row' }, h('span', { class: 'strong' }, s.name), h('div', { class: 'dim small', 'data-cell': 'task' }), h('div', { class: 'small bad-text', 'data-cell': 'error' })),
    h('td', { 'data-label': 'Times' }, h('span', { 'data-cell': 'times' }), h('div', { class: 'dim small', 'data-cell': 'zone' })),
    cell('next', 'Next'), cell('sent', 'Last sent'),
    h('td', { 'data-label': 'Last run here' }, h('span', { 'data-cell': 'run' }), h('div', { class: 'small bad-text', 'data-cell': 'failed' })),
    cell('took', 'Took'), cell('missed', 'Missed'), cell('skipped', 'Skipped'),
    h('td', {}, h('div', { class: 'row tight end' },
      h('button', { type: 'button', class: 'small', 'data-act': 'run', 'aria-label': `Run now: ${s.name}`, onclick: () => attempt(`${s.name} was sent.`, () => post('api/v1/schedules/run', { name: s.name })) }, 'Run now'),
      h('button', { type: 'button', class: 'small', 'data-act': 'pause', onclick: (e) => steer(s.name, e.currentTarget.dataset.to) }, 'Pause'))));
}

const steer = (name, to) => attempt(`${name} is ${to}d.`, () => post(`api/v1/schedules/${to}`, { name }));

function fill(tr, s) {
  const cell = (name, value) => text(tr.querySelector(`[data-cell=${name}]`), value);
  const run = s.last_run;
  cell('task', [s.task === s.name ? '' : s.task, `of the ${s.source}`].filter(Boolean).join(' · '));
  cell('error', s.error ?? '');
  cell('times', s.expr);
  cell('zone', s.zone);
  cell('next', s.paused ? `paused by ${s.paused}` : when(s.next));
  attr(tr.querySelector('[data-cell=next]'), 'class', s.paused ? 'warn-text' : null);
  cell('sent', when(s.last_sent));
  cell('run', when(run?.began));
  cell('failed', run?.error ? `failed: ${run.error}` : '');
  cell('took', run ? duration(run.took_seconds) : '–');
  cell('missed', number(s.missed));
  cell('skipped', number(s.skipped));
  const button = tr.querySelector('[data-act=pause]');
  button.hidden = s.paused === 'settings'; // only the settings end that
  button.dataset.to = s.paused === 'operator' ? 'resume' : 'pause';
  text(button, s.paused === 'operator' ? 'Resume' : 'Pause');
  attr(button, 'aria-label', `${s.paused === 'operator' ? 'Resume' : 'Pause'} ${s.name}`);
}
