/**
 * Follows a Runnerbean result URL from any page. docs/browser.md explains it, with
 * a page to copy; /runnerbean.d.ts has the types.
 *
 *   <script type="module" src="https://NODE/runnerbean.js"></script>
 *   <runnerbean-result src="https://NODE/019…">What is shown until then</runnerbean-result>
 *
 *   import {follow} from 'https://NODE/runnerbean.js';
 *   for await (const doc of follow(url)) console.log(doc.state, doc.progress);
 *
 * A page with a strict policy needs script-src NODE and connect-src NODE, and
 * no style-src. Plots are drawn by NODE/assets/plot.js, loaded when needed.
 */

import {FINAL, follow} from './follow.js';
import {web} from './request.js';
import {SharedFollow} from './shared_follow.js';
import {CSS} from './element_style.js';
import {away, left, refusal, sentence, severed, sizeOf, visible} from './words.js';

/** The address of a file, with the query of the result's address (its signature). */
const under = (url, src) => {
  const from = new URL(src, document.baseURI), to = new URL(url, from);
  if (to.origin === from.origin && to.pathname.startsWith(from.pathname.replace(/\/$/, '') + '/files/')) to.search ||= from.search;
  return to;
};

const same = (a, b) => a?.timestamp === b?.timestamp && JSON.stringify(a) === JSON.stringify(b);

const STATES = ['waiting', 'queued', 'running', ...FINAL, 'connecting', 'lost', 'error'];

/** `<runnerbean-result src>`: see the top of this file. */
class RunnerbeanResult extends (globalThis.HTMLElement ?? Object) {
  static observedAttributes = ['src'];
  /** The newest document, or null. @type {object|null} */
  result = null;
  #internals = this.attachInternals?.(); #shared = null; #url = ''; #css = CSS; #sheet; #ui = {};
  #due = false; #set = false; #ticks;

  get src() { return this.getAttribute('src') ?? ''; }
  set src(url) {
    if (url === null || url === undefined) this.removeAttribute('src');
    else this.setAttribute('src', url);
  }

  connectedCallback() {
    if (Object.hasOwn(this, 'src')) { // set before the element was defined
      const {src} = this;
      delete this.src;
      this.src = src;
    }
    this.#soon();
  }
  disconnectedCallback() {
    this.#shared?.leave(this.#news);
    clearInterval(this.#ticks);
  }
  adoptedCallback() { if (this.shadowRoot) this.#dress(); }
  attributeChangedCallback() {
    this.#set = true;
    this.#soon();
  }

  /** Asks again, also about a job that has ended: a person may have retried it. */
  refresh() { if (this.isConnected) this.#shared?.restart(); }

  // A framework may remove an attribute and set it, or an element and insert it. Only
  // what is there in the end counts.
  #soon() {
    if (!this.#due) queueMicrotask(() => {
      this.#due = false;
      if (this.isConnected) this.#settle();
    });
    this.#due = true;
  }

  #settle() {
    const set = this.#set, url = this.src && (web(this.src, document.baseURI)?.href ?? this.src), old = this.#shared;
    if (!this.shadowRoot) this.#build();
    this.#set = false;
    this.#shared = url ? SharedFollow.of(url) : null;
    if (old !== this.#shared) old?.leave(this.#news);
    if (url === this.#url && set) this.#shared?.again();
    const other = url !== this.#url;
    if (other) this.#clear();
    this.#url = url;
    this.#shared?.watch(this.#news);
    this.#news(other && this.#shared?.error ? 'error' : 'state');
  }

  #news = (what) => {
    const {doc = null, error, status} = this.#shared ?? {}, fresh = doc && !same(doc, this.result);
    if (fresh) this.result = doc;
    this.#show(fresh);
    const detail = {state: fresh && doc, connection: status, error}[what];
    if (detail) this.dispatchEvent(new CustomEvent(what, {detail, bubbles: true, composed: true}));
  };

  #clear() {
    this.result = null;
    this.#ui.plot.hidden = this.#ui.files.hidden = true;
    this.#ui.plot.replaceChildren();
  }

  // A document takes the style sheets of another one away.
  #dress() {
    this.#sheet = new (this.ownerDocument.defaultView ?? globalThis).CSSStyleSheet();
    this.#sheet.replaceSync(this.#css);
    this.shadowRoot.adoptedStyleSheets = [this.#sheet];
  }

  #build() {
    const root = this.attachShadow({mode: 'open'}), ui = this.#ui;
    this.#dress();
    const add = (to, tag, name, role) => {
      const el = to.appendChild(document.createElement(tag));
      el.setAttribute('part', name);
      if (role) el.setAttribute('role', role);
      return ui[name] = el;
    };
    const box = ui.box = root.appendChild(document.createElement('div')), line = box.appendChild(document.createElement('div'));
    line.className = 'line';
    add(line, 'p', 'state', 'status').setAttribute('aria-live', 'polite');
    add(line, 'p', 'left').className = 'left';
    // Its first half is announced when it changes; the seconds in the other are not.
    const connection = add(box, 'p', 'connection');
    ui.lost = connection.appendChild(document.createElement('span'));
    ui.lost.setAttribute('role', 'status');
    ui.since = connection.appendChild(document.createElement('span'));
    add(box, 'progress', 'progress').setAttribute('aria-label', 'Progress');
    add(box, 'p', 'message');
    add(box, 'p', 'error', 'alert');
    add(box, 'div', 'plot');
    add(box, 'ul', 'files').setAttribute('aria-label', 'Files');
    ui.slot = root.appendChild(document.createElement('slot'));
    ui.slot.onslotchange = () => this.#show(false);
  }

  // A screen reader would read the same text again.
  #text(name, text) {
    const el = this.#ui[name];
    if (name !== 'lost') el.hidden = !text;
    if (el.textContent !== text) el.textContent = text;
  }

  /** Shows what is known. fresh says that the document is new. */
  #show(fresh) {
    const ui = this.#ui, doc = this.result, {error = null, lost = false, ended} = this.#shared ?? {};
    const running = doc?.state === 'running' && !(error && ended), final = FINAL.includes(doc?.state), p = doc?.progress;
    const said = error && (ended || !doc) ? refusal(error) : null, own = !doc && !error && this.#shared;
    const filled = ui.slot.assignedNodes().some((n) => n.localName || n.data.trim());
    ui.box.className = lost ? 'stale' : '';
    ui.slot.hidden = !!(doc || error);
    this.#text('state', said ? said.title : doc ? sentence(doc) : own && !filled ? 'Asking for the result' : '');
    ui.state.className = said ? 'failed' : !doc ? '' : STATES.includes(doc.state) ? doc.state : 'queued';
    ui.progress.hidden = !running;
    if (p >= 0) ui.progress.value = p;
    else ui.progress.removeAttribute('value');
    this.#text('left', running && p >= 0 ? [`${Math.round(p * 100)} %`, lost ? '' : left(doc)].filter(Boolean).join(', ') : '');
    this.#text('message', !doc || final || said ? '' : visible(doc.message || doc.reason || ''));
    const {message = '', pointer} = doc?.error ?? {};
    this.#text('error', error ? refusal(error).text : final ? visible(message) + (pointer ? ` (at ${visible(pointer, 200)})` : '') : '');
    this.#connection(lost && !error);
    this.#flag(said || !this.#shared ? '' : doc?.state ?? 'connecting', lost && 'lost', error && 'error');
    if (!fresh) return;
    ui.files.hidden = !doc.artifacts?.length;
    ui.files.replaceChildren(...(doc.artifacts ?? []).slice(0, 200).map((a) => this.#file(a)));
    this.#plot(doc);
  }

  #connection(lost) {
    const {status} = this.#shared ?? {}, tick = () => this.#text('since', away(status));
    // People who were told of the loss are told of the end, too.
    this.#text('lost', lost ? severed(status.problem?.reason) : this.#ui.lost.textContent && 'Connected again');
    this.#ui.lost.className = lost ? '' : 'unseen';
    clearInterval(this.#ticks);
    if (!lost) return this.#text('since', '');
    tick();
    this.#ticks = setInterval(tick, 1000);
  }

  #flag(...names) {
    try {
      for (const name of STATES) {
        if (names.includes(name)) this.#internals.states.add(name);
        else this.#internals.states.delete(name);
      }
    } catch { /* an old browser has no states */ }
  }

  #file({name, url, size}) {
    const li = document.createElement('li'), to = web(url, new URL(this.#url, document.baseURI)) && under(url, this.#url), a = document.createElement(to ? 'a' : 'span');
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
      if (this.#css === CSS) this.#sheet.replaceSync(this.#css = CSS + css);
      host.hidden = !plot(host, value);
    } catch (err) { console.warn('runnerbean-result: no plot', err); }
  }
}

globalThis.customElements?.get('runnerbean-result') ?? globalThis.customElements?.define('runnerbean-result', RunnerbeanResult);

export {follow};
