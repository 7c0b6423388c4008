// Waits on the page of a job that has not arrived. It asks for the job at growing
// intervals, and loads the page again when the job is there.

const $ = (id) => document.getElementById(id);
const began = Date.now(), LATE = 120;

/** The address without the parameter format. A signature stays. */
const address = () => {
  const u = new URL(location.origin + location.pathname), q = new URLSearchParams(location.search);
  for (const name of ['expires', 'signature']) if (q.has(name)) u.searchParams.set(name, q.get(name));
  return u;
};

/** Seconds until the next request. */
const pause = (age) => {
  const calm = age < 30 ? 1 : age < LATE ? 2 : age < 600 ? 5 : age < 3600 ? 15 : 60;
  return Math.max(calm, document.hidden ? 10 : 0) * (.75 + Math.random() / 2);
};

/** Whether the page has changed. */
const arrived = async () => {
  const {ok, status} = await fetch(address(), {method: 'HEAD', headers: {Accept: 'application/json'}, cache: 'no-store', signal: AbortSignal.timeout(15_000)});
  if (status >= 500) throw new Error(`HTTP ${status}`);
  return ok || ![404, 408, 425, 429].includes(status);
};

/** Says after a while that the job should have arrived. */
const admit = (age) => {
  if (age < +($('arrival').dataset.late ?? LATE) || !$('late').hidden) return;
  $('late').hidden = false;
  $('heading').textContent = document.title = 'Your order has not arrived yet';
  $('said').textContent = 'Still looking';
  $('state').classList.remove('run');
};

let timer, asking;
const look = async () => {
  clearTimeout(timer);
  if (asking) return;
  asking = true;
  try {
    if (await arrived()) {
      location.reload();
      return;
    }
    $('away').hidden = true;
  } catch {
    $('away').hidden = false;
  }
  asking = false;
  const age = (Date.now() - began) / 1000;
  admit(age);
  timer = setTimeout(look, 1000 * pause(age));
};

document.addEventListener('visibilitychange', () => document.hidden || look());
addEventListener('online', look);
addEventListener('pageshow', (e) => e.persisted && look());
timer = setTimeout(look, 1000);
