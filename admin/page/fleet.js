// The fleet: the other processes of the service, what each says of itself, and orders to one or all.
import { h, text, attr, list, number, rate, plural, duration, pill, setPill } from './dom.js';
import { get, post } from './api.js';
import { attempt, show } from './dialog.js';

const columns = ['Member', 'Version', 'State', 'Up', 'Rates', 'Not closed', 'Last word', ''];
const silent = 6; // seconds without a word, which comes every two, after which a member is shown as silent
const every = 2000;

// fields of the orders: each is a text, or a choice of texts.
const task = { name: 'task', label: 'Task', hint: 'empty: the whole pool' };
const service = { name: 'service', label: 'Service', hint: 'scheme and host', required: true };
const path = { name: 'path', label: 'Path', hint: 'empty: all of it' };
const span = { name: 'for', label: 'For', choices: [['5m', '5 minutes'], ['1m', '1 minute'], ['30m', '30 minutes'], ['2h', '2 hours'], ['24h', '1 day'], ['0s', 'until reset']] };
const orders = [
  { id: 'pause', title: 'Pause tasks', order: 'tasks/pause', fields: [task] },
  { id: 'resume', title: 'Resume tasks', order: 'tasks/resume', fields: [task] },
  ...[['forced-open', 'Force a breaker open'], ['forced-closed', 'Force a breaker closed'], ['metrics-only', 'Metrics only']].map(([to, title]) => (
    { id: to, title, order: 'breakers/force', fields: [service, path, span], more: { to } })),
  { id: 'reset', title: 'Reset a breaker', order: 'breakers/reset', fields: [service, path] },
  { id: 'level', title: 'Set a log level', order: 'log/level', fields: [{ name: 'name', label: 'Logger', hint: 'empty: the root' }, { name: 'level', label: 'Level', choices: ['', 'debug', 'info', 'warn', 'error'].map((l) => [l, l || 'as above it']) }] },
  { id: 'cancel', title: 'Cancel an execution', order: 'executions/cancel', fields: [{ name: 'exec_id', label: 'Execution', hint: 'exec_id', required: true }] },
];

let app, body, note, target, order, inputs, answers, answerRows, outcome;
let members = [];

// seconds is a time without fractions, which would flicker.
const seconds = (s) => duration(Math.round(s)).replace('.0 s', ' s');
let at = 0, busy = false, visible = false;

export const fleet = {
  mount(root, a) {
    app = a;
    body = h('tbody');
    note = h('p', { class: 'dim', role: 'status' }, 'Asking for the members.');
    target = h('select', { name: 'member', 'aria-label': 'Member' }, h('option', { value: '' }, 'every member'));
    order = h('select', { name: 'order', 'aria-label': 'Order', onchange: fields }, orders.map((o) => h('option', { value: o.id }, o.title)));
    inputs = h('span', { class: 'row tight' });
    outcome = h('p', { class: 'small', role: 'status', 'data-outcome': true });
    answerRows = h('tbody');
    answers = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Answers of the members', hidden: true },
      h('table', { class: 'answers' }, h('thead', {}, h('tr', {}, ['Member', 'Answer'].map((c) => h('th', { scope: 'col' }, c)))), answerRows));
    root.append(note,
      h('div', { class: 'card' }, h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of members' },
        h('table', { class: 'stack fleet' },
          h('thead', {}, h('tr', {}, columns.map((c) => h('th', { scope: 'col' }, c || h('span', { class: 'hidden-text' }, 'Actions'))))), body))),
      h('div', { class: 'card' }, h('h3', {}, 'Orders'),
        h('form', { class: 'row', onsubmit: give }, order, inputs, h('span', { class: 'dim' }, 'to'), target, h('button', { class: 'primary' }, 'Give the order')),
        outcome, answers));
    fields();
  },
  show() { visible = true; at = 0; load(); },
  hide() { visible = false; },
  update() { if (visible) load(); },
};

const chosen = () => orders.find((o) => o.id === order.value);

function fields() {
  inputs.replaceChildren(...chosen().fields.map((f) => (f.choices
    ? h('select', { name: f.name, 'aria-label': f.label }, f.choices.map(([v, l]) => h('option', { value: v }, l)))
    : h('input', { name: f.name, 'aria-label': f.label, placeholder: `${f.label}${f.hint ? ` (${f.hint})` : ''}`, required: f.required, autocomplete: 'off' }))));
}

async function load() {
  if (busy || Date.now() - at < every) return;
  busy = true;
  at = Date.now();
  try {
    const page = await get('api/v1/fleet');
    members = page.list;
    text(note, `${plural(members.filter((m) => !m.gone).length, 'member')}${page.more ? `, ${number(page.more)} more are not shown` : ''}. Each says every two seconds how it is; details and orders go to its own admin server.`);
  } catch (err) {
    text(note, err.message);
  }
  busy = false;
  draw();
}

function draw() {
  list(body, members, (m) => m.name, row, fill);
  const there = members.filter((m) => !m.gone);
  const kept = target.value;
  list(target, [{ name: '' }, ...there], (m) => m.name, (m) => h('option', { value: m.name }, m.name || 'every member'), null);
  if (target.value !== kept) target.value = kept;
}

function row(m) {
  const cell = (name, label) => h('td', { 'data-cell': name, 'data-label': label });
  return h('tr', { 'data-member': m.name },
    h('th', { scope: 'row' }, h('span', { class: 'strong' }, m.name), h('div', { class: 'dim small', 'data-cell': 'addr' })),
    cell('version', 'Version'), h('td', { 'data-label': 'State' }, pill('running')), cell('up', 'Up'), cell('rates', 'Rates'),
    h('td', { 'data-label': 'Not closed' }, h('ul', { class: 'plain', 'data-cell': 'open' })), cell('age', 'Last word'),
    h('td', {}, h('button', { type: 'button', class: 'small', 'aria-label': `Details of ${m.name}`, onclick: () => details(m.name) }, 'Details')));
}

function fill(tr, m) {
  const cell = (name, value) => text(tr.querySelector(`[data-cell=${name}]`), value);
  const quiet = !m.gone && m.age_seconds !== null && m.age_seconds > silent;
  cell('addr', [m.self ? 'this one' : '', m.addr].filter(Boolean).join(' · '));
  cell('version', m.version || '–');
  setPill(tr.querySelector('.pill'), m.gone || (quiet ? 'silent' : m.state) || 'unknown');
  cell('up', m.state ? seconds(m.uptime_seconds) : '–');
  cell('rates', Object.entries(m.rates ?? {}).sort().map(([name, n]) => `${name} ${rate(n)}/s`).join(', ') || '–');
  list(tr.querySelector('[data-cell=open]'), [...(m.open ?? []), ...(m.more ? [{ service: `and ${number(m.more)} more`, path: '', state: '' }] : [])],
    (e) => `${e.service} ${e.path} ${e.state}`, (e) => h('li', {}, h('span', { class: 'path' }, `${e.service}${e.path}`), ' ', e.state ? pill(e.state) : ''), null);
  cell('age', m.age_seconds === null ? 'none yet' : `${seconds(m.age_seconds)} ago`);
  attr(tr.querySelector('[data-cell=age]'), 'class', m.gone || quiet ? 'bad-text' : null);
  tr.querySelector('button').hidden = !!m.gone;
}

async function details(name) {
  const content = h('div', { class: 'details' }, h('p', { class: 'dim' }, 'Asking the member.'));
  const closed = show(name, content, [{ value: '', label: 'Close', focus: true }]);
  try {
    content.replaceChildren(...about(await get(`api/v1/fleet/${encodeURIComponent(name)}/state`)));
  } catch (err) {
    content.replaceChildren(h('p', { class: 'bad-text', role: 'alert' }, err.message));
  }
  await closed;
}

function about(s) {
  const fact = (label, value) => [h('dt', {}, label), h('dd', {}, value)];
  const w = s.workers;
  const entries = (s.breakers ?? []).flatMap((b) => b.entries.map((e) => ({ name: `${b.service}${e.path}`, state: e.state })));
  const reasons = s.ready.reasons ?? [];
  return [h('dl', { class: 'facts wide' },
    ...fact('Process', [s.service.version, s.service.host, `pid ${s.service.pid}`, s.service.go_version].filter(Boolean).join(' · ')),
    ...fact('State', `${s.service.state}${reasons.length ? `, ${reasons.join(' · ')}` : ''}`),
    ...(w ? fact('Workers', `${number(w.running)} running, ${number(w.waiting)} waiting, ${number(w.queued)} queued${w.paused ? ', paused' : ''}`) : []),
    ...(s.tasks?.length ? fact('Tasks', s.tasks.slice(0, 20).map((t) => `${t.name}: ${number(t.succeeded)} done, ${number(t.failed)} failed${t.paused ? ', paused' : ''}`).join(' · ')) : []),
    ...(s.parts?.length ? fact('Parts', s.parts.map((p) => `${p.name} ${p.state}`).join(' · ')) : [])),
  h('h3', {}, 'Breakers'),
  h('ul', { class: 'plain' }, entries.length ? entries.slice(0, 100).map((e) => h('li', { class: 'row' }, h('span', { class: 'path' }, e.name), pill(e.state))) : h('li', { class: 'dim' }, 'none'))];
}

// give sends the order and shows what each member has answered.
async function give(event) {
  event.preventDefault();
  const o = chosen();
  const form = new FormData(event.target);
  const fields = { ...o.more };
  for (const f of o.fields) fields[f.name] = form.get(f.name).trim();
  const to = target.value;
  const said = o.fields.map((f) => fields[f.name]).filter(Boolean).join(' ');
  if (!to && await show('To every member?', h('p', {}, `${o.title}${said ? `: ${said}` : ''}. It goes to ${plural(members.filter((m) => !m.gone).length, 'member')}.`),
    [{ value: '', label: 'Keep', focus: true }, { value: 'yes', label: o.title, class: 'danger' }]) !== 'yes') return;
  const result = await attempt((a) => `${o.title}: done by ${number(a.done)} of ${plural(a.list.length, 'member')}.`,
    () => post('api/v1/fleet/do', { order: o.order, body: fields, ...(to ? { members: [to] } : { all: true }) }));
  if (!result) return;
  text(outcome, `${o.title}${said ? ` (${said})` : ''}: done by ${number(result.done)} of ${plural(result.list.length, 'member')}.`);
  answers.hidden = false;
  answerRows.replaceChildren(...result.list.map((a) => h('tr', { 'data-answer': a.member }, h('th', { scope: 'row' }, a.member),
    h('td', { class: a.error ? 'bad-text' : '' }, a.error || words(a.answer)))));
}

// words is an answer in words: how many executions it touched, or that it is done.
const words = (answer) => (typeof answer?.found === 'number' ? plural(answer.found, 'execution') : 'done');
