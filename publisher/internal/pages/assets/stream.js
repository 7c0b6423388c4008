/** Event streams of a page: one for up to 64 results of a server. */

import {events} from './events.js';
import {takePlace} from './places.js';
import {backoff, busy, hidden, isResult, retryAfter, web} from './request.js';

/** How often a page asks without a stream, in milliseconds. */
export const PACE = 2000;
const GATHER = 50;       // follows that begin within this time get one stream
const ROOM = 64;         // results in one stream
const REOPEN = 5000;     // a stream is opened again for other results no more often
const DEAF = 8000;       // a stream begins with an event at once, unless a proxy holds it back
const QUIET = 32_000;    // comments come every 15 s, so a stream without them is dead
const STEADY = 10_000;   // a stream that lives longer works
const BLOCKED = 300_000; // what does not work is tried again then
const MANY = 20;         // so many follows without a stream ask every PACE, more of them less often

// Ways to get news, the best first. A server or a proxy may not know the stream for many
// results. Behind a proxy that holds events back only requests that wait are left.
const TOGETHER = 0, SINGLE = 1, WAITING = 2;

/** What the follows of a page have in common that ask a server in the same way. */
export class Server {
  follows = new Set();
  /** Whether an answer could be read. */
  readable = false;
  /** When the newest request began that was answered. */
  proven = 0;
  /** How many streams in a row have ended without a comment. */
  silences = 0;
  #streams = new Set(); #way = TOGETHER; #until = 0; #blocked = 0; #ears; #empty; #fields;

  /** @param {URL} together @param {typeof fetch} send @param {Headers} fields @param {() => void} empty called after the last follow */
  constructor(together, send, fields, empty) {
    this.together = together;
    this.send = send;
    this.#fields = fields;
    this.#empty = empty;
  }

  /** When the policy of the page forbade a request to this server last. */
  get blocked() { return this.#blocked; }

  /** Whether only requests that wait bring news. */
  get waiting() { return this.#way === WAITING && Date.now() < this.#until; }

  /** How long a follow without a stream waits between two requests. */
  get pace() {
    let n = 0;
    for (const f of this.follows) n += !f.served;
    return PACE * Math.max(1, n / MANY) * (.875 + Math.random() / 4);
  }

  get(url, {headers, ...init}) {
    const {send} = this, fields = new Headers(this.#fields);
    for (const [name, value] of Object.entries(headers)) fields.set(name, value);
    return send(url, {...init, headers: fields});
  }

  add(follow) {
    if (!this.follows.size) this.#listen();
    this.follows.add(follow);
  }

  remove(follow) {
    follow.stream?.remove(follow);
    if (!this.follows.delete(follow) || this.follows.size) return;
    this.#ears.abort();
    this.#empty();
  }

  #listen() {
    const {signal} = this.#ears = new AbortController(), page = globalThis.document;
    const on = (target, type, f) => target?.addEventListener?.(type, f, {signal});
    on(globalThis, 'online', () => this.woken());
    on(globalThis, 'pageshow', (e) => e.persisted && this.woken());
    on(page, 'resume', () => this.woken());
    on(page, 'visibilitychange', () => {
      if (hidden()) for (const s of this.#streams) s.close();
      for (const f of this.follows) f.ask();
    });
    on(page, 'securitypolicyviolation', (e) => {
      if (e.disposition !== 'report' && web(e.blockedURI)?.origin === this.together.origin) this.#blocked = Date.now();
    });
  }

  /** A stream that was open before a sleep, or in another network, may be dead. */
  woken() {
    this.silences = 0;
    for (const s of this.#streams) s.close();
    for (const f of this.follows) f.woken();
  }

  /** A follow has just had an answer, and wants events. */
  want(follow) {
    if (this.#way && Date.now() >= this.#until) this.use(TOGETHER);
    if (hidden() || this.#way === WAITING) return;
    if (!follow.stream) {
      const alone = this.#way === SINGLE || !follow.job;
      const stream = [...this.#streams].find((s) => !alone && s.room) ?? new Stream(this, alone);
      this.#streams.add(stream);
      stream.add(follow);
    }
    follow.stream.want();
  }

  drop(stream) { this.#streams.delete(stream); }

  /** Changes to another way of getting news. */
  use(way) {
    this.#way = way;
    this.#until = Date.now() + BLOCKED;
    for (const s of this.#streams) s.end();
  }

  /** Changes to the next way because a stream does not work. */
  fallBack(alone) { this.use(alone ? WAITING : SINGLE); }
}

/** One stream, and the follows that share it. */
class Stream {
  #server; #alone; #follows = new Set(); #has = new Set(); #stop; #timer; #freed = Promise.resolve();
  #opened = 0; #from = 0; #breaks = 0; #vain = 0;

  constructor(server, alone) {
    this.#server = server;
    this.#alone = alone;
  }

  get room() { return !this.#alone && this.#follows.size < ROOM; }

  add(follow) {
    follow.stream = this;
    this.#follows.add(follow);
  }

  remove(follow) {
    follow.stream = null;
    this.#follows.delete(follow);
    if (!this.#follows.size) this.end();
  }

  /** Opens the stream soon if it is closed, or open for too few or too many results. */
  want() {
    const jobs = new Set([...this.#follows].map((f) => f.job)), has = this.#has;
    if (this.#timer || this.#stop && has.size <= 2 * jobs.size && [...jobs].every((job) => has.has(job))) return;
    const now = Date.now(), at = Math.max(now + GATHER, this.#from, this.#stop ? this.#opened + REOPEN : 0);
    this.#timer = setTimeout(() => { this.#open(); }, at - now);
  }

  #halt() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#stop?.abort();
    this.#stop = null;
  }

  /** Closes the connection. The next want opens another. */
  close() {
    this.#halt();
    this.#from = this.#breaks = 0;
    for (const f of this.#follows) f.served = false;
  }

  /** Closes the connection for good. */
  end() {
    this.close();
    this.#server.drop(this);
    for (const f of this.#follows) {
      f.stream = null;
      f.lost(0);
    }
  }

  async #open() {
    this.#halt();
    const stop = this.#stop = new AbortController(), mine = () => this.#stop === stop;
    this.#opened = Date.now();
    this.#has = new Set([...this.#follows].map((f) => f.job));
    const before = this.#freed;
    let free;
    this.#freed = new Promise((resolve) => { free = resolve; });
    await before; // the connection that this one replaces has a place
    const place = mine() ? await takePlace(this.#server.together.origin) : null;
    const end = place && mine() ? await this.#read(stop) : {};
    place?.();
    free();
    if (!mine()) return;
    this.#stop = null;
    if (place) this.#ended(end);
    else this.#yielded();
  }

  // Another page has the place. What the connection before has brought is all there is.
  #yielded() {
    this.#from = Date.now() + PACE;
    for (const f of this.#follows) if (f.served) f.lost(0);
  }

  get #url() {
    if (this.#alone) return [...this.#follows][0].events;
    const url = new URL(this.#server.together);
    for (const job of this.#has) url.searchParams.append('job', job);
    return url;
  }

  /** Reads the stream to its end. Resolves to how it ended. */
  async #read(stop) {
    const {signal} = stop, init = {headers: {Accept: 'text/event-stream'}, cache: 'no-store', signal};
    const server = this.#server, sent = Date.now();
    let why = 'lost', head = false, began = 0, last = 0, timer;
    const within = (ms, else_) => {
      clearTimeout(timer);
      timer = setTimeout(() => { why = else_; stop.abort(); }, ms);
    };
    // A busy page has requests that are to be sent before this one. So only what was asked
    // later and is answered shows that a proxy holds the stream back.
    const begin = (tries) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const deaf = head || server.proven > sent;
        if (!deaf && tries) return begin(tries - 1);
        if (deaf) why = 'deaf';
        stop.abort();
      }, DEAF);
    };
    const bytes = () => {
      last = Date.now();
      if (began) within(QUIET, 'quiet');
      if (last - this.#opened > STEADY) server.silences = 0;
    };
    try {
      begin(3);
      const response = await server.get(this.#url, init);
      if (busy(response.status)) return {why: 'busy', after: retryAfter(response)};
      if (!response.ok || !/^text\/event-stream\b/.test(response.headers.get('Content-Type'))) return {why: 'refused'};
      head = true;
      begin(0);
      for await (const event of events(response.body, bytes)) {
        if (signal.aborted) break;
        began ||= last;
        bytes();
        this.#deliver(...event);
      }
    } catch {
      // The end of the connection is no error here: the follows ask, and learn more.
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
    return {why, began, last};
  }

  #deliver(type, data) {
    let doc;
    try { doc = JSON.parse(data); } catch { return; }
    for (const f of this.#follows) {
      if (!this.#alone && f.id !== doc?.id) continue;
      if (type === 'refused') f.refused();
      else if (isResult(doc)) f.heard(doc);
    }
  }

  #ended({why, after = 0, began, last}) {
    const server = this.#server, now = Date.now();
    if (why === 'deaf' || why === 'quiet' && ++server.silences > 1) return server.use(WAITING);
    if (why === 'refused' || why === 'lost' && !began && ++this.#vain > 2) return server.fallBack(this.#alone);
    if (began) this.#vain = 0;
    if (last - this.#opened > STEADY) this.#breaks = 0;
    this.#from = now + Math.max(after, backoff(this.#breaks++));
    // A new stream brings all documents. Without it the follows ask a little later.
    const wait = why === 'lost' && began ? 1250 + Math.random() * 750 : 0;
    for (const f of this.#follows) f.lost(wait, why === 'quiet' ? last : now);
    if (began) this.want();
  }
}

const servers = new WeakMap(); // by the function that sends, then by all else

/** The Server for a result URL. */
export const serverOf = (together, {headers, fetch: send = globalThis.fetch}) => {
  const fields = new Headers(headers), key = JSON.stringify([together.href, ...fields]);
  if (!servers.has(send)) servers.set(send, new Map());
  const known = servers.get(send);
  if (!known.has(key)) known.set(key, new Server(together, send, fields, () => { known.delete(key); }));
  return known.get(key);
};
