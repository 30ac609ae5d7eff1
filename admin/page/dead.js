// The dead letters: why each died, and what to do with it.
import { h, text, attr, list, number, plural, ago, stamp, pill } from './dom.js';
import { get, post } from './api.js';
import { attempt, confirmTwice } from './dialog.js';

let app, search, items, note, all, back, gone, causes, causeRows;
let letters = [], more = false, trouble = '', chosen = new Set(), known = -1, loading = false, visible = false, only = '';

export const dead = {
  mount(root, a) {
    app = a;
    search = h('input', { type: 'search', placeholder: 'Task, job, reason, error or body', 'aria-label': 'Search dead letters', oninput: draw });
    all = h('input', { type: 'checkbox', onchange: () => { chosen = new Set(all.checked ? matching().map((d) => d.id) : []); draw(); } });
    back = h('button', { type: 'button', onclick: () => sendBack([...chosen]) }, 'Send back');
    gone = h('button', { type: 'button', class: 'danger', onclick: () => remove([...chosen]) }, 'Delete…');
    note = h('p', { class: 'dim empty', role: 'status' });
    items = h('ul', { class: 'plain letters' });
    causeRows = h('tbody');
    causes = h('div', { class: 'card causes', hidden: true }, h('h3', {}, 'By task and error'),
      h('div', { class: 'scroll tall', tabindex: '0', role: 'region', 'aria-label': 'Dead letters by task and error' },
        h('table', { class: 'stack' }, h('thead', {}, h('tr', {}, ['Task and error', 'Reason', 'Letters', 'Newest'].map((c, i) => h('th', { scope: 'col', class: i > 1 ? 'num' : '' }, c)))), causeRows)));
    root.append(h('div', { class: 'row above' }, search, h('button', { type: 'button', onclick: load }, 'Look again'),
      h('label', { class: 'row tight' }, all, 'All'), back, gone), causes, note, items);
  },
  show() { visible = true; load(); },
  hide() { visible = false; },
  // A look takes the letters from the queue for a moment. So it is done when their
  // number has changed, not all the time.
  update(a) {
    const pools = a.state?.queues?.filter((q) => q.role === 'dead') ?? [];
    const n = pools.length ? pools.reduce((sum, q) => sum + q.visible + q.delayed, 0) : -1;
    if (visible && !loading && n !== known) { known = n; load(); }
    draw();
  },
};

async function load() {
  if (loading) return;
  loading = true;
  try {
    const page = await get('api/v1/dead?limit=500');
    letters = page.list;
    more = page.more;
    chosen = new Set([...chosen].filter((id) => letters.some((d) => d.id === id)));
    trouble = '';
  } catch (err) {
    trouble = `${err.message} What is shown is from before.`;
  }
  loading = false;
  draw();
}

const reasons = { exhausted: 'it failed too often', cancelled: 'its handler or an operator cancelled it', undecodable: 'its message cannot be read', unknown: 'no process knew its name for too long' };

// causeOf names what letters of one task with one error have in common; the service has
// left ids and numbers out of the group.
const causeOf = (d) => JSON.stringify([d.pool, d.task, d.reason, d.group]);

function matching() {
  const s = search.value.trim().toLowerCase();
  return letters.filter((d) => (!only || causeOf(d) === only) && (!s || [d.task, d.exec_id, d.job_id, d.job_name, d.reason, d.last_error, d.body].some((v) => v?.toLowerCase().includes(s))));
}

function drawCauses() {
  const each = new Map();
  for (const d of letters) {
    const c = each.get(causeOf(d)) ?? { id: causeOf(d), of: d, n: 0, newest: '' };
    c.n += 1;
    if ((d.sent ?? '') > c.newest) c.newest = d.sent;
    each.set(c.id, c);
  }
  if (!each.has(only)) only = '';
  causes.hidden = letters.length < 2;
  list(causeRows, [...each.values()].sort((a, b) => b.n - a.n).slice(0, 100), (c) => c.id,
    (c) => h('tr', {}, h('th', { scope: 'row' },
      h('button', { type: 'button', class: 'link', onclick: () => { only = only === c.id ? '' : c.id; chosen = new Set(); draw(); } }, c.of.task || 'no name'),
      h('div', { class: 'dim small error' }, c.of.group || '–')),
    h('td', { 'data-label': 'Reason' }, pill(c.of.reason || 'unknown')), ...['Letters', 'Newest'].map((t) => h('td', { class: 'num', 'data-label': t }))),
    (tr, c) => {
      attr(tr.querySelector('button'), 'aria-pressed', c.id === only);
      attr(tr.querySelector('button'), 'title', c.id === only ? 'Show the letters of all causes' : 'Show the letters of this cause alone');
      attr(tr, 'data-chosen', c.id === only ? '' : null);
      text(tr.children[2], number(c.n));
      text(tr.children[3], c.newest ? `${ago(c.newest, app.now())} ago` : '–');
    });
}

function draw() {
  drawCauses();
  const found = matching();
  back.disabled = gone.disabled = !chosen.size;
  text(back, chosen.size ? `Send ${number(chosen.size)} back` : 'Send back');
  text(gone, chosen.size ? `Delete ${number(chosen.size)}…` : 'Delete…');
  all.checked = found.length > 0 && found.every((d) => chosen.has(d.id));
  all.disabled = !found.length;
  text(note, trouble || (!letters.length ? 'No task has been given up.' : `${found.length < letters.length ? `${number(found.length)} of ` : ''}${plural(letters.length, 'dead letter')}${more ? ', and there are more' : ''}`));
  list(items, found, (d) => d.id, card, (li, d) => {
    li.querySelector('input').checked = chosen.has(d.id);
    text(li.querySelector('.age'), d.sent ? `${ago(d.sent, app.now())} ago` : '');
  });
}

function card(d) {
  const name = d.task || 'no name';
  let body = d.body;
  try { body = JSON.stringify(JSON.parse(d.body), null, 2); } catch { /* shown as it stands */ }
  if (d.sealed && !d.hidden) body = `sealed: ${d.sealed}\nRead it with the key: chassis dead show ${d.exec_id} --key-file FILE`;
  return h('li', { class: 'card letter', 'data-id': d.id },
    h('div', { class: 'row' },
      h('input', { type: 'checkbox', 'aria-label': `Choose ${name} ${d.exec_id}`, onchange: (e) => { if (e.target.checked) chosen.add(d.id); else chosen.delete(d.id); draw(); } }),
      h('h3', {}, name), pill(d.reason || 'unknown'), h('span', { class: 'dim small' }, reasons[d.reason] ?? ''),
      h('span', { class: 'dim small age push', title: d.sent ? stamp(d.sent) : '' })),
    d.last_error && h('p', { class: 'bad-text error' }, d.last_error),
    d.defects && h('p', { class: 'bad-text error' }, d.defects),
    h('p', { class: 'dim small' }, `${d.job_name !== 'unknown' ? `job ${d.job_name} (${d.job_id}) · ` : ''}${plural(d.failures, 'failure')} · from ${d.pool} · `, h('code', {}, d.exec_id)),
    h('details', {}, h('summary', {}, 'Body'), h('pre', { tabindex: '0' }, d.hidden ? '(hidden by the setting admin.show_bodies)' : body, d.cut && !d.sealed ? '\n… (longer than what is shown)' : '')),
    h('div', { class: 'row end' },
      h('button', { type: 'button', class: 'primary', 'aria-label': `Send back ${name} ${d.exec_id}`, onclick: () => sendBack([d.id]) }, 'Send back'),
      h('button', { type: 'button', class: 'danger', 'aria-label': `Delete… ${name} ${d.exec_id}`, onclick: () => remove([d.id]) }, 'Delete…')));
}

const those = (n) => plural(n, 'dead letter');

async function sendBack(ids) {
  await attempt((r) => (r.found ? `${those(r.found)} sent back: ${r.found === 1 ? 'it runs' : 'they run'} again with a fresh budget.` : 'It was not there any more.'),
    () => post('api/v1/dead/back', { ids }));
  await load();
}

async function remove(ids) {
  const names = [...new Set(letters.filter((d) => ids.includes(d.id)).map((d) => d.task || 'no name'))].slice(0, 5).join(', ');
  if (!(await confirmTwice(`Delete ${those(ids.length)}?`, `${names}: ${ids.length === 1 ? 'it is' : 'they are'} never run again.`, 'Delete'))) return;
  await attempt((r) => `${those(r.found)} deleted.`, () => post('api/v1/dead/delete', { ids, confirm: 'delete' }));
  await load();
}
