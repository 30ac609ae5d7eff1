// Talking to the service: requests, commands, and the stream of events.

let token = sessionStorage.getItem('chassis-token') ?? '';
let asking = null;

// Refused is an answer that is not 2xx.
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  for (;;) {
    const headers = { ...options.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    const res = await fetch(path, { ...options, headers, credentials: 'omit' });
    if (res.status === 401) {
      await enterToken();
      continue;
    }
    if (!res.ok) {
      const problem = await res.json().catch(() => ({}));
      throw new Refused(res.status, problem.detail ?? `${res.status} ${res.statusText}`);
    }
    return res;
  }
}

export const get = async (path) => (await ask(path)).json();

export const post = async (path, body) =>
  (await ask(path, { method: 'POST', headers: { 'Content-Type': 'application/json', 'Chassis-Command': '1' }, body: JSON.stringify(body) })).json();

// enterToken asks for the token, once for all requests that wait for it. It is
// kept for this tab alone.
function enterToken() {
  asking ??= new Promise((resolve) => {
    const dialog = document.createElement('dialog');
    dialog.className = 'dialog';
    dialog.setAttribute('aria-labelledby', 'token-title');
    dialog.innerHTML = `<form method="dialog"><h2 id="token-title">This service needs its token</h2>
      <p class="dim">It is the value of the setting <code>admin.token</code>, or one of <code>admin.tokens</code>. It stays in this tab.</p>
      <label>Token <input type="password" name="token" autocomplete="off" required minlength="16"></label>
      <p class="bad-text" role="alert"></p><div class="row end"><button class="primary">Show the service</button></div></form>`;
    if (token) dialog.querySelector('[role=alert]').textContent = 'That token is wrong.';
    dialog.addEventListener('cancel', (e) => e.preventDefault());
    dialog.addEventListener('close', () => {
      token = dialog.querySelector('input').value.trim();
      sessionStorage.setItem('chassis-token', token);
      dialog.remove();
      asking = null;
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

// stream calls on[event](data) without end, and connects again when it is cut off.
// It is a fetch because an EventSource cannot send a token.
export async function stream(path, on) {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try {
      const res = await ask(path);
      on.connected();
      wait = 500;
      await read(res.body.getReader(), on);
    } catch (err) {
      if (!(err instanceof TypeError) && !(err instanceof Refused)) console.warn(err);
    }
    on.lost();
    await new Promise((r) => setTimeout(r, wait));
  }
}

async function read(reader, on) {
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const frames = rest.split('\n\n');
    rest = frames.pop();
    for (const frame of frames) {
      const found = /^event: (.*)\ndata: (.*)$/s.exec(frame);
      if (found) on[found[1]]?.(JSON.parse(found[2]));
    }
  }
}
