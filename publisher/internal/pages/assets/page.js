// Keeps the page about a job up to date. It follows the result, updates the progress
// in place, and requests the page again when more has changed.

import {follow} from '../runnerbean.js';
import {tail as readTail} from './log.js';
import {left, visible} from './words.js';

const $ = (id) => document.getElementById(id);
const put = (el, text) => { if (el && el.textContent !== text) el.textContent = text; };

/** Shows times in the reader's time zone. The text of the server becomes the title. */
const localise = () => {
  const full = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'medium'});
  const short = new Intl.DateTimeFormat(undefined, {timeStyle: 'medium'});
  for (const t of document.querySelectorAll('time:not([title])')) {
    const at = new Date(t.dateTime), today = at.toDateString() === new Date().toDateString();
    t.title = t.textContent;
    put(t, (today && t.closest('.verdict, table') ? short : full).format(at));
  }
};

/** The URL of the result of this page, with its signature. */
const signed = () => {
  const u = new URL(location.origin + location.pathname), q = new URLSearchParams(location.search);
  for (const name of ['expires', 'signature']) if (q.has(name)) u.searchParams.set(name, q.get(name));
  return u;
};

const tail = () => readTail($('log'), $('job')?.dataset.log);

const drawn = async (doc) => {
  const host = $('plots');
  if (!host) return;
  const {plot} = await import('./plot.js');
  plot($('plots') ?? host, doc.result ?? doc.partial);
};

/** What requires the whole page again; the rest is updated in place. */
const outline = (d) => JSON.stringify([d.state, d.attempt, d.node, d.position, d.not_before, d.started, !!d.partial, Object.keys(d.counters ?? {})]);

const load = async () => {
  const answer = await fetch(location.href, {headers: {Accept: 'text/html'}, cache: 'no-cache'});
  if (!answer.ok) throw new Error('no page');
  return new DOMParser().parseFromString(await answer.text(), 'text/html');
};

/** Replaces an element, and leaves the focus where it is. */
const swap = (old, fresh) => {
  const at = document.activeElement, link = at?.getAttribute('href');
  old.replaceWith(document.adoptNode(fresh));
  const again = at?.id ? $(at.id) : link && [...fresh.querySelectorAll('a')].find((a) => a.getAttribute('href') === link);
  if (at && !at.isConnected) again?.focus({preventScroll: true});
};

const renew = async () => {
  const page = await load(), fresh = page.getElementById('job'), old = $('job');
  if (!fresh) throw new Error('no page');
  const open = $('document')?.open;
  framesText = fresh.querySelector('#frames')?.outerHTML;
  swap(old, fresh);
  if ($('document')) $('document').open = open;
  document.title = page.title;
  localise();
  put($('live'), $('verdict')?.textContent ?? '');
  if ($('log')) $('log').scrollTop = $('log').scrollHeight;
};

const move = (d) => {
  const bar = $('progress'), p = d.progress, percent = p >= 0 && p <= 1 ? `${Math.round(p * 100)} %` : '';
  if (bar) {
    if (percent) bar.value = p;
    else bar.removeAttribute('value');
    put($('percent'), percent);
    document.title = document.title.replace(/:.*/s, `: ${visible(d.state, 60)} ${percent}`.trimEnd());
  }
  put($('message'), visible(d.message || d.reason || ''));
  put($('left'), left(d));
};

const FRAMES = 4000; // ms between two looks at the frames of a batch
let framesAt = Date.now(), framesDue, framesOwed = 0, framesText = $('frames')?.outerHTML; // as the server has sent them

const renewFrames = async () => {
  [framesAt, framesDue] = [Date.now(), undefined];
  const page = await load(), fresh = page.getElementById('frames'), old = $('frames');
  if (!fresh || !old || fresh.outerHTML === framesText) return;
  framesText = fresh.outerHTML;
  swap(old, fresh);
  localise();
};

const plan = () => {
  if (!framesOwed || !$('frames')) return;
  framesDue ??= setTimeout(async () => {
    framesOwed--;
    await renewFrames().catch(() => {});
    plan();
  }, Math.max(0, framesAt + FRAMES - Date.now()));
};

/** Requests the frames of a batch when the pause is over, and once more, since the server may have used cached data. */
const frames = () => {
  framesOwed = 2;
  plan();
};

const clock = new Intl.DateTimeFormat(undefined, {timeStyle: 'medium'});
let newest;

/** Tells that the connection is lost, and takes it back. */
const connection = ({connected, since}) => {
  if (!connected) put($('left'), `No connection since ${clock.format(since)}; trying again`);
  else if (newest) put($('left'), left(newest));
};

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const watch = async () => {
  let shown;
  const looking = setInterval(tail, 2000);
  try {
    for await (const doc of follow(signed(), {onStatus: connection})) {
      newest = doc;
      const final = ['succeeded', 'failed', 'cancelled'].includes(doc.state), now = outline(doc);
      // A page that the server has just written for a final state is up to date.
      if (!shown && final && doc.state === $('job').dataset.state) shown = now;
      for (let tries = final ? 4 : 1; now !== shown && tries; tries--) {
        await renew().then(() => { shown = now; }, () => final && pause(2000));
      }
      move(doc);
      await drawn(doc);
      if (!final) tail();
      frames();
    }
  } catch (err) {
    put($('left'), `No news: ${visible(err.message, 200)}`);
  }
  clearInterval(looking);
};

localise();
if ($('log')) $('log').scrollTop = $('log').scrollHeight;
if ($('job')) watch();
