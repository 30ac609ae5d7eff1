// The dead letters: why each died, and what to do with it.
import { h, text, list, number, plural, ago, stamp, pill } from './dom.js';
import { get, post } from './api.js';
import { attempt, confirmTwice } from './dialog.js';

let app, search, items, note, all, back, gone;
let letters = [], more = false, trouble = '', chosen = new Set(), known = -1, loading = false, visible = false;

export const dead = {
  mount(root, a) {
    app = a;
    search = h('input', { type: 'search', placeholder: 'Task, job, reason, error or body', 'aria-label': 'Search dead letters', oninput: draw });
    all = h('input', { type: 'checkbox', onchange: () => { chosen = new Set(all.checked ? matching().map((d) => d.id) : []); draw(); } });
    back = h('button', { type: 'button', onclick: () => sendBack([...chosen]) }, 'Send back');
    gone = h('button', { type: 'button', class: 'danger', onclick: () => remove([...chosen]) }, 'Delete…');
    note = h('p', { class: 'dim empty', role: 'status' });
    items = h('ul', { class: 'plain letters' });
    root.append(h('div', { class: 'row above' }, search, h('button', { type: 'button', onclick: load }, 'Look again'),
      h('label', { class: 'row tight' }, all, 'All'), back, gone), note, items);
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

function matching() {
  const s = search.value.trim().toLowerCase();
  return letters.filter((d) => !s || [d.task, d.exec_id, d.job_id, d.job_name, d.reason, d.last_error, d.body].some((v) => v?.toLowerCase().includes(s)));
}

function draw() {
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
  return h('li', { class: 'card letter', 'data-id': d.id },
    h('div', { class: 'row' },
      h('input', { type: 'checkbox', 'aria-label': `Choose ${name} ${d.exec_id}`, onchange: (e) => { if (e.target.checked) chosen.add(d.id); else chosen.delete(d.id); draw(); } }),
      h('h3', {}, name), pill(d.reason || 'unknown'), h('span', { class: 'dim small' }, reasons[d.reason] ?? ''),
      h('span', { class: 'dim small age push', title: d.sent ? stamp(d.sent) : '' })),
    d.last_error && h('p', { class: 'bad-text error' }, d.last_error),
    d.defects && h('p', { class: 'bad-text error' }, d.defects),
    h('p', { class: 'dim small' }, `${d.job_name !== 'unknown' ? `job ${d.job_name} (${d.job_id}) · ` : ''}${plural(d.failures, 'failure')} · from ${d.pool} · `, h('code', {}, d.exec_id)),
    h('details', {}, h('summary', {}, 'Body'), h('pre', { tabindex: '0' }, d.hidden ? '(hidden by the setting admin.show_bodies)' : body, d.cut ? '\n… (longer than what is shown)' : '')),
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
