/** What states, times, sizes and texts of a job are called on pages. */

const DAY = 86_400;

/**
 * Spells out control, bidirectional and invisible characters.
 * @param {unknown} s @param {number} [limit] characters @returns {string}
 */
export const visible = (s, limit = 2000) => {
  s = String(s ?? '');
  return (s.length > limit ? s.slice(0, limit) + '…' : s).replace(/(?![\u200c\u200d\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu,
    (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
};

/** A size in units of 1024. @param {number} n bytes @returns {string} */
export const sizeOf = (n) => {
  let unit = 0;
  for (; n >= 1024 && unit < 6; unit++) n /= 1024;
  return `${n < 10 && unit ? n.toFixed(1) : Math.round(n)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'][unit]}`;
};

/** A duration in words. @param {number} s seconds @returns {string} */
export const span = (s) => {
  const two = (n, per, a, b) => n % per ? `${Math.floor(n / per)} ${a} ${n % per} ${b}` : `${n / per} ${a}`;
  if (s > 0 && s < .9995) return `${+(s * 1000).toPrecision(3)} ms`;
  if (s < 9.95) return `${+Math.max(s, 0).toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  if (s < 3599.5) return two(Math.round(s), 60, 'min', 's');
  return s < DAY - 30 ? two(Math.round(s / 60), 60, 'h', 'min') : two(Math.round(s / 3600), 24, 'd', 'h');
};

/** The remaining time of a running job in words; '' where it is not known. */
export const left = ({state, progress: p, started, timestamp}) => {
  const s = (Date.parse(timestamp) - Date.parse(started)) / 1000;
  if (state !== 'running' || !(p > .01 && p < 1) || !(s > 2)) return '';
  const rest = s / p * (1 - p), round = rest < 60 ? 5 : rest < 600 ? 10 : rest < 3600 ? 60 : 600;
  return rest < 5 ? 'a few seconds left' : `about ${span(Math.round(rest / round) * round)} left`;
};

/** A state in words. */
export const sentence = (d) => {
  const n = d.position, where = d.node ? ` on ${visible(d.node, 80)}` : '', took = (Date.parse(d.finished) - Date.parse(d.started)) / 1000;
  switch (d.state) {
    case 'waiting': return 'Waiting for other jobs';
    case 'queued': return n === 0 ? 'Queued, next in line' : n > 0 ? `Queued, ${+n} job${n === 1 ? '' : 's'} before it` : 'Queued';
    case 'running': return `Running${where}`;
    case 'succeeded': return took >= 0 ? `Succeeded in ${span(took)}` : 'Succeeded';
    case 'failed': return 'Failed';
    case 'cancelled': return 'Cancelled';
  }
  return visible(d.state, 80);
};

/** That there is no connection, in a few words. */
export const severed = (reason) => ({offline: 'No network', busy: 'The server cannot answer'})[reason] ?? 'No connection';

/** Since when there is no connection, and when it is tried again; continues severed. */
export const away = ({since, retry}, now = Date.now()) => {
  const gone = Math.round((now - since) / 1000), rest = Math.round((retry - now) / 1000);
  return `${since && gone > 0 ? ` for ${span(gone)}` : ''}; trying again${retry && rest > 0 ? ` in ${span(rest)}` : ''}`;
};

const capital = (s) => s.charAt(0).toUpperCase() + s.slice(1);

/** Why there is no result, in words for a visitor. */
export const refusal = ({status, reason, message}) => {
  const words = visible(message);
  if (status === 401 || status === 403) {
    return {title: /expired/.test(words) ? 'This link has expired' : 'This link is not valid', text: capital(words.replace(/^[^;]*; /, ''))};
  }
  if (reason === 'policy' || reason === 'cors') return {title: 'The result cannot be shown', text: 'This page is not allowed to read it. Please tell whoever runs the page.'};
  if (reason === 'not-a-result') return {title: 'No result', text: 'The server answers, but not with a result.'};
  return {title: 'No result', text: capital(words)};
};
