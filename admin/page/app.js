// The page: its frame, its views, and the stream that feeds them.
import { h, text, attr, list, pill, setPill, ago, number } from './dom.js';
import { stream } from './api.js';
import { overview } from './overview.js';
import { tasks } from './tasks.js';
import { executions } from './executions.js';
import { dead } from './dead.js';
import { breakers } from './breakers.js';
import { schedules } from './schedules.js';
import { fleet } from './fleet.js';
import { log } from './log.js';
import { settings } from './settings.js';

// app is what the views see.
const app = { state: null, history: [], events: [], lines: [], skew: 0, now: () => Date.now() + app.skew, connected: false };

const views = [
  { id: 'overview', title: 'Overview', view: overview },
  { id: 'tasks', title: 'Tasks', view: tasks, needs: 'tasks' },
  { id: 'executions', title: 'Executions', view: executions, needs: 'tasks', count: (s) => s.workers.running + s.workers.waiting + s.workers.queued },
  { id: 'dead', title: 'Dead letters', view: dead, needs: 'dead', count: (s) => deadCount(s), tone: 'bad' },
  { id: 'breakers', title: 'Breakers', view: breakers, needs: 'breakers', count: (s) => (s.breakers ?? []).filter((b) => b.entries.some((e) => e.state !== 'closed')).length, tone: 'bad' },
  { id: 'schedules', title: 'Schedules', view: schedules, needs: 'schedules' },
  { id: 'fleet', title: 'Fleet', view: fleet, needs: 'fleet' },
  { id: 'log', title: 'Log', view: log, needs: 'log' },
  { id: 'settings', title: 'Settings', view: settings, needs: 'settings' },
];

const deadCount = (s) => (s.queues ?? []).filter((q) => q.role === 'dead').reduce((n, q) => n + q.visible + q.in_flight + q.delayed, 0);
const $ = (id) => document.getElementById(id);
let shown = null;

function available() {
  const has = app.state?.has;
  return views.filter((v) => !v.needs || !has || has.includes(v.needs));
}

function route() {
  const wanted = location.hash.slice(2);
  const next = available().find((v) => v.id === wanted) ?? views[0];
  if (next === shown) return;
  shown?.view.hide?.();
  shown = next;
  if (!next.root) {
    next.root = h('section', { id: `view-${next.id}`, 'aria-labelledby': `title-${next.id}` },
      h('h2', { id: `title-${next.id}`, class: 'view-title' }, next.title));
    next.view.mount(next.root, app);
  }
  $('main').replaceChildren(next.root);
  scrollTo(0, 0); // each view begins at its top, whatever the one before was scrolled to
  next.view.show?.(app);
  update();
  showTab();
}

// showTab brings the tab of what is shown into the window: a phone has room for some of them.
const showTab = () => $('tabs').querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });

const ready = (s) => (s.ready.READY ? s.ready.READY === 'OK' : s.ready.TASK_QUEUES === 'OK' && s.ready.TASK_CONSUMER === 'OK');

function update() {
  const s = app.state;
  list($('tabs'), available(), (v) => v.id,
    (v) => h('li', {}, h('a', { href: `#/${v.id}` }, v.title, h('span', { class: 'count', hidden: true }))),
    (li, v) => {
      attr(li.firstChild, 'aria-current', v === shown ? 'page' : null);
      const n = s && v.count ? v.count(s) : 0;
      const badge = li.querySelector('.count');
      badge.hidden = !n;
      attr(badge, 'data-tone', v.tone ?? 'info');
      text(badge, number(n));
    });
  if (!s) return;
  document.title = `${ready(s) ? '' : '⚠ '}${s.service.name} · chassis`;
  text($('name'), s.service.name);
  text($('about'), [s.service.version, `up ${ago(s.service.started, app.now())}`, s.service.host, `pid ${s.service.pid}`].filter(Boolean).join(' · '));
  list($('status'), [
    ['service', s.service.state === 'stopping' ? 'draining' : s.service.state, s.service.state],
    ['queues', s.ready.TASK_QUEUES], ['consumer', s.ready.TASK_CONSUMER],
    ...(s.workers?.paused ? [['pool', 'paused', 'paused']] : []),
  ], (p) => p[0],
  (p) => h('span', { class: 'fact' }, h('span', { class: 'dim' }, p[0]), ' ', pill('OK')),
  (el, p) => setPill(el.lastChild, p[2] ?? p[1], p[1]));
  banner(s);
  shown?.view.update?.(app);
}

function banner(s) {
  let message = '';
  if (!app.connected) message = 'The connection is lost: the service has stopped or cannot be reached. What is shown is its last state.';
  else if (s.service.state === 'stopping') {
    const w = s.workers;
    message = `Draining: no new tasks are taken${w ? `, ${number(w.running)} still running` : ''}. The service stops when they have ended or been given back.`;
  } else if (s.ready.reasons?.length) message = `${ready(s) ? 'Ready, but' : 'Not ready'}: ${s.ready.reasons.join(' · ')}`;
  $('banner').hidden = !message;
  attr($('banner'), 'data-tone', s.service.state === 'stopping' && app.connected ? 'warn' : 'bad');
  text($('banner'), message);
}

function live(connected) {
  app.connected = connected;
  text($('live'), connected ? 'live' : 'reconnecting');
  attr($('live'), 'data-on', connected);
  update();
}

const keep = (array, more, most) => array.concat(more).slice(-most);

stream('api/v1/stream', {
  connected: () => live(true),
  lost: () => live(false),
  history: (samples) => { app.history = samples ?? []; },
  sample: (s) => { app.history = keep(app.history, [s], 300); },
  events: (batch) => { app.events = keep(app.events, batch.list, 200); app.moreEvents = batch.more ?? 0; },
  log: (batch) => { app.lines = keep(app.lines, batch.list, 2000); log.arrived?.(batch); },
  state: (s) => {
    const first = !app.state;
    app.state = s;
    app.skew = Date.parse(s.at) - Date.now();
    if (first) route();
    update();
  },
});

const themes = { auto: ['◐', 'as the system'], light: ['☀', 'light'], dark: ['☾', 'dark'] };
function theme(name) {
  document.documentElement.dataset.theme = name;
  text($('theme'), themes[name][0]);
  attr($('theme'), 'aria-label', `Theme: ${themes[name][1]}`);
  attr($('theme'), 'title', `Theme: ${themes[name][1]}`);
  localStorage.setItem('chassis-theme', name);
}
$('theme').addEventListener('click', () => {
  const names = Object.keys(themes);
  theme(names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length]);
});
theme(themes[localStorage.getItem('chassis-theme')] ? localStorage.getItem('chassis-theme') : 'auto');

addEventListener('hashchange', () => { route(); $('main').focus({ preventScroll: true }); });
addEventListener('resize', showTab);
addEventListener('keydown', (e) => {
  if (e.target.closest('input, select, textarea, dialog') || e.ctrlKey || e.metaKey || e.altKey) return;
  const v = available()[Number(e.key) - 1];
  if (v) location.hash = `/${v.id}`;
  else if (e.key === '/') {
    const field = shown?.root.querySelector('input[type=search]');
    if (field) { e.preventDefault(); field.focus(); }
  }
});
setInterval(() => { if (app.state && !document.hidden) update(); }, 1000); // ages and countdowns go on without news
route();
