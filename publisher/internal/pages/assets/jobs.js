// Conveniences for the pages about jobs, which also work without scripts.

import {follow, tail} from './log.js';

// The log of a running job.
const log = document.getElementById('log');
if (log) {
  const runs = () => !!document.getElementById('progress');
  let ran = runs();
  log.scrollTop = log.scrollHeight;
  follow(() => {
    if (runs() || ran) tail(log, log.dataset.log);
    ran = runs(); // once more after its end
  });
}

// The box in the head of the list ticks all jobs of the page.
const boxes = () => [...document.querySelectorAll('input[name=id]')];
const shown = () => {
  const head = document.getElementById('tick');
  if (!head) return;
  const all = boxes(), ticked = all.filter((b) => b.checked).length;
  head.hidden = false;
  head.checked = ticked > 0 && ticked === all.length;
  head.indeterminate = ticked > 0 && ticked < all.length;
};
document.addEventListener('change', ({target: t}) => {
  if (t.id === 'tick') for (const b of boxes()) b.checked = t.checked;
  if (t.id === 'tick' || t.name === 'id') shown();
});
const list = document.getElementById('list');
if (list) new MutationObserver(shown).observe(list, {childList: true, subtree: true}); // it is written anew when something has happened
shown();

// A form is sent once, even if its button is pressed several times.
document.addEventListener('submit', (e) => {
  if (e.target.method !== 'post') return;
  if (e.target.dataset.sent) e.preventDefault();
  e.target.dataset.sent = 'yes';
});
addEventListener('pageshow', () => { for (const f of document.forms) delete f.dataset.sent; });
