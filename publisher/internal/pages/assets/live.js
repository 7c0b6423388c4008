// Keeps a page of the dashboard up to date. It requests the page again when something
// has changed, and copies only what differs. So focus, scrolling, selections, open
// details and ticked boxes stay.

const CALM = 2000;   // ms between two looks, at least
const POLL = 10_000; // without news of changes
const SLOW = 30_000; // with them: plots move on though nothing happens
const LATE = 600;    // the server gives out one page for half a second
const KEEP = ['open', 'checked', 'value', 'title', 'hidden']; // what a person or this script sets

const $ = (id) => document.getElementById(id);
const put = (el, text) => { if (el && el.textContent !== text) el.textContent = text; };
const format = (options) => new Intl.DateTimeFormat(undefined, options);
const clock = format({timeStyle: 'medium'}), full = format({dateStyle: 'medium', timeStyle: 'medium'});
const minute = format({hour: '2-digit', minute: '2-digit', hourCycle: 'h23'});
let skew = 0; // what the server's clock is ahead of this one, in ms

const ago = (s) => {
  if (s < 1) return 'now';
  for (const [per, unit] of [[60, 's'], [60, 'min'], [24, 'h']]) {
    if (s < per) return `${Math.floor(s)} ${unit} ago`;
    s /= per;
  }
  return `${Math.floor(s)} d ago`;
};

/** Shows times as ages or in the reader's time zone. The text of the server becomes the title. */
const tell = (t) => {
  const at = new Date(t.dateTime), now = Date.now() + skew;
  if (isNaN(at)) return;
  t.title ||= t.textContent;
  const today = at.toDateString() === new Date(now).toDateString();
  put(t, 'ago' in t.dataset ? ago((now - at) / 1000) : (today ? clock : full).format(at));
};

const times = () => {
  document.querySelectorAll('time[datetime]').forEach(tell);
  for (const t of document.querySelectorAll('text[data-at]')) put(t, minute.format(new Date(t.dataset.at)));
};

const keyOf = (n) => n.id || n.dataset?.key;
const momentOf = (n) => n.dateTime || n.dataset.at;

const attributes = (old, fresh) => {
  const kept = (name) => KEEP.includes(name) && old.localName !== 'progress' && old.localName !== 'time';
  for (const {name} of [...old.attributes]) if (!fresh.hasAttribute(name) && !kept(name)) old.removeAttribute(name);
  for (const {name, value} of fresh.attributes) if (!kept(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
};

const children = (old, fresh) => {
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const key = keyOf(next), same = key ? [...old.children].find((o) => keyOf(o) === key) : at;
    if (same?.nodeName === next.nodeName && keyOf(same) === key) {
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      morph(same, next);
    } else old.insertBefore(document.importNode(next, true), at);
  }
  for (let gone; (gone = at);) { at = at.nextSibling; gone.remove(); }
};

/** Makes one node like another of the same name. A time that is the same keeps its text. */
const morph = (old, fresh) => {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  const same = momentOf(old) && momentOf(old) === momentOf(fresh);
  if (same && old.localName === 'time') return;
  attributes(old, fresh);
  if (!same) children(old, fresh);
};

const update = (page) => {
  const focus = document.activeElement, judged = () => $('verdict')?.textContent.replace(/\d+/g, '0'), before = judged();
  for (const fresh of page.querySelectorAll('[data-live][id]')) if ($(fresh.id)) morph($(fresh.id), fresh);
  if (judged() !== before) put($('said'), $('verdict').textContent);
  document.title = page.title;
  if (focus !== document.activeElement && focus?.isConnected) focus.focus({preventScroll: true});
  times();
};

let tag, looked = 0, busy = false, since, source, timer, again, due = Infinity;

const away = (text) => {
  if (!$('away') || $('away').hidden === !text) return;
  $('away').hidden = !text;
  put($('away'), text);
};

const look = async () => {
  if (busy || document.hidden) return;
  [busy, looked] = [true, Date.now()];
  try {
    const answer = await fetch(location.href, {headers: {Accept: 'text/html'}, cache: 'no-cache', signal: AbortSignal.timeout(15_000)});
    if (answer.redirected || answer.status === 401) return location.reload(); // to sign in again
    if (!answer.ok) throw new Error(answer.statusText);
    const ahead = Date.parse(answer.headers.get('Date')) - Date.now(), body = await answer.text();
    skew = Math.abs(ahead) > 2000 ? ahead : 0;
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

/** Requests the page once, after so many ms or when the pause is over. */
const soon = (ms) => {
  const at = Math.max(Date.now() + ms, looked + CALM);
  if (at > due && due > Date.now()) return;
  due = at;
  clearTimeout(timer);
  timer = setTimeout(() => { due = Infinity; look(); }, at - Date.now());
};

const listen = () => {
  source?.close();
  source = undefined;
  if (document.hidden) return; // a browser has few connections for all its tabs
  source = new EventSource(new URL('../api/v1/events?types=change', import.meta.url));
  source.onopen = () => { soon(CALM); }; // what the page began with may have been a second old
  source.onerror = () => { soon(CALM); };
  // Once more a little later, since the server may have used cached data.
  source.addEventListener('change', () => { soon(LATE + Math.random() * LATE); clearTimeout(again); again = setTimeout(soon, 2 * CALM, 0); });
};

const wake = () => { listen(); times(); soon(0); };

times();
setInterval(() => { if (!document.hidden) document.querySelectorAll('time[data-ago]').forEach(tell); }, 1000);
if (!('still' in document.body.dataset)) {
  document.addEventListener('visibilitychange', wake);
  addEventListener('online', wake);
  listen();
  soon(POLL);
}
