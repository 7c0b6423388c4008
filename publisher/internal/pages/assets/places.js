/** Connections that pages hold open. */

// Browsers open six connections to a server over HTTP/1.1 for all windows together.
// Pages of a site hold at most PLACES of them, each with a lock that the browser
// releases when a page closes or crashes. The others are free for short requests.
const PLACES = 3;
// Without locks (plain HTTP, sandboxed frames) a page holds one connection.
const alone = new Set();

/** Takes a lock if it is free. Resolves to a function that releases it, or to null. */
const lock = (name) => new Promise((resolve, reject) => {
  navigator.locks.request(name, {ifAvailable: true}, (mine) => mine ? new Promise((release) => { resolve(release); }) : resolve(null)).catch(reject);
});

/** Takes a place for a connection to an origin. Resolves to a function that gives it back, or to null. */
export const takePlace = async (origin) => {
  try {
    for (let n = 0; n < PLACES; n++) {
      const release = await lock(`runnerbean ${n} ${origin}`);
      if (release) return release;
    }
    return null;
  } catch {
    if (alone.has(origin)) return null;
    alone.add(origin);
    return () => { alone.delete(origin); };
  }
};
