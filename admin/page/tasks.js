// What each task has done, and pausing.
import { h, text, attr, list, number, plural, duration, pill } from './dom.js';
import { post } from './api.js';
import { attempt } from './dialog.js';

const columns = ['Task', 'Running', 'Done', 'Failed', 'Waits', 'Given up', 'Run p50', 'p99', 'Delay p50', 'p99', ''];
const tenantColumns = ['Tenant', 'Messages', 'Mean wait', 'Longest'];
let body, pool, empty, held, tenants, tenantBody;

const steer = (task, paused) => attempt(`${task || 'The pool'} is ${paused ? 'resumed' : 'paused'}.`,
  () => post(`api/v1/tasks/${paused ? 'resume' : 'pause'}`, { task }));

// byOperator reports whether an operator has paused the pool, apart from checks that do.
const byOperator = (w) => w.paused_by_operator;

export const tasks = {
  mount(root, app) {
    body = h('tbody');
    empty = h('p', { class: 'dim' }, 'No task is registered.');
    pool = h('button', { type: 'button', onclick: () => steer('', byOperator(app.state.workers)) }, 'Pause the pool');
    tenantBody = h('tbody');
    tenants = h('div', { class: 'card', hidden: true }, h('h2', {}, 'Tenants that wait longest on the queue'),
      h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of tenants' }, h('table', { class: 'stack' },
        h('thead', {}, h('tr', {}, tenantColumns.map((c, i) => h('th', { scope: 'col', class: i ? 'num' : '' }, c)))), tenantBody)));
    held = h('p', { class: 'warn-text held', role: 'status', hidden: true });
    root.append(h('div', { class: 'row end above' }, held, pool),
      h('div', { class: 'card' }, empty, h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of tasks' },
        h('table', { class: 'stack' },
          h('thead', {}, h('tr', {}, columns.map((c, i) => h('th', { scope: 'col', class: i ? 'num' : '' }, c || h('span', { class: 'hidden-text' }, 'Actions'))))), body))), tenants);
  },

  update(app) {
    const s = app.state;
    if (!s?.workers) return;
    const by = s.workers.paused_by ?? [];
    held.hidden = !by.length;
    text(held, by.length ? `No task starts: the ${by.length === 1 ? 'check' : 'checks'} ${by.join(', ')} ${by.length === 1 ? 'fails' : 'fail'}. Tasks go on by themselves when ${by.length === 1 ? 'it passes' : 'they pass'}.` : '');
    text(pool, byOperator(s.workers) ? 'Resume the pool' : 'Pause the pool');
    empty.hidden = (s.tasks ?? []).length > 0;
    const waits = s.workers.tenants ?? [];
    tenants.hidden = !waits.length;
    list(tenantBody, waits, (t) => t.tenant, () => h('tr', {}, h('th', { scope: 'row' }), ...tenantColumns.slice(1).map((c) => h('td', { class: 'num', 'data-label': c }))), (tr, t) => {
      [t.tenant || 'all others', number(t.messages), duration(t.dwell_seconds), duration(t.longest_seconds)].forEach((c, i) => text(tr.children[i], c));
    });
    list(body, s.tasks ?? [], (t) => t.name, (t) => row(t), (tr, t) => {
      tr._task = t;
      const cells = [null, number(t.running), number(t.succeeded), number(t.failed), number(t.waits + t.given_back + t.postponed), number(t.given_up),
        ...[t.run, t.delay].flatMap((d) => [d.p50_seconds, d.p99_seconds].map((v) => (v ? duration(v) : '–')))];
      cells.forEach((c, i) => i && text(tr.children[i], c));
      attr(tr.children[3], 'data-tone', t.failed ? 'bad' : null);
      attr(tr.children[3], 'title', t.panicked ? `${number(t.panicked)} of them panics` : null);
      attr(tr.children[4], 'title', `${number(t.waits)} in place, ${number(t.given_back)} given back to the queue, ${number(t.postponed)} postponed to their time`);
      attr(tr.children[5], 'data-tone', t.given_up ? 'bad' : null);
      text(tr.querySelector('.stalls'), t.stalled ? ` · ${number(t.stalled)} stalled` : '');
      attr(tr.querySelector('.stalls'), 'title', t.stalled ? 'attempts that did not move: silent task actors, and attempts without an end; the log names them' : null);
      tr.querySelector('.pill').hidden = !t.paused;
      tr.querySelector('.waits').hidden = !t.waits_for;
      text(tr.querySelector('.waits'), t.waits_for ? ` · waits for ${t.waits_for.replace(/^[a-z]+:\/\//, '')}` : '');
      text(tr.querySelector('button'), t.paused ? 'Resume' : 'Pause');
      attr(tr.querySelector('button'), 'aria-label', `${t.paused ? 'Resume' : 'Pause'} ${t.name}`);
      tr.querySelector('button').hidden = !t.registered;
    });
  },
};

function row(t) {
  const tr = h('tr', {});
  const note = t.registered ? `gives up after ${plural(t.max_failures, 'failure')}` : 'not registered here';
  tr.append(h('th', { scope: 'row' }, h('span', { class: 'strong' }, t.name || 'no name'), ' ', pill('paused'), h('div', { class: 'dim small' }, note, h('span', { class: 'stalls bad-text' }), h('span', { class: 'waits warn-text', hidden: true }))),
    ...columns.slice(1, -1).map((c, i) => h('td', { class: 'num', 'data-label': i === 6 ? 'Run p99' : i === 8 ? 'Delay p99' : c })),
    h('td', { class: 'num' }, h('button', { type: 'button', class: 'small', onclick: () => steer(t.name, tr._task.paused) }, 'Pause')));
  return tr;
}
