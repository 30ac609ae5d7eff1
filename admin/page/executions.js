// What is held now. Only the rows in sight exist and are asked for: ten thousand
// are as smooth as ten.
import { h, text, attr, number, plural, duration, ago, until, stamp, pill, setPill } from './dom.js';
import { get, post } from './api.js';
import { attempt, show } from './dialog.js';

const margin = 20; // rows beyond the window that are made ready
let app, search, phase, count, body, inner, note;
let rows = [];
let data = { offset: 0, list: [], matched: 0 };
let busy = false, again = false, visible = false;

const height = () => (matchMedia('(max-width: 700px)').matches ? 76 : 44);

export const executions = {
  mount(root, a) {
    app = a;
    search = h('input', { type: 'search', placeholder: 'Task, job, id or error', 'aria-label': 'Search executions', oninput: restart });
    phase = h('select', { 'aria-label': 'Phase', onchange: restart }, ['', 'running', 'waiting', 'queued', 'ending'].map((p) => h('option', { value: p }, p || 'every phase')));
    count = h('span', { class: 'dim', role: 'status' });
    inner = h('div', { class: 'vt-inner', role: 'presentation' });
    body = h('div', { class: 'vt-body', role: 'rowgroup', tabindex: '0', 'aria-label': 'Executions', onscroll: load }, inner);
    note = h('p', { class: 'dim empty', hidden: true }, 'Nothing is held now.');
    root.append(h('div', { class: 'row above' }, search, phase, count),
      h('div', { class: 'card vt' }, h('div', { role: 'table', 'aria-label': 'Executions' },
        h('div', { role: 'rowgroup' }, h('div', { class: 'vt-row vt-head', role: 'row' },
          ['Task', 'Job', 'Phase', 'Attempt', 'For', 'Until', 'Progress'].map((c) => h('span', { role: 'columnheader' }, c)))),
        body), note));
  },
  show() { visible = true; load(); },
  hide() { visible = false; },
  update() { if (visible) { load(); draw(); } },
};

function restart() {
  body.scrollTop = 0;
  load();
}

async function load() {
  if (busy) { again = true; return; }
  busy = true;
  const first = Math.max(0, Math.floor(body.scrollTop / height()) - margin);
  const limit = Math.min(500, Math.ceil((body.clientHeight || 600) / height()) + 2 * margin);
  const query = new URLSearchParams({ offset: first, limit, search: search.value, phase: phase.value });
  try {
    data = await get(`api/v1/executions?${query}`);
    draw();
  } catch (err) {
    text(count, err.message);
  }
  busy = false;
  if (again) { again = false; load(); }
}

function draw() {
  const size = height();
  inner.style.height = `${data.matched * size}px`;
  attr(body.parentElement, 'aria-rowcount', data.matched + 1);
  note.hidden = data.matched > 0;
  text(note, data.total ? 'No execution matches.' : 'Nothing is held now.');
  text(count, data.matched === data.total ? `${number(data.total)} held` : `${number(data.matched)} of ${number(data.total)} held`);
  while (rows.length < data.list.length) {
    const row = make();
    rows.push(row);
    inner.append(row);
  }
  rows.forEach((row, i) => {
    const e = data.list[i];
    row.hidden = !e;
    if (!e) return;
    row._exec = e;
    row.style.transform = `translateY(${(data.offset + i) * size}px)`;
    attr(row, 'aria-rowindex', data.offset + i + 2);
    fill(row, e);
  });
}

function make() {
  const row = h('div', { class: 'vt-row', role: 'row' },
    h('span', { role: 'cell' }, h('button', { type: 'button', class: 'link', onclick: () => detail(row._exec) })),
    ...['clip', '', 'num', 'num', 'num', 'clip'].map((c) => h('span', { role: 'cell', class: c })));
  row.children[1].append(h('span', { class: 'job-name' }), ' ', h('code', { class: 'dim small job-id' }));
  row.children[2].append(pill('running'));
  return row;
}

const known = (v) => (v && v !== 'unknown' ? v : '');

function fill(row, e) {
  const now = app.now();
  const c = row.children;
  text(c[0].firstChild, e.task || 'no name');
  attr(c[0].firstChild, 'aria-label', `${e.task || 'no name'}, execution ${e.exec_id}`);
  text(c[1].firstChild, known(e.job_name) || (known(e.job_id) ? '' : '–'));
  text(c[1].lastChild, known(e.job_id));
  attr(c[1], 'title', [known(e.job_name), known(e.job_id)].filter(Boolean).join(' · ') || null);
  setPill(c[2].firstChild, e.phase);
  text(c[3], e.failures ? `${e.attempt} (${e.failures} failed)` : e.attempt);
  text(c[4], ago(e.since, now));
  const end = e.phase === 'running' ? e.lease_until || e.until : e.until;
  text(c[5], end ? `${e.phase === 'running' && e.lease_until ? 'lease ' : ''}${until(end, now)}` : '–');
  const p = e.progress;
  text(c[6], p ? `${p.total ? `${Math.round((100 * p.done) / p.total)} %` : number(p.done)} ${p.note ?? ''}` : e.error || '–');
  attr(c[6], 'title', e.error ?? null);
}

// steps is the list of an execution's steps: the last ones, in the order of their ends.
function steps(e, now) {
  const what = (s) => ({ running: 'under way', sleep: `asleep until ${stamp(s.until)}`, failed: `failed, and the task went on: ${s.note}`, cursor: `at ${s.note}, ${ago(s.at, now)} ago` })[s.kind] ?? `done ${ago(s.at, now)} ago`;
  const left = e.step_count - e.steps.length;
  return h('ol', { class: 'steps', start: left + 1 }, e.steps.map((s) => h('li', {}, h('code', {}, s.lane ? `${s.lane} / ${s.name}` : s.name), ' ', h('span', { class: 'dim' }, what(s)))));
}

async function detail(e) {
  const now = app.now();
  const facts = [
    ['Execution', e.exec_id], ['Job', `${e.job_name} (${e.job_id})`], ['Phase', `${e.phase} for ${ago(e.since, now)}, since ${stamp(e.since)}`],
    ['Attempt', `${e.attempt}, ${plural(e.failures, 'failure')} so far`],
    e.until && [e.phase === 'waiting' ? 'Runs again' : 'Deadline', `in ${until(e.until, now)}`],
    e.lease_until && ['Lease', `ends in ${until(e.lease_until, now)} unless extended`],
    e.progress && ['Progress', `${number(e.progress.done)}${e.progress.total ? ` of ${number(e.progress.total)}` : ''} ${e.progress.note ?? ''}, reported ${ago(e.progress.at, now)} ago`],
    e.steps && [plural(e.step_count, 'step'), steps(e, now)],
    e.error && ['Last failure', e.error],
  ].filter(Boolean);
  const what = await show(e.task || 'no name', h('dl', { class: 'facts wide' }, facts.map(([k, v]) => h('div', {}, h('dt', {}, k), h('dd', {}, v)))),
    [{ value: 'cancel', label: 'Cancel for good…', class: 'danger' }, { value: 'snooze', label: 'Run again in 10 m' }, { value: '', label: 'Close', focus: true }]);
  if (what === 'snooze') {
    await attempt(`${e.task} runs again in ${duration(600)}.`, () => post('api/v1/executions/snooze', { exec_id: e.exec_id, for: '10m' }));
  } else if (what === 'cancel') {
    const sure = await show(`Cancel ${e.task} for good?`, h('p', {}, `Its attempt is ended and it is not tried again: it goes to its on_fail task or the dead letters. ${e.exec_id}`),
      [{ value: '', label: 'Keep it', focus: true }, { value: 'yes', label: 'Cancel it', class: 'danger' }]);
    if (sure === 'yes') await attempt(`${e.task} is cancelled.`, () => post('api/v1/executions/cancel', { exec_id: e.exec_id, reason: 'by an operator on the page' }));
  }
  load();
}
