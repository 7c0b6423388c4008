/**
 * Follows a Runnerbean result URL from any page. docs/browser.md explains it, with
 * a page to copy.
 *
 *   <script type="module" src="https://NODE/runnerbean.js"></script>
 *   <runnerbean-result src="https://NODE/019…"></runnerbean-result>
 *
 * The element shows state, progress, message, plots, error and files. Set src
 * at any time; without it the element is empty. It fires `state` (detail: the
 * document) at each change, and `error` (detail: the Error) if it gives up.
 * `element.result` is the newest document. `element.refresh()` asks again, for
 * example after a retry. Set --runnerbean-accent, -ink, -soft, -line, -paper, -bad,
 * -warn, or style ::part(state|left|progress|message|error|plot|files).
 *
 *   import {follow} from 'https://NODE/runnerbean.js';
 *   for await (const doc of follow(url)) console.log(doc.state, doc.progress);
 *
 * A page with a strict policy needs script-src NODE and connect-src NODE, and
 * no style-src. Plots are drawn by NODE/assets/plot.js, loaded when needed.
 */

const FINAL = ['succeeded', 'failed', 'cancelled'];
const SILENCE = 60_000, GRACE = 30_000, HIDDEN = 10_000, PACE = 2_000, DAY = 86_400;
// A stream begins with an event at once. Without one after DEAF, a proxy holds the
// stream back; then requests wait up to HOLD seconds for a change.
const DEAF = 8_000, BLOCKED = 300_000, HOLD = 20;
// A timer that is late by LAPSE means that the machine has slept.
const NAP = 10_000, LAPSE = 10_000;
// Browsers open six connections to a server over HTTP/1.1, streams included. So a
// page holds at most four, and a hidden page none.
const STREAMS = 4;
let streams = 0;

/** The URL if it is http or https, else null. @returns {URL|null} */
const web = (url, base) => {
  try {
    const u = new URL(url, base);
    return /^https?:$/.test(u.protocol) ? u : null;
  } catch { return null; }
};

/** The address of a file, with the query of the result's address (its signature). */
const under = (url, src) => {
  const from = new URL(src, document.baseURI), to = new URL(url, from);
  if (to.origin === from.origin && to.pathname.startsWith(from.pathname.replace(/\/$/, '') + '/files/')) to.search ||= from.search;
  return to;
};

/**
 * Spells out control, bidirectional and invisible characters.
 * @param {unknown} s @param {number} [limit] characters @returns {string}
 */
export const visible = (s, limit = 2000) => {
  s = String(s ?? '');
  return (s.length > limit ? s.slice(0, limit) + '…' : s).replace(/(?![\u200c\u200d\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu,
    (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
};

/** A size in units of 1024. @param {number} n bytes @returns {string} */
const sizeOf = (n) => {
  let unit = 0;
  for (; n >= 1024 && unit < 6; unit++) n /= 1024;
  return `${n < 10 && unit ? n.toFixed(1) : Math.round(n)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'][unit]}`;
};

/** Milliseconds to wait after n failures: doubled up to half a minute, with jitter. */
const backoff = (n) => 1000 * 2 ** Math.min(n, 5) * (.75 + Math.random() / 2);

/**
 * Yields the documents of a result URL as they change; the last one is final. It uses
 * Server-Sent Events, requests that wait where a proxy holds events back, and polling
 * where neither works. A 404 in the first 30 s means that the job may still arrive;
 * other refusals throw. Unreachable servers are tried until `signal` aborts, which ends
 * the iteration without an error. All requests keep the query of the URL.
 * @param {string|URL} url
 * @param {{signal?: AbortSignal, onState?: (doc: object) => void}} [options]
 * @returns {AsyncGenerator<object>}
 */
export async function* follow(url, {signal, onState} = {}) {
  const src = web(url, globalThis.document?.baseURI);
  if (!src) throw new TypeError('follow: not an http(s) URL');
  const events = new URL(src);
  events.pathname = events.pathname.replace(/\/$/, '') + '/events';
  const began = Date.now(), stop = new AbortController();
  let es, hearBy, reopen = 0, breaks = 0, missed = 0; // the stream
  let flight, redo, tag, held = false, fails = 0, asked = 0, due = 0, wanted = false; // the requests
  let wake, next, last, text;

  // Asks soon, also while a stream is open: the stream may be dead.
  const ask = (from = Date.now()) => {
    wanted = true;
    due = Math.min(due, Math.max(from, asked + PACE));
    if (flight && (flight.held || Date.now() - asked > PACE)) { // it may never be answered
      redo = true;
      flight.cut();
    }
    wake?.();
  };
  const rest = () => { if (!wanted) due = Date.now() + SILENCE; };
  const hidden = () => globalThis.document?.visibilityState === 'hidden';
  const deafen = () => { if (es) { es.close(); es = null; streams--; } };
  // A stream that was open before a sleep, or in another network, may be dead.
  const woken = () => { deafen(); reopen = fails = breaks = 0; ask(); };
  const shown = (e) => { if (e.persisted) woken(); };
  const turned = () => { if (hidden()) deafen(); else reopen = 0; ask(); };
  const abort = () => { stop.abort(); wake?.(); };
  const isNew = (doc) => JSON.stringify({...doc, timestamp: 0}) !== text;
  const valid = (doc) => typeof doc?.state === 'string';
  // Answers may overtake events, so an older document is dropped.
  const take = (doc) => {
    const before = next ?? last, end = FINAL.includes(doc.state);
    if (FINAL.includes(next?.state) || !end && before && Date.parse(doc.timestamp) < Date.parse(before.timestamp)) return;
    next = doc;
    wake?.();
  };

  const heard = (e) => {
    let doc;
    try { doc = JSON.parse(e.data); } catch { return; }
    if (!valid(doc)) return;
    if (hearBy === Infinity) missed = 0;
    hearBy = Infinity;
    breaks = 0;
    held = false;
    rest();
    // An event may leave out a large result. The URL has it.
    if (doc.state === 'succeeded' && !('result' in doc)) { due = 0; wake?.(); } else take(doc);
  };
  const listen = () => {
    deafen();
    if (!globalThis.EventSource || hidden() || streams >= STREAMS) return;
    streams++;
    hearBy = Date.now() + DEAF;
    const mine = es = new EventSource(events);
    for (const type of ['message', 'state', 'progress', 'result']) es.addEventListener(type, heard);
    // The browser would reconnect at once, and always after the same time.
    es.onerror = () => {
      if (mine !== es) return;
      reopen = Date.now() + (es.readyState === EventSource.CLOSED ? GRACE : backoff(breaks++));
      deafen();
      ask(Date.now() + Math.random() * PACE);
    };
  };
  const blocked = () => {
    deafen();
    reopen = Date.now() + BLOCKED;
    held = true;
    due = 0;
  };

  const request = async () => {
    const late = new AbortController(), cut = () => late.abort(), hold = held && tag && !hidden() && streams < STREAMS;
    const headers = {Accept: 'application/json', ...hold && {Prefer: `wait=${HOLD}`, 'If-None-Match': tag}};
    let timer = setTimeout(cut, GRACE);
    stop.signal.addEventListener('abort', cut);
    flight = {cut, held: hold};
    if (hold) streams++;
    try {
      const response = await fetch(src, {headers, cache: hold ? 'no-store' : 'no-cache', signal: late.signal});
      flight = null;
      clearTimeout(timer);
      timer = setTimeout(cut, 20 * GRACE); // a large result on a slow line
      tag = response.headers.get('ETag');
      const doc = response.status === 304 ? null : await response.json().catch((err) => { if (response.ok) throw err; });
      return {response, doc, hold};
    } finally {
      flight = null;
      if (hold) streams--;
      clearTimeout(timer);
      stop.signal.removeEventListener('abort', cut);
    }
  };
  // How long to wait after an answer.
  const answered = ({response, doc, hold}) => {
    const after = Math.min(+response.headers.get('Retry-After') || 0, 60) * 1000;
    if (response.ok || response.status === 304) {
      fails = 0;
      if (response.ok && !valid(doc)) throw new Error('not a result document');
      if (!FINAL.includes(doc?.state)) {
        // The open stream did not bring this change, so a proxy holds it back.
        const deaf = es && last && doc && hearBy === Infinity && isNew(doc);
        if (deaf && missed++) blocked();
        else if (deaf || !es && Date.now() >= reopen) listen();
      }
      if (doc) take(doc);
      if (es && hearBy === Infinity) return SILENCE;
      if (hold || held && tag) return Math.max(asked + PACE - Date.now(), 0);
      return Math.max(after || PACE, hidden() ? HIDDEN : 0);
    }
    if (response.status === 404 && !last && Date.now() - began < GRACE) return after || 1000;
    if (response.status >= 500 || [408, 425, 429].includes(response.status)) return Math.max(backoff(fails++), after);
    throw Object.assign(new Error(visible(doc?.detail || doc?.title || `HTTP ${response.status}`)), {status: response.status});
  };
  const get = async () => {
    asked = Date.now();
    wanted = false;
    let wait;
    try {
      wait = answered(await request());
    } catch (err) {
      if (err.status) throw err;
      wait = redo ? 0 : backoff(fails++);
      tag = null;
    }
    redo = false;
    due = Date.now() + (wanted ? Math.min(wait, PACE) : wait);
  };
  const nap = async () => {
    const from = Date.now(), time = Math.max(Math.min(due, es ? hearBy : due, from + NAP) - from, 0);
    let timer;
    await new Promise((resolve) => { wake = resolve; timer = setTimeout(resolve, time); });
    clearTimeout(timer);
    wake = null;
    if (Date.now() - from > time + LAPSE) woken();
  };

  signal?.addEventListener('abort', abort);
  globalThis.addEventListener?.('online', woken);
  globalThis.addEventListener?.('pageshow', shown);
  globalThis.document?.addEventListener('resume', woken);
  globalThis.document?.addEventListener('visibilitychange', turned);
  try {
    while (!signal?.aborted) {
      const doc = next;
      if (doc) {
        next = null;
        last = doc;
        if (!isNew(doc)) continue;
        text = JSON.stringify({...doc, timestamp: 0});
        onState?.(doc);
        yield doc;
        if (FINAL.includes(doc.state)) return;
      } else if (es && Date.now() >= hearBy) {
        blocked();
      } else if (Date.now() >= due) {
        await get();
      } else {
        await nap();
      }
    }
  } finally {
    stop.abort();
    deafen();
    signal?.removeEventListener('abort', abort);
    globalThis.removeEventListener?.('online', woken);
    globalThis.removeEventListener?.('pageshow', shown);
    globalThis.document?.removeEventListener('resume', woken);
    globalThis.document?.removeEventListener('visibilitychange', turned);
  }
}

/** A duration in words. @param {number} s seconds @returns {string} */
export const span = (s) => {
  const two = (n, per, a, b) => n % per ? `${Math.floor(n / per)} ${a} ${n % per} ${b}` : `${n / per} ${a}`;
  if (s > 0 && s < .9995) return `${+(s * 1000).toPrecision(3)} ms`;
  if (s < 9.95) return `${+Math.max(s, 0).toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  if (s < 3599.5) return two(Math.round(s), 60, 'min', 's');
  return s < DAY - 30 ? two(Math.round(s / 60), 60, 'h', 'min') : two(Math.round(s / 3600), 24, 'd', 'h');
};

/** The remaining time of a running job in words; '' where it is not known. */
export const left = ({state, progress: p, started, timestamp}) => {
  const s = (Date.parse(timestamp) - Date.parse(started)) / 1000;
  if (state !== 'running' || !(p > .01 && p < 1) || !(s > 2)) return '';
  const rest = s / p * (1 - p), round = rest < 60 ? 5 : rest < 600 ? 10 : rest < 3600 ? 60 : 600;
  return rest < 5 ? 'a few seconds left' : `about ${span(Math.round(rest / round) * round)} left`;
};

const sentence = (d) => {
  const n = d.position, where = d.node ? ` on ${visible(d.node, 80)}` : '', took = (Date.parse(d.finished) - Date.parse(d.started)) / 1000;
  switch (d.state) {
    case 'waiting': return 'Waiting for other jobs';
    case 'queued': return n === 0 ? 'Queued, next in line' : n > 0 ? `Queued, ${+n} job${n === 1 ? '' : 's'} before it` : 'Queued';
    case 'running': return `Running${where}`;
    case 'succeeded': return took >= 0 ? `Succeeded in ${span(took)}` : 'Succeeded';
    case 'failed': return 'Failed';
    case 'cancelled': return 'Cancelled';
  }
  return visible(d.state, 80);
};

const CSS = `
:host { display: block; font: inherit; overflow-wrap: anywhere; color: var(--ink);
  --ink: var(--runnerbean-ink, light-dark(#1d2420, #e6e8e6)); --soft: var(--runnerbean-soft, light-dark(#5d675d, #9aa49d));
  --line: var(--runnerbean-line, light-dark(#e0ddd4, #343b41)); --paper: var(--runnerbean-paper, light-dark(#fff, #1b1f23));
  --bean: var(--runnerbean-accent, light-dark(#2f7d4f, #5cc387));
  --amber: var(--runnerbean-warn, light-dark(#9a5807, #e0a04a)); --red: var(--runnerbean-bad, light-dark(#b3362c, #f0786c)) }
:host([hidden]), [hidden] { display: none !important }
p { margin: 0 } .line { display: flex; flex-wrap: wrap; gap: 0 1rem; justify-content: space-between }
[part=state] { font-weight: 600 } [part=message], .left, small { color: var(--soft) }
.running, .succeeded { color: var(--bean) } .failed, .lost { color: var(--red) } .waiting, .queued, .cancelled { color: var(--amber) }
progress { appearance: none; display: block; width: 100%; height: .5rem; margin: .5rem 0; border: 0; border-radius: 9px; overflow: hidden; background: var(--line) }
progress::-webkit-progress-bar { background: var(--line) } progress::-webkit-progress-value { background: var(--bean); border-radius: 9px; transition: inline-size .3s }
progress::-moz-progress-bar { background: var(--bean); border-radius: 9px }
[part=plot] { margin-top: .75rem } [part=error] { color: var(--red); white-space: pre-wrap } ul { margin: .5rem 0 0; padding-left: 1.2rem } a { color: inherit }
@media (prefers-reduced-motion: reduce) { progress::-webkit-progress-value { transition: none } }`;

/** `<runnerbean-result src>`: see the top of this file. */
class RunnerbeanResult extends (globalThis.HTMLElement ?? Object) {
  static observedAttributes = ['src'];
  /** The newest document, or null. @type {object|null} */
  result = null;
  #stop; #sheet; #ui = {};

  connectedCallback() {
    document.addEventListener('visibilitychange', this.#seen);
    this.#restart();
  }
  disconnectedCallback() {
    document.removeEventListener('visibilitychange', this.#seen);
    this.#stop?.abort();
  }
  attributeChangedCallback() { if (this.isConnected) this.#restart(); }

  /** Asks again, also about a job that has ended: a person may have retried it. */
  refresh() { if (this.isConnected) this.#restart(true); }

  // A person may come back to the page because of a retry.
  #seen = () => {
    if (document.visibilityState === 'visible' && ['failed', 'cancelled'].includes(this.result?.state)) this.refresh();
  };

  // A browser calls both callbacks when it parses a page. One start is enough.
  #restart(again = false) {
    this.#stop?.abort();
    const stop = this.#stop = new AbortController();
    queueMicrotask(() => stop.signal.aborted || this.#start(stop, again));
  }

  #build() {
    const root = this.attachShadow({mode: 'open'}), ui = this.#ui;
    this.#sheet = new CSSStyleSheet();
    this.#sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [this.#sheet];
    const add = (to, tag, part, role) => {
      const el = to.appendChild(document.createElement(tag));
      el.setAttribute('part', part);
      if (role) el.setAttribute('role', role);
      return ui[part] = el;
    };
    const line = root.appendChild(document.createElement('div'));
    line.className = 'line';
    add(line, 'p', 'state', 'status').setAttribute('aria-live', 'polite');
    add(line, 'p', 'left').className = 'left';
    add(root, 'progress', 'progress').setAttribute('aria-label', 'Progress');
    add(root, 'p', 'message');
    add(root, 'p', 'error', 'alert');
    add(root, 'div', 'plot');
    add(root, 'ul', 'files').setAttribute('aria-label', 'Files');
  }

  async #start(stop, again) {
    const src = this.getAttribute('src');
    if (!this.shadowRoot) this.#build();
    if (!again) this.#clear();
    if (!src) return;
    if (!this.result) this.#say('Asking for the result', '');
    try {
      for await (const doc of follow(src, {signal: stop.signal})) {
        if (stop.signal.aborted) return;
        if (again && JSON.stringify(doc) === JSON.stringify(this.result)) continue;
        this.#show(doc, src);
        this.dispatchEvent(new CustomEvent('state', {detail: doc}));
      }
    } catch (err) {
      if (stop.signal.aborted) return;
      this.#say('No result', 'lost');
      this.#text('error', err.message);
      this.dispatchEvent(new CustomEvent('error', {detail: err}));
    }
  }

  #clear() {
    this.result = null;
    for (const el of Object.values(this.#ui)) el.hidden = true;
    this.#ui.plot.replaceChildren();
  }

  #say(text, state) {
    this.#text('state', text);
    this.#ui.state.className = state;
  }

  // A screen reader would read the same text again.
  #text(part, text) {
    const el = this.#ui[part];
    el.hidden = !text;
    if (el.textContent !== text) el.textContent = text;
  }

  #show(doc, src) {
    const {progress, files} = this.#ui, p = doc.progress, running = doc.state === 'running';
    this.result = doc;
    this.#say(sentence(doc), FINAL.includes(doc.state) || running ? doc.state : 'queued');
    progress.hidden = !running;
    if (p >= 0) progress.value = p;
    else progress.removeAttribute('value');
    this.#text('left', running && p >= 0 ? [`${Math.round(p * 100)} %`, left(doc)].filter(Boolean).join(', ') : '');
    this.#text('message', FINAL.includes(doc.state) ? '' : visible(doc.message || doc.reason || ''));
    const {message = '', pointer} = doc.error ?? {};
    this.#text('error', FINAL.includes(doc.state) ? visible(message) + (pointer ? ` (at ${visible(pointer, 200)})` : '') : '');
    files.hidden = !doc.artifacts?.length;
    files.replaceChildren(...(doc.artifacts ?? []).slice(0, 200).map((a) => this.#file(a, src)));
    this.#plot(doc);
  }

  #file({name, url, size}, src) {
    const li = document.createElement('li'), to = web(url, new URL(src, document.baseURI)) && under(url, src), a = document.createElement(to ? 'a' : 'span');
    if (to) a.href = to;
    a.textContent = visible(name, 200);
    li.append(a);
    if (size >= 0) li.append(` ${sizeOf(size)}`);
    return li;
  }

  async #plot(doc) {
    const host = this.#ui.plot, value = doc.result ?? doc.partial;
    if (!value || typeof value !== 'object') {
      host.hidden = true;
      return;
    }
    try {
      const {plot, css} = await import('./assets/plot.js');
      if (this.result !== doc) return;
      if (!this.#sheet.plots) this.#sheet.replaceSync(CSS + css);
      this.#sheet.plots = true;
      host.hidden = !plot(host, value);
    } catch (err) { console.warn('runnerbean-result: no plot', err); }
  }
}

globalThis.customElements?.get('runnerbean-result') ?? globalThis.customElements?.define('runnerbean-result', RunnerbeanResult);
