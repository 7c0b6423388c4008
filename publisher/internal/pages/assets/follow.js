/** Follows a result URL: streams, requests that wait, polling. */

import {takePlace} from './places.js';
import {backoff, busy, diagnose, hidden, isResult, problem, readJSON, retryAfter, web} from './request.js';
import {PACE, serverOf} from './stream.js';

/** The states of a job that has ended. */
export const FINAL = ['succeeded', 'failed', 'cancelled'];
const SILENCE = 60_000;  // a follow with a stream asks so often, in milliseconds
const HIDDEN = 10_000;   // a follow of a hidden page
const GRACE = 30_000;    // so long a job may be missing, and so long a request may take to begin
const HOLD = 20;         // seconds that a request waits for news
const SILENT = 6000;     // a request without an answer for so long is told
const ODD = 3;           // so many answers in a row that are no result are told
// A timer that is late by LAPSE means that the machine has slept.
const NAP = 10_000, LAPSE = 10_000;

/** One iteration of follow. */
class Follow {
  /** Whether a stream brings the documents. */
  served = false;
  stream = null;
  #options; #src; #server; #closed = false;
  #next; #last; #text; #wake; #flight; #redo; #tag;
  #due = 0; #asked = 0; #wanted = false; #fails = 0; #missing = 0; #odd = 0;
  #heard = Date.now(); #status;

  constructor(url, options) {
    this.#options = options;
    this.#src = web(url, globalThis.document?.baseURI);
  }

  async* run() {
    const {signal, onState} = this.#options;
    if (!this.#src) throw new TypeError('follow: not an http(s) URL');
    if (signal?.aborted || this.#closed) return;
    signal?.addEventListener('abort', this.close);
    this.#join();
    try {
      while (!this.#closed) {
        const doc = this.#next;
        if (doc) {
          this.#next = null;
          this.#last = doc;
          const text = JSON.stringify({...doc, timestamp: 0});
          if (text === this.#text) continue;
          this.#text = text;
          onState?.(doc);
          yield doc;
          if (FINAL.includes(doc.state)) return;
        } else if (Date.now() >= this.#due) {
          await this.#get();
        } else {
          await this.#nap();
        }
      }
    } finally {
      this.close();
    }
  }

  /** Ends the iteration at once, also while nobody waits for its next document. */
  close = () => {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.signal?.removeEventListener('abort', this.close);
    this.#server?.remove(this);
    this.#flight?.cut();
    this.#wake?.();
  };

  #join() {
    const together = new URL(this.#src), query = together.searchParams, path = this.#src.pathname.replace(/\/$/, '');
    this.events = new URL(this.#src);
    this.events.pathname = path + '/events';
    this.id = this.job = path.slice(path.lastIndexOf('/') + 1);
    if (query.has('signature')) this.job += `.${query.get('expires')}.${query.get('signature')}`;
    query.delete('expires');
    query.delete('signature');
    together.pathname = path.replace(/(\/results)?\/[^/]*$/, '/results/events');
    together.hash = '';
    this.#server = serverOf(together, this.#options);
    this.#server.add(this);
  }

  // Asks soon, also while a stream is open: the stream may be dead.
  ask(from = Date.now()) {
    this.#wanted = true;
    this.#due = Math.min(this.#due, Math.max(from, this.#asked + PACE));
    if (this.#flight && (this.#flight.held || Date.now() - this.#asked > PACE)) { // it may never be answered
      this.#redo = true;
      this.#flight.cut();
    }
    this.#wake?.();
  }

  woken() {
    this.#fails = this.#missing = 0;
    this.ask();
  }

  /** The stream of this follow has ended. It lived until the time last. */
  lost(wait, last) {
    if (this.served && last) this.#heard = last;
    this.served = false;
    this.ask(Date.now() + wait);
  }

  /** The stream does not bring this result. */
  refused() {
    this.served = false;
    this.ask();
  }

  /** The stream has brought a document. */
  heard(doc) {
    this.served = true;
    this.#well();
    this.#wanted = false;
    this.#due = Date.now() + SILENCE;
    this.#tell(null);
    // An event may leave out a large result. The URL has it.
    if (doc.state === 'succeeded' && !('result' in doc)) {
      this.#due = 0;
      this.#wake?.();
    } else this.#take(doc);
  }

  // Answers may overtake events, so an older document is dropped.
  #take(doc) {
    const before = this.#next ?? this.#last, end = FINAL.includes(doc.state);
    if (FINAL.includes(this.#next?.state) || !end && before && Date.parse(doc.timestamp) < Date.parse(before.timestamp)) return;
    this.#next = doc;
    this.#wake?.();
  }

  #well() {
    this.#heard = Date.now();
    this.#fails = this.#missing = this.#odd = 0;
  }

  // Calls onStatus if something has changed.
  #tell(fault, connected = !fault) {
    const status = {connected, since: connected ? null : new Date(this.#heard), retry: fault && new Date(this.#due), problem: fault};
    const text = JSON.stringify([status, fault?.reason, fault?.message]);
    if (this.#closed || text === this.#status) return;
    this.#status = text;
    try { this.#options.onStatus?.(status); } catch (err) { console.error(err); }
  }

  async #request() {
    const late = new AbortController(), cut = (why) => late.abort(why), flight = this.#flight = {cut};
    const silence = problem('silent', `No answer from ${this.#src.host}`);
    const place = this.#tag && this.#server.waiting && !hidden() ? await takePlace(this.#src.origin) : null;
    const headers = {Accept: 'application/json', ...place && {Prefer: `wait=${HOLD}`, 'If-None-Match': this.#tag}};
    const silent = setTimeout(() => this.#tell(silence), SILENT + (place ? HOLD * 1000 : 0));
    let timer = setTimeout(cut, GRACE, silence);
    flight.held = !!place;
    try {
      const response = await this.#server.get(this.#src, {headers, cache: place ? 'no-store' : 'no-cache', signal: late.signal});
      this.#flight = {cut};
      clearTimeout(silent);
      clearTimeout(timer);
      timer = setTimeout(cut, 20 * GRACE, silence); // a large result on a slow line
      this.#server.readable = true;
      if (!place) this.#server.proven = Math.max(this.#server.proven, this.#asked);
      this.#tag = response.headers.get('ETag');
      return {response, doc: response.status === 304 ? null : await readJSON(response), held: !!place};
    } finally {
      this.#flight = null;
      place?.();
      clearTimeout(silent);
      clearTimeout(timer);
    }
  }

  // Takes an answer. Returns how long to wait, and a problem to tell.
  #answered({response, doc, held}) {
    const {status, ok} = response, after = retryAfter(response), server = this.#server;
    if (status === 304 || ok && isResult(doc)) {
      this.#well();
      if (doc && doc.id !== this.id) this.job = null; // the URL has another name for it
      if (doc) this.#take(doc);
      if (!FINAL.includes((doc ?? this.#last)?.state)) server.want(this);
      if (this.served) return {wait: SILENCE};
      if (this.#tag && server.waiting && !hidden()) return {wait: held ? Math.max(this.#asked + PACE - Date.now(), 0) : PACE};
      return {wait: Math.max(after, server.pace, hidden() ? HIDDEN : 0)};
    }
    if (status !== 404) this.#missing = 0;
    if (ok) {
      const odd = ++this.#odd, fault = problem('not-a-result', `${this.#src.host} answers, but not with a result`, status);
      return {wait: Math.max(odd < ODD ? 1200 : backoff(odd - 1), after), fault: odd >= ODD && fault};
    }
    const text = doc?.detail || doc?.title || `HTTP ${status}`;
    if (busy(status)) return {wait: Math.max(backoff(this.#fails++), after), fault: problem('busy', text, status)};
    const fault = problem({404: 'missing', 410: 'gone'}[status] ?? 'refused', text, status);
    if (status === 404) this.#missing ||= Date.now();
    if (status !== 404 || Date.now() - this.#missing >= GRACE) throw fault;
    return {wait: after || 1000, fault, connected: true};
  }

  async #failed(err, began) {
    this.#tag = null;
    this.#missing = 0;
    if (this.#redo || this.#closed) return {wait: 0, fault: false};
    const fault = err.reason ? err : await diagnose(this.#server, this.#src, began, this.#fails > 0);
    if (fault.reason === 'policy') throw fault;
    return {wait: backoff(this.#fails++), fault};
  }

  async #get() {
    const began = this.#asked = Date.now();
    this.#wanted = this.#redo = false;
    const answer = await this.#request().catch((err) => err);
    const {wait, fault, connected} = answer.response ? this.#answered(answer) : await this.#failed(answer, began);
    this.#due = Date.now() + (this.#wanted ? Math.min(wait, PACE) : wait);
    if (fault !== false) this.#tell(fault ?? null, connected);
  }

  async #nap() {
    const from = Date.now(), time = Math.max(Math.min(this.#due, from + NAP) - from, 0);
    let timer;
    await new Promise((resolve) => { this.#wake = resolve; timer = setTimeout(resolve, time); });
    clearTimeout(timer);
    this.#wake = null;
    if (Date.now() - from > time + LAPSE) this.#server.woken();
  }
}

/**
 * Yields the documents of a result URL as they change; the last one is final. All
 * follows of a page share an event stream. Requests that wait take its place where a
 * proxy holds events back, and polling where neither works. A job may be missing for
 * 30 s: it may still arrive. Lasting refusals throw an Error with `reason` and `status`.
 * Servers that do not answer are tried until `signal` aborts or the iterator returns,
 * which ends the iteration without an error. All requests keep the query of the URL.
 *
 * `onState` is called before each document. `onStatus` is called when the connection
 * is lost, fails again, or is back: `since` is when it was lost, `retry` when the next
 * request is due, and `problem` an Error with `reason`, or null. `headers` go with every
 * request, and `fetch` sends it. Pass the same function each time: follows that differ
 * in headers or function share no stream.
 * @param {string|URL} url
 * @param {{signal?: AbortSignal, onState?: (doc: object) => void,
 *   onStatus?: (status: {connected: boolean, since: Date|null, retry: Date|null, problem: (Error & {reason: string, status?: number})|null}) => void,
 *   headers?: HeadersInit, fetch?: typeof fetch}} [options]
 * @returns {AsyncGenerator<object>}
 */
export const follow = (url, options = {}) => {
  const one = new Follow(url, options), docs = one.run();
  return {
    next: () => docs.next(),
    return: (value) => { one.close(); return docs.return(value); },
    throw: (err) => { one.close(); return docs.throw(err); },
    [Symbol.asyncIterator]() { return this; },
  };
};
