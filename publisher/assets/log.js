// The end of a job's log, kept up to date.

import {visible} from '../runnerbean.js';

const LOG = 32_768, PACE = 2000;

/** A log without terminal escapes; of a line written over, its last form. */
const readable = (s) => s
  .replace(/\x1b(\[[ -?]*[@-~]?|[\]PX^_][^\x07\x1b\n]*(\x07|\x1b\\)?|[ -/]*[0-~]?)/g, '')
  .split('\n').map((l) => l.replace(/\r+$/, '').replace(/^.*\r/, '')).join('\n')
  .replaceAll('\t', '    ');

let busy = false;

/** Reads the end of the log at url into el, and stays at its end. */
export const tail = async (el, url) => {
  if (!el || !url || busy || document.hidden) return;
  busy = true;
  try {
    const log = new URL(url, location.origin);
    const answer = await fetch(log.pathname + log.search, {headers: {Range: `bytes=-${LOG}`}, cache: 'no-cache'});
    if (!answer.ok) return;
    let text = (await answer.text()).slice(-LOG);
    if (text.length === LOG) text = text.slice(text.indexOf('\n') + 1);
    const shown = visible(readable(text).trimEnd(), LOG), atEnd = el.scrollHeight - el.scrollTop - el.clientHeight < 40;
    if (el.textContent !== shown) el.textContent = shown;
    if (atEnd) el.scrollTop = el.scrollHeight;
  } catch { /* the next look may do better */ } finally { busy = false; }
};

/** Looks again and again. */
export const follow = (look) => setInterval(look, PACE);
