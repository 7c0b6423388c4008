// Keeps the end of a job's log up to date.

const LOG = 65_536, PACE = 2000;

let busy = false;

/** Reads the end of the log at url into el, and stays at its end. The node renders
 * the log as a terminal would show it. */
export const tail = async (el, url) => {
  if (!el || !url || busy || document.hidden) return;
  busy = true;
  try {
    const log = new URL(url, location.origin);
    log.searchParams.set('tail', LOG);
    log.searchParams.set('rendered', 'true');
    const answer = await fetch(log.pathname + log.search, {cache: 'no-cache'});
    if (!answer.ok) return;
    const shown = (await answer.text()).trimEnd(), atEnd = el.scrollHeight - el.scrollTop - el.clientHeight < 40;
    if (el.textContent !== shown) el.textContent = shown;
    if (atEnd) el.scrollTop = el.scrollHeight;
  } catch { /* the next request may succeed */ } finally { busy = false; }
};

/** Reads the log again and again. */
export const follow = (look) => setInterval(look, PACE);
