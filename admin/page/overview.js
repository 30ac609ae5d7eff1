// The service at a glance.
import { h, text, attr, list, number, rate, duration, ago, clock, pill, setPill, spark } from './dom.js';

const curves = [
  ['succeeded', 'Done', 'succeeded_per_second', 'good'],
  ['failed', 'Failures', 'failed_per_second', 'bad'],
  ['received', 'Received', 'received_per_second', 'accent'],
  ['sent', 'Sent', 'sent_per_second', 'accent'],
];

// steps are the kinds that are no news: each task passes through them.
const steps = new Set(['received', 'started', 'settled']);

let parts;

function tile([id, label, , tone]) {
  const value = h('span', { class: 'big', id: `tile-${id}` }, '0');
  const curve = spark(`${label} a second, over the last minutes`);
  const el = h('div', { class: 'card tile', 'data-tone': tone }, h('h3', {}, label), h('p', {}, value, h('span', { class: 'dim' }, ' /s')), curve);
  return { el, value, curve };
}

// paused says that the pools are, and by which checks.
const paused = (w) => (w.paused ? ` · paused${w.paused_by?.length ? ` by ${w.paused_by.join(', ')}` : ''}` : '');

export const overview = {
  mount(root) {
    parts = { tiles: curves.map(tile) };
    const card = (title, ...content) => h('div', { class: 'card' }, h('h3', {}, title), ...content);
    parts.queues = h('tbody');
    parts.workers = h('div', { class: 'meter', role: 'img' });
    parts.legend = h('dl', { class: 'facts' });
    parts.pool = h('p', { class: 'dim small' });
    parts.poolRows = h('tbody');
    parts.pools = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of pools' }, h('table', { class: 'stack' },
      h('thead', {}, h('tr', {}, ['Pool', 'Weight', 'Share', 'Busy', 'Queued', 'Started'].map((t, i) => h('th', { scope: 'col', class: i ? 'num' : '' }, t)))), parts.poolRows));
    parts.breakers = h('ul', { class: 'plain' });
    parts.events = h('ol', { class: 'feed' });
    parts.noEvents = h('p', { class: 'dim' }, 'Nothing has happened since this page was opened.');
    parts.noBreakers = h('p', { class: 'dim' }, 'The service has no breaker.');
    parts.taskParts = [
      h('div', { class: 'tiles' }, parts.tiles.map((t) => t.el)),
      card('Workers', parts.pool, parts.workers, parts.legend, parts.pools),
    ];
    parts.queueCard = card('Queues', h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table of queues' }, h('table', { class: 'stack' },
      h('thead', {}, h('tr', {}, ['Queue', 'Visible', 'In flight', 'Delayed', 'Oldest'].map((t, i) => h('th', { scope: 'col', class: i ? 'num' : '' }, t)))), parts.queues)));
    const region = (label, head, body) => h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, h('table', { class: 'stack' },
      h('thead', {}, h('tr', {}, head.map((t) => h('th', { scope: 'col' }, t)))), body));
    parts.checkRows = h('tbody');
    parts.checks = card('Checks', region('Table of checks', ['Check', 'State', 'Counts for', 'Took', 'Since'], parts.checkRows));
    parts.partRows = h('tbody');
    parts.running = card('Servers and parts', region('Table of parts', ['Part', 'State', 'Since', 'About'], parts.partRows));
    root.append(parts.taskParts[0], h('div', { class: 'grid' }, parts.queueCard, parts.taskParts[1], parts.checks, parts.running,
      card('Breakers', parts.noBreakers, parts.breakers), card('What happens', parts.noEvents, parts.events)));
  },

  update(app) {
    const s = app.state;
    if (!s) return;
    const last = app.history.at(-1) ?? {};
    curves.forEach(([, , field], i) => {
      text(parts.tiles[i].value, rate(last[field]));
      parts.tiles[i].curve.draw(app.history.map((x) => x[field]));
    });
    parts.taskParts.forEach((el) => { el.hidden = !s.workers; });
    parts.queueCard.hidden = !s.queues?.length;
    queues(s, app);
    checks(s, app);
    running(s, app);
    if (s.workers) workers(s, app);
    const list_ = s.breakers ?? [];
    parts.noBreakers.hidden = list_.length > 0;
    list(parts.breakers, list_, (b) => b.service,
      (b) => h('li', { class: 'row' }, h('a', { href: '#/breakers' }, b.service), pill(b.state), h('span', { class: 'dim small' })),
      (li, b) => {
        setPill(li.children[1], b.state);
        const bad = b.entries.slice(1).filter((e) => e.state !== 'closed').length;
        text(li.children[2], bad ? `${bad} ${bad === 1 ? 'path' : 'paths'} not closed` : '');
      });
    const news = app.events.filter((e) => !steps.has(e.kind));
    parts.noEvents.hidden = news.length > 0;
    list(parts.events, news.slice(-10).reverse(), (e) => (e.key ??= crypto.getRandomValues(new Uint32Array(2)).join()),
      (e) => h('li', {}, h('time', { class: 'dim' }, clock(e.at)), pill(e.kind), h('span', { class: 'strong' }, e.task || 'no name'),
        h('span', { class: 'dim clip' }, e.error || e.reason || (e.took_seconds ? `in ${duration(e.took_seconds)}` : e.job_name !== 'unknown' ? e.job_name : e.exec_id))));
  },
};

function queues(s, app) {
  const refused = s.workers?.poller.refused ?? [];
  const own = s.queues ?? [];
  const others = [...new Set(refused.map((r) => r.queue))].filter((name) => !own.some((q) => q.name === name)); // those of an on_fail task's
  list(parts.queues, [...own, ...others.map((name) => ({ name, foreign: true }))], (q) => q.name,
    (q) => h('tr', {}, h('th', { scope: 'row' }, h('span', {}, q.name), ' ', h('span', { class: 'dim small' })), ...['Visible', 'In flight', 'Delayed', 'Oldest'].map((label) => h('td', { class: 'num', 'data-label': label }))),
    (tr, q) => {
      const rights = refused.filter((r) => r.queue === q.name);
      const barred = rights.length > 0 && `refused: ${rights.map((r) => r.action).join(', ')}`;
      text(tr.children[0].children[1], barred || (q.error ? q.error : q.missing ? 'not made yet' : q.role === 'dead' ? 'dead letters' : 'tasks'));
      attr(tr.children[0].children[1], 'class', barred || q.error ? 'bad-text small' : 'dim small');
      attr(tr.children[0], 'title', rights.map((r) => `${r.action} since ${clock(r.since)}, next try at ${clock(r.next)}: ${r.error}`).join('\n') || null);
      const unknown = q.error || q.missing || q.foreign;
      [q.visible, q.in_flight, q.delayed].forEach((n, i) => text(tr.children[i + 1], unknown ? '–' : number(n)));
      text(tr.children[4], q.oldest_age_seconds === undefined ? '–' : duration(q.oldest_age_seconds));
      attr(tr, 'title', q.at ? `as of ${ago(q.at, app.now())} ago` : null);
    });
}

function checks(s, app) {
  const all = s.checks ?? [];
  parts.checks.hidden = all.length === 0;
  list(parts.checkRows, all, (c) => c.name,
    (c) => h('tr', {}, h('th', { scope: 'row' }, h('span', {}, c.name), ' ', h('span', { class: 'bad-text small clip' })), h('td', { 'data-label': 'State' }, pill('OK')),
      ['Counts for', 'Took', 'Since'].map((label) => h('td', { 'data-label': label }))),
    (tr, c) => {
      text(tr.children[0].children[1], c.error ?? '');
      attr(tr.children[0], 'title', c.error || null);
      setPill(tr.children[1].firstChild, !c.known ? 'starting' : c.up ? 'OK' : 'ERROR', !c.known ? 'first run' : c.up ? 'passes' : 'fails');
      text(tr.children[2], [c.readiness && 'readiness', c.tasks && 'tasks'].filter(Boolean).join(', ') || 'information');
      text(tr.children[3], c.known ? duration(c.took_seconds) : '–');
      text(tr.children[4], c.since ? `${ago(c.since, app.now())} ago` : '–');
    });
}

function running(s, app) {
  const all = s.parts ?? [];
  parts.running.hidden = all.length === 0;
  list(parts.partRows, all, (p) => p.name,
    (p) => h('tr', {}, h('th', { scope: 'row' }, p.name), h('td', { 'data-label': 'State' }, pill('OK')), ['Since', 'About'].map((label) => h('td', { 'data-label': label }))),
    (tr, p) => {
      const bad = p.state === 'failed' || p.state === 'abandoned';
      setPill(tr.children[1].firstChild, bad ? 'ERROR' : p.state === 'running' ? 'OK' : p.state, p.state);
      text(tr.children[2], `${ago(p.since, app.now())} ago`);
      text(tr.children[3], p.error || p.detail || (p.state === 'ended' ? 'has ended by itself' : p.intake ? 'stops before the tasks drain' : 'stops after the tasks have drained'));
      attr(tr.children[3], 'class', p.error ? 'bad-text small' : 'dim small');
    });
}

function workers(s, app) {
  const w = s.workers;
  const p = w.poller;
  const kinds = [['running', 'Busy', w.running], ['waiting', 'Waiting in place', w.waiting], ['queued', 'Queued', w.queued], ['abandoned', 'Abandoned', w.abandoned]];
  const whole = Math.max(w.workers, w.running) + w.waiting + w.queued + w.abandoned || 1;
  const pools = w.pools ?? [];
  const name = pools.length > 1 ? `${pools.length} pools` : w.pool;
  const most = w.total_workers ? Math.min(w.total_workers, w.workers) : w.workers;
  text(parts.pool, `${name} · ${w.status.toLowerCase()}${paused(w)} · ${number(most)} workers`);
  parts.pools.hidden = pools.length < 2;
  list(parts.poolRows, pools, (p) => p.name,
    (p) => h('tr', {}, h('td', { class: 'name' }, p.name), ['Weight', 'Share', 'Busy', 'Queued', 'Started'].map((t) => h('td', { class: 'num', 'data-label': t }))),
    (tr, p) => {
      text(tr.children[0], `${p.name}${p.paused ? ' · paused' : ''}${p.status === 'RUNNING' ? '' : ` · ${p.status.toLowerCase()}`}`);
      [p.priority ? `${p.weight} · priority ${p.priority}` : number(p.weight), p.share ? number(p.share) : '–', number(p.running), number(p.queued), number(p.started)]
        .forEach((t, i) => text(tr.children[i + 1], t));
    });
  attr(parts.workers, 'aria-label', kinds.map(([, label, n]) => `${label} ${n}`).join(', '));
  list(parts.workers, kinds, (k) => k[0], (k) => h('span', { 'data-kind': k[0] }), (el, k) => { el.style.width = `${(100 * k[2]) / whole}%`; });
  list(parts.legend, [
    ...kinds.map(([id, label, n]) => [id, label, number(n)]),
    ['leases', 'Leases held', number(p.leases)],
    ['oldest', 'Oldest lease', p.oldest_lease ? ago(p.oldest_lease, app.now()) : '–'],
    ['success', 'Queue last answered', p.last_success ? `${ago(p.last_success, app.now())} ago` : 'never'],
    ['lost', 'Leases lost', number(p.lost)],
    ['stalled', 'Stalled', number(w.stalled)],
  ], (f) => f[0],
  (f) => h('div', { 'data-kind': f[0] }, h('dt', {}, f[1]), h('dd', {})),
  (el, f) => text(el.lastChild, f[2]));
}
