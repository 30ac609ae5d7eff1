// Dialogs and short messages.
import { h } from './dom.js';

export function toast(message, tone = 'good') {
  const el = h('div', { class: 'toast', 'data-tone': tone }, message);
  const all = document.getElementById('toasts');
  all.append(el);
  while (all.children.length > 3) all.firstChild.remove();
  setTimeout(() => el.remove(), tone === 'bad' ? 12000 : 5000);
}

// attempt runs a command and shows how it went.
export async function attempt(what, command) {
  try {
    const answer = await command();
    toast(typeof what === 'function' ? what(answer) : what);
    return answer;
  } catch (err) {
    toast(err.message, 'bad');
    return null;
  }
}

// show opens a dialog and resolves with the value of the button that closed it,
// or "" if it was dismissed.
export function show(title, content, buttons) {
  return new Promise((resolve) => {
    const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': 'dialog-title' },
      h('form', { method: 'dialog' },
        h('h2', { id: 'dialog-title' }, title),
        ...[content].flat(),
        h('div', { class: 'row end' }, buttons.map((b) => h('button', { value: b.value, class: b.class ?? '', autofocus: b.focus }, b.label)))));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// confirmTwice asks two times, with the button in another place the second time: a
// double click does not answer both.
export async function confirmTwice(title, detail, verb) {
  const keep = { value: '', label: 'Keep', focus: true };
  const first = await show(title, h('p', {}, detail), [keep, { value: 'yes', label: `${verb}…`, class: 'danger' }]);
  if (first !== 'yes') return false;
  const second = await show('Really? This cannot be undone.', h('p', {}, detail),
    [{ value: 'yes', label: `${verb} for good`, class: 'danger' }, keep]);
  return second === 'yes';
}
