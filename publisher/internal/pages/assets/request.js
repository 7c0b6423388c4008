/** Requests of a follow: addresses, bounded answers, and why there is no answer. */

import {visible} from './words.js';

/** The longest answer that is read, in bytes: far more than a node stores by default. */
const MAX_ANSWER = 256 << 20;

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export const hidden = () => globalThis.document?.visibilityState === 'hidden';

/** The URL if it is http or https, else null. @returns {URL|null} */
export const web = (url, base) => {
  try {
    const u = new URL(url, base);
    return /^https?:$/.test(u.protocol) ? u : null;
  } catch { return null; }
};

/** Milliseconds to wait after n failures: doubled up to half a minute, with jitter. */
export const backoff = (n) => 1000 * 2 ** Math.min(n, 5) * (.75 + Math.random() / 2);

/** The time to wait that an answer asks for, in milliseconds, or 0. */
export const retryAfter = (response) => Math.min(+response.headers.get('Retry-After') || 0, 60) * 1000;

/** Whether a status says that the server cannot answer now. */
export const busy = (status) => status >= 500 || [408, 425, 429].includes(status);

/** An error with a reason that scripts compare. docs/browser.md lists the reasons. */
export const problem = (reason, message, status) => Object.assign(new Error(visible(message)), {reason}, status && {status});

/** Whether a value is a result document. */
export const isResult = (doc) => typeof doc?.id === 'string' && typeof doc.state === 'string';

/** The value of a JSON answer, or undefined if it is something else. */
export const readJSON = async (response) => {
  const reader = response.body?.getReader(), decoder = new TextDecoder();
  if (!/[/+]json\b/.test(response.headers.get('Content-Type'))) return void reader?.cancel().catch(() => {});
  let text = '', size = 0;
  for (let part; reader && !(part = await reader.read()).done;) {
    size += part.value.length;
    if (size > MAX_ANSWER) return void reader.cancel().catch(() => {});
    text += decoder.decode(part.value, {stream: true});
  }
  try { return JSON.parse(text); } catch {}
};

const told = new Set();

/** Tells a developer once what to set. */
const hint = (text) => {
  if (told.has(text)) return;
  told.add(text);
  console.warn(`runnerbean: ${text}`);
};

/**
 * Says why a request has failed that began at the time since. Browsers keep it from
 * scripts. So a violation of the page's policy is watched for, and a request whose
 * answer cannot be read shows that there is one.
 */
export const diagnose = async (server, {origin, host, href}, since, again) => {
  await pause(50); // the event comes a little later than the failure
  const {readable, send} = server, page = globalThis.location?.origin;
  if (server.blocked >= since) {
    hint(`the Content-Security-Policy of this page must allow "connect-src ${origin}"`);
    return problem('policy', `The Content-Security-Policy of this page forbids requests to ${origin}`);
  }
  if (globalThis.navigator?.onLine === false) return problem('offline', 'This device is offline');
  // Before a restart is over, a proxy may answer without the field. So it takes two failures.
  if (again && !readable && page && page !== origin) {
    const init = {mode: 'no-cors', method: 'HEAD', credentials: 'omit', cache: 'no-store', signal: AbortSignal.timeout(3000)};
    if (await send(href, init).catch(() => null)) {
      hint(`${origin} answers, but this page may not read it. Answers to pages of ${page} need the field "Access-Control-Allow-Origin: ${page}"; a proxy may have removed it`);
      return problem('cors', `${host} does not let this page read its answers`);
    }
  }
  return problem('unreachable', `No connection to ${host}`);
};
