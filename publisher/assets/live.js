// Keeps a page of the dashboard up to date. The server writes the page; this
// asks for it again when something has changed and moves over what differs, so
// that focus, scrolling, selections, open details and ticked boxes stay.

const CALM = 2000;    // ms between two looks, at least
const POLL = 10_000;  // without news of changes
const SLOW = 30_000;  // with them: plots move on though nothing happens
const LATE = 600;     // the server gives out one page for half a second
const KEEP = new Set(['open', 'checked', 'value', 'title', 'hidden']);

const root = new URL('..', import.meta.url);
const clock = new Intl.DateTimeFormat(undefined, {timeStyle: 'medium'});
const full = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'medium'});
const minute = new Intl.DateTimeFormat(undefined, {hour: '2-digit', minute: '2-digit', hourCycle: 'h23'});
let skew = 0; // what the server's clock is ahead of this one, in ms

// Times.

const put = (el, text) => { if (el.textContent !== text) el.textContent = text; };

const ago = (s) => {
  if (s < 1) return 'now';
  for (const [per, unit] of [[60, 's'], [60, 'min'], [24, 'h']]) {
    if (s < per) return `${Math.floor(s)} ${unit} ago`;
    s /= per;
  }
  return `${Math.floor(s)} d ago`;
};

const tell = (t) => {
  const at = new Date(t.dateTime);
  if (isNaN(at)) return;
  t.title ||= t.textContent;
  const now = Date.now() + skew, today = at.toDateString() === new Date(now).toDateString();
  put(t, 'ago' in t.dataset ? ago((now - at) / 1000) : (today ? clock : full).format(at));
};

const times = (within = document) => {
  within.querySelectorAll('time[datetime]').forEach(tell);
  for (const t of within.querySelectorAll('text[data-at]')) put(t, minute.format(new Date(t.dataset.at)));
};

// What differs.

const keyOf = (n) => n.id || n.dataset?.key;
const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

const attributes = (old, fresh) => {
  for (const {name} of [...old.attributes]) if (!fresh.hasAttribute(name) && !KEEP.has(name)) old.removeAttribute(name);
  for (const {name, value} of fresh.attributes) {
    const kept = KEEP.has(name) && old.localName !== 'progress';
    if (!kept && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
};

const children = (old, fresh) => {
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const key = keyOf(next);
    const same = key ? [...old.children].find((o) => keyOf(o) === key) : at && alike(at, next) ? at : null;
    if (same && alike(same, next)) {
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      morph(same, next);
    } else old.insertBefore(document.importNode(next, true), at);
  }
  while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
};

const morph = (old, fresh) => {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
  } else if (old.localName === 'time' ? old.dateTime !== fresh.dateTime : old.dataset.at !== fresh.dataset.at || !old.dataset.at) {
    if (old.localName === 'time') old.removeAttribute('title');
    attributes(old, fresh);
    children(old, fresh);
  }
};

const update = (page) => {
  const focus = document.activeElement;
  for (const fresh of page.querySelectorAll('[data-live][id]')) {
    const old = document.getElementById(fresh.id);
    if (old) morph(old, fresh);
  }
  document.title = page.title;
  if (focus !== document.activeElement && focus?.isConnected) focus.focus({preventScroll: true});
  times();
};

// When to look.

let tag, looked = 0, busy = false, timer, since;

const away = (text) => {
  const el = document.getElementById('away');
  if (!el || el.hidden === !text) return;
  el.hidden = !text;
  put(el, text);
};

const look = async () => {
  if (busy || document.hidden) return;
  busy = true;
  looked = Date.now();
  try {
    const answer = await fetch(location.href, {headers: {Accept: 'text/html'}, cache: 'no-cache', signal: AbortSignal.timeout(15_000)});
    if (answer.redirected || answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(answer.statusText);
    const date = Date.parse(answer.headers.get('Date')) - Date.now();
    skew = Math.abs(date) > 2000 ? date : 0;
    const body = await answer.text();
    if (!tag || tag !== answer.headers.get('ETag')) update(new DOMParser().parseFromString(body, 'text/html'));
    tag = answer.headers.get('ETag');
    since = undefined;
    away('');
  } catch {
    since ??= new Date();
    away(`Not connected since ${clock.format(since)}. What you see is from then; trying again.`);
  } finally {
    busy = false;
    soon(source?.readyState === EventSource.OPEN && !since ? SLOW : POLL);
  }
};

/** Looks once, in so many ms or when the calm is over. */
let due = Infinity;
const soon = (ms) => {
  const at = Math.max(Date.now() + ms, looked + CALM);
  if (at > due && due > Date.now()) return;
  due = at;
  clearTimeout(timer);
  timer = setTimeout(() => { due = Infinity; look(); }, at - Date.now());
};

let source;
const listen = () => {
  source?.close();
  source = undefined;
  if (document.hidden) return; // a browser has few connections for all its tabs
  source = new EventSource(new URL('api/v1/events?types=change', root));
  source.addEventListener('change', () => { soon(LATE + Math.random() * LATE); });
  source.addEventListener('open', () => { soon(LATE); });
  source.addEventListener('error', () => { soon(CALM); });
};

document.addEventListener('visibilitychange', () => {
  listen();
  if (!document.hidden) { times(); soon(0); }
});
addEventListener('online', () => { listen(); soon(0); });

times();
setInterval(() => { if (!document.hidden) document.querySelectorAll('time[data-ago]').forEach(tell); }, 1000);
if (!('still' in document.body.dataset)) { listen(); soon(POLL); }
