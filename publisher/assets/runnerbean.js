/**
 * Follow a Runnerbean result URL from any page.
 *
 *   <script type="module" src="https://NODE/runnerbean.js"></script>
 *   <runnerbean-result src="https://NODE/019…"></runnerbean-result>
 *
 * The element shows state, progress, message, plots, error and files. Set src
 * at any time; without it the element is empty. It fires `state` (detail: the
 * document) at each news, and `error` (detail: the Error) if it gives up.
 * `element.result` is the newest document. Colours follow color-scheme; set
 * --runnerbean-accent, -ink, -soft, -line, -paper, -bad, -warn, or style
 * ::part(state|progress|message|plot|error|files).
 *
 *   import {follow} from 'https://NODE/runnerbean.js';
 *   for await (const doc of follow(url)) console.log(doc.state, doc.progress);
 *
 * A page with a strict policy needs script-src NODE and connect-src NODE, and
 * no style-src. Plots are drawn by NODE/assets/plot.js, loaded when needed.
 */

const FINAL = ['succeeded', 'failed', 'cancelled'];
const SILENCE = 60_000, GRACE = 30_000, HIDDEN = 10_000, PACE = 2_000, DAY = 86_400;
// Browsers open six connections to a server over HTTP/1.1, streams included:
// a page holds four at most, and a hidden page none.
const STREAMS = 4;
let streams = 0;

/** The URL if it is one of the web, else null. @returns {URL|null} */
const web = (url, base) => {
  try {
    const u = new URL(url, base);
    return /^https?:$/.test(u.protocol) ? u : null;
  } catch { return null; }
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

/**
 * The documents of a result URL as they change; the last is final. Live by
 * Server-Sent Events, by polling where those fail. A 404 in the first 30 s
 * means that the job is on its way; other refusals throw. Unreachable servers
 * are tried until `signal` aborts, which ends the iteration quietly.
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
  let es, wake, next, last, text, reopen = 0, fails = 0, asked = 0, due = 0, wanted = false;

  // Asks soon, whatever a stream says until then: it may be about to die.
  const ask = () => { wanted = true; due = Math.min(due, Math.max(Date.now(), asked + PACE)); wake?.(); };
  const rest = () => { if (!wanted) due = Date.now() + SILENCE; };
  const hidden = () => globalThis.document?.visibilityState === 'hidden';
  const deafen = () => { if (es) { es.close(); es = null; streams--; } };
  const turned = () => { if (hidden()) deafen(); else reopen = 0; ask(); };
  const abort = () => { stop.abort(); wake?.(); };
  const isNew = (doc) => JSON.stringify({...doc, timestamp: 0}) !== text;
  const valid = (doc) => typeof doc?.state === 'string';
  // Only the newest counts. Answers may overtake events: what is older is no news.
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
    rest();
    // An event may leave out a large result: then the URL has it.
    if (doc.state === 'succeeded' && !('result' in doc)) { due = 0; wake?.(); } else take(doc);
  };
  const listen = () => {
    deafen();
    if (!globalThis.EventSource || hidden() || streams >= STREAMS) return;
    streams++;
    const mine = es = new EventSource(events);
    for (const type of ['message', 'state', 'progress', 'result']) es.addEventListener(type, heard);
    es.onopen = rest;
    es.onerror = () => {
      if (mine !== es) return;
      if (es.readyState === EventSource.CLOSED) { deafen(); reopen = Date.now() + GRACE; }
      ask();
    };
  };
  const get = async () => {
    asked = Date.now();
    wanted = false;
    let wait = 1000 * 2 ** Math.min(fails, 5) * (.75 + Math.random() / 2);
    const late = new AbortController(), cut = () => late.abort();
    let timer = setTimeout(cut, GRACE);
    stop.signal.addEventListener('abort', cut);
    try {
      const response = await fetch(src, {headers: {Accept: 'application/json'}, cache: 'no-cache', signal: late.signal});
      clearTimeout(timer);
      timer = setTimeout(cut, 20 * GRACE); // a large result on a slow line
      const after = Math.min(+response.headers.get('Retry-After') || 0, 60) * 1000;
      if (response.ok) {
        const doc = await response.json();
        if (!valid(doc)) throw new Error('not a result document');
        fails = 0;
        wait = Math.max(after || PACE, hidden() ? HIDDEN : 0);
        if (!FINAL.includes(doc.state)) {
          // News that the open stream did not bring: the stream is deaf.
          if (!es ? Date.now() >= reopen : last && isNew(doc)) listen();
          if (es?.readyState === 1) wait = SILENCE;
        }
        take(doc);
      } else if (response.status === 404 && !last && Date.now() - began < GRACE) {
        wait = after || 1000;
      } else if (response.status >= 500 || [408, 425, 429].includes(response.status)) {
        fails++;
        wait = Math.max(wait, after);
      } else {
        const problem = await response.json().catch(() => ({}));
        throw Object.assign(new Error(visible(problem.detail || problem.title || `HTTP ${response.status}`)), {status: response.status});
      }
    } catch (err) {
      if (err.status) throw err;
      fails++;
    } finally {
      clearTimeout(timer);
      stop.signal.removeEventListener('abort', cut);
    }
    due = Date.now() + (wanted ? Math.min(wait, PACE) : wait);
  };

  signal?.addEventListener('abort', abort);
  globalThis.addEventListener?.('online', ask);
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
      } else if (Date.now() >= due) {
        await get();
      } else {
        let timer;
        await new Promise((resolve) => { wake = resolve; timer = setTimeout(resolve, due - Date.now()); });
        clearTimeout(timer);
        wake = null;
      }
    }
  } finally {
    stop.abort();
    deafen();
    signal?.removeEventListener('abort', abort);
    globalThis.removeEventListener?.('online', ask);
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

/** What is left of a running job, in words; '' where nothing can be said. */
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

  connectedCallback() { this.#restart(); }
  disconnectedCallback() { this.#stop?.abort(); }
  attributeChangedCallback() { if (this.isConnected) this.#restart(); }

  // Both callbacks come when a page is read: one start is enough.
  #restart() {
    this.#stop?.abort();
    const stop = this.#stop = new AbortController();
    queueMicrotask(() => stop.signal.aborted || this.#start(stop));
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

  async #start(stop) {
    const src = this.getAttribute('src');
    if (!this.shadowRoot) this.#build();
    this.result = null;
    for (const el of Object.values(this.#ui)) el.hidden = true;
    this.#ui.plot.replaceChildren();
    if (!src) return;
    this.#say('Asking for the result', '');
    try {
      for await (const doc of follow(src, {signal: stop.signal})) {
        if (stop.signal.aborted) return;
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

  #say(text, state) {
    this.#text('state', text);
    this.#ui.state.className = state;
  }

  // The same text again would be read out again.
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
    const li = document.createElement('li'), to = web(url, new URL(src, document.baseURI)), a = document.createElement(to ? 'a' : 'span');
    if (to) a.href = to;
    a.textContent = visible(name, 200);
    li.append(a);
    if (size >= 0) li.append(size < 1e3 ? ` ${size} bytes` : size < 1e6 ? ` ${(size / 1e3).toFixed(1)} kB` : ` ${(size / 1e6).toFixed(1)} MB`);
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
