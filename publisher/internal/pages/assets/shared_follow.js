/** One follow of a URL for all elements of a page that show it. */

import {follow} from './follow.js';

// A connection that is back within LULL is not worth a word.
const LULL = 2000;
// A page that sets a URL on each frame asks once in AGAIN.
const AGAIN = 2000;
// Problems that a connection has, which is tried again. Others are told as errors.
const PASSING = ['unreachable', 'offline', 'silent', 'busy', 'missing'];

/**
 * Elements that show the same URL share one follow. It ends in a task of its own after
 * the last one has left, so that an element that is moved or replaced keeps it.
 */
class SharedFollow {
  static #all = new Map();
  /** The newest document, or null. */
  doc = null;
  /** The newest status of the connection, or null. */
  status = null;
  /** Whether the connection has been away for so long that people are told. */
  lost = false;
  /** Why there is no result, or null. */
  error = null;
  /** Whether it asks no more: the job has ended, or the error is final. */
  ended = false;
  #url; #watchers = new Set(); #stop; #begun; #again; #lull; #hints = new Set();

  constructor(url) { this.#url = url; }

  /** The follow of a URL. */
  static of(url) {
    if (!SharedFollow.#all.has(url)) SharedFollow.#all.set(url, new SharedFollow(url));
    return SharedFollow.#all.get(url);
  }

  /** Calls watcher with 'state', 'connection' or 'error' after each change. */
  watch(watcher) {
    this.#watchers.add(watcher);
    if (this.#stop) return;
    document.addEventListener('visibilitychange', this.#seen);
    this.restart();
  }

  leave(watcher) {
    this.#watchers.delete(watcher);
    setTimeout(() => { if (!this.#watchers.size) this.#close(); });
  }

  /** Asks again at once. */
  restart() {
    this.#quiet();
    this.#begun = Date.now();
    [this.ended, this.status] = [false, null];
    this.#run(this.#stop = new AbortController());
  }

  /** Asks again where nothing is asked any more. */
  again() {
    if (this.ended) this.#again ??= setTimeout(() => this.restart(), Math.max(this.#begun + AGAIN - Date.now(), 0));
  }

  // A person may come back to the page because of a retry.
  #seen = () => {
    if (document.visibilityState === 'visible' && this.ended && (this.error || this.doc?.state !== 'succeeded')) this.restart();
  };

  #quiet() {
    this.#stop?.abort();
    clearTimeout(this.#again);
    clearTimeout(this.#lull);
    this.#again = null;
  }

  #close() {
    this.#quiet();
    document.removeEventListener('visibilitychange', this.#seen);
    if (SharedFollow.#all.get(this.#url) === this) SharedFollow.#all.delete(this.#url);
  }

  #tell(what) { for (const watcher of [...this.#watchers]) watcher(what); }

  async #run({signal}) {
    try {
      for await (const doc of follow(this.#url, {signal, onStatus: (status) => signal.aborted || this.#heard(status)})) {
        if (signal.aborted) return;
        [this.doc, this.error] = [doc, null];
        this.lost &&= this.status?.connected === false;
        this.#tell('state');
      }
      if (!signal.aborted) [this.ended, this.lost] = [true, false];
    } catch (err) {
      if (signal.aborted) return;
      clearTimeout(this.#lull);
      [this.ended, this.lost] = [true, false];
      this.#fail(err);
    }
  }

  #fail(err) {
    this.error = err;
    if (!err.reason || err.reason === 'not-a-result') this.#hint(err.message);
    this.#tell('error');
  }

  // The query of a URL may be a secret. follow itself tells what a page must allow.
  #hint(text) {
    if (!this.#hints.has(text)) console.warn(`runnerbean-result: ${text}: ${this.#url.split('?')[0]}`);
    this.#hints.add(text);
  }

  #heard(status) {
    const {connected, since, problem} = this.status = status, fault = PASSING.includes(problem?.reason) ? null : problem;
    const better = this.error && !fault, wait = connected || this.lost ? 0 : LULL - (Date.now() - since);
    if (better) this.error = null;
    if (fault && fault.reason !== this.error?.reason) this.#fail(fault);
    clearTimeout(this.#lull);
    if (wait > 0) this.#lull = setTimeout(() => this.#turn(!connected), wait);
    if (wait <= 0 && (this.lost || !connected) || better) this.#turn(!connected && wait <= 0);
  }

  #turn(lost) {
    this.lost = lost;
    this.#tell('connection');
  }
}
