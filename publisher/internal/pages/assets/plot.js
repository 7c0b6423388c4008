/**
 * Draws the time series in a result as SVG, with one figure for the series of a
 * unit. Horizontal places are percentages, and lines are stretched in a viewBox of
 * their own, so that one drawing fits any width and its text keeps its size. A time
 * series is an object with start, interval_s and values, or with times and values.
 * It may have unit, name, lower and upper. A null is a missing value.
 */

import {span as words, visible} from './words.js';

const DAY = 86_400, HEIGHT = 300, TOP = 12, INNER = 252, POINTS = 2000;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY, 2 * DAY, 7 * DAY, 14 * DAY];

const numbers = (a) => Array.isArray(a) && a.every((v) => v === null || Number.isFinite(v) && Math.abs(v) <= 1e300)
  ? a.map((v) => v ?? NaN) : null;

/** Seconds since 1970 and the offset from UTC in seconds, or null. */
const clock = (v) => {
  if (typeof v === 'number') return [v, 0];
  const m = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.exec(v);
  const at = m && Date.parse(v.replace(' ', 'T') + (m[1] && !m[4] ? 'Z' : '')) / 1000;
  if (!Number.isFinite(at) || !m) return null;
  const zone = /([+-])(\d\d):(\d\d)$/.exec(m[4] ?? '');
  return [at, zone ? (zone[2] * 3600 + zone[3] * 60) * (zone[1] + 1) : 0];
};

const readSeries = (name, o) => {
  const y = numbers(o?.values), first = clock(o?.start), every = o?.interval_s;
  if (!y) return null;
  const times = first ? null : Array.isArray(o.times) && o.times.map(clock);
  if (first ? !(every > 0) : !times || times.length !== y.length || times.includes(null)) return null;
  const x = y.map((_, i) => first ? first[0] + i * every : times[i][0]);
  const span = x.at(-1) - x[0];
  if (!(span >= 1e-3) || Math.abs(x[0]) > 2.5e11 || Math.abs(x.at(-1)) > 2.5e11) return null;
  if (y.filter((v) => v === v).length < 2 || x.some((v, i) => i && v <= x[i - 1])) return null;
  let lower = numbers(o.lower), upper = numbers(o.upper);
  if (lower?.length !== y.length || upper?.length !== y.length) lower = upper = null;
  const text = (s) => typeof s === 'string' ? visible(s, 60) : '';
  return {name: text(o.name) || (name === 'series' ? '' : visible(name, 60)), unit: text(o.unit), x, y, lower, upper,
    offset: (first ?? times[0])[1], every: first && every < 1e9 ? `, every ${words(every)}` : ''};
};

const findSeries = (v) => {
  if (!v || typeof v !== 'object' || Array.isArray(v)) return [];
  const whole = readSeries('', v);
  if (whole) return [whole];
  return Object.entries(v).slice(0, 64).map(([k, o]) => readSeries(k, o)).filter(Boolean).slice(0, 4);
};

const group = (all) => all.reduce((groups, s) => {
  const g = groups.find(([a]) => a.unit === s.unit &&
    Math.max(a.x[0], s.x[0]) - Math.min(a.x.at(-1), s.x.at(-1)) <= Math.max(a.x.at(-1) - a.x[0], s.x.at(-1) - s.x[0]));
  g ? g.push(s) : groups.push([s]);
  return groups;
}, []);

const niceStep = (raw) => {
  const power = 10 ** Math.floor(Math.log10(raw)), m = raw / power;
  return power * (m < 1.5 ? 1 : m < 3 ? 2 : m < 7 ? 5 : 10);
};

/** The vertical axis. It begins and ends at a tick, and at zero where that needs little room. */
const newScale = (lo, hi) => {
  if (lo > 0 && lo < hi / 3) lo = 0;
  if (hi - lo <= 1e-9 * Math.max(Math.abs(lo), Math.abs(hi))) {
    const pad = lo ? Math.max(Math.abs(lo) / 10, 1e-9) : 1;
    [lo, hi] = [lo - pad, hi + pad];
  }
  const step = niceStep((hi - lo) / 5), digits = -Math.floor(Math.log10(step));
  [lo, hi] = [Math.floor(lo / step) * step, Math.ceil(hi / step) * step];
  const largest = Math.max(Math.abs(lo), Math.abs(hi)), power = Math.floor(Math.log10(largest));
  const powers = (v, n) => {
    const [mantissa, exponent] = v.toExponential(Math.min(Math.max(n, 0), 12)).split('e');
    return v ? `${+mantissa}e${+exponent}` : '0';
  };
  const decimals = (v, n) => v.toLocaleString('en', {minimumFractionDigits: n, maximumFractionDigits: n});
  const format = (v, more = 0) => (largest >= 1e9 || step < 1e-5 ? powers(v, power + digits + more) : decimals(v, Math.max(digits + more, 0)))
    .replace(/^-(?=[0.]*$)/, '').replaceAll('-', '−');
  const ticks = Array.from({length: Math.min(Math.round((hi - lo) / step), 11) + 1}, (_, i) => lo + i * step);
  return {lo, hi, format, ticks};
};

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' '), DAYS = 'Sun Mon Tue Wed Thu Fri Sat'.split(' ');

/** The parts of a local time, in the format of the server. */
const parts = (at) => {
  const d = new Date(at * 1000), two = (n) => String(n).padStart(2, '0');
  const hm = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
  return {
    weekday: DAYS[d.getUTCDay()], day: d.getUTCDate(), month: MONTHS[d.getUTCMonth()], year: String(d.getUTCFullYear()).padStart(4, '0'),
    hm, hms: `${hm}:${two(d.getUTCSeconds())}`, seconds: d.getUTCSeconds(),
  };
};
const moment = (at) => {
  const {weekday, day, month, year, hm, hms, seconds} = parts(at);
  return `${weekday} ${day} ${month} ${year}, ${seconds ? hms : hm}`;
};

/** Labels from a to b, in local seconds: [at, label, index]. */
const timeTicks = (a, b) => {
  const step = STEPS.find((s) => (b - a) / s <= 9), list = [];
  if (step) {
    const origin = step < 7 * DAY ? 0 : 4 * DAY; // a Monday
    for (let k = Math.ceil((a - origin) / step), at; (at = k * step + origin) <= b; k++) {
      const p = parts(at), weekday = `${p.weekday} ${p.day}`;
      const label = step < 60 ? p.hms : step < DAY && at % DAY ? p.hm : step <= DAY ? weekday : `${p.day} ${p.month}`;
      list.push([at, label, k]);
    }
    return list;
  }
  const years = (b - a) / (365 * DAY), long = years > 4;
  const months = long ? 12 * Math.max(1, Math.floor(niceStep(years / 9 * 1.4))) : [1, 2, 3].find((n) => (b - a) / (30 * DAY) <= 9 * n) ?? 6;
  const first = new Date(a * 1000);
  for (let k = Math.floor((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months); list.length < 19; k++) {
    const at = new Date(0).setUTCFullYear(0, k * months, 1) / 1000;
    if (at > b) break;
    const {month, year} = parts(at);
    if (at >= a) list.push([at, long ? year : `${month} ${year}`, k]);
  }
  return list;
};

/** Keeps the lowest and the highest of each bucket, so that no peak is lost. */
const thin = (s) => {
  const n = s.y.length, half = POINTS / 2;
  if (n <= POINTS) return s;
  const out = {...s, x: [], y: [], lower: s.lower && [], upper: s.upper && []};
  const pick = (v, from, to, better) => {
    let at = from;
    for (let i = from; i < to; i++) if (v[at] !== v[at] || better(v[i], v[at])) at = i;
    return at;
  };
  const less = (a, b) => a < b, more = (a, b) => a > b;
  for (let b = 0; b < half; b++) {
    const from = Math.floor(b * n / half), to = Math.floor((b + 1) * n / half);
    for (const i of [pick(s.y, from, to, less), pick(s.y, from, to, more)].sort((p, q) => p - q)) {
      out.x.push(s.x[i]);
      out.y.push(s.y[i]);
      out.lower?.push(s.lower[pick(s.lower, from, to, less)]);
      out.upper?.push(s.upper[pick(s.upper, from, to, more)]);
    }
  }
  return out;
};

const put = (el, props, kids) => {
  for (const [k, v] of Object.entries(props)) {
    if (k in el && !el.namespaceURI.endsWith('svg') && !k.includes('-')) el[k] = v;
    else el.setAttribute(k, v);
  }
  el.append(...kids);
  return el;
};
const html = (tag, props = {}, ...kids) => put(document.createElement(tag), props, kids);
const svg = (tag, props = {}, ...kids) => put(document.createElementNS('http://www.w3.org/2000/svg', tag), props, kids);

/** One figure for series of one unit, with a reading line for mouse, touch and keys. */
const draw = (g) => {
  const all = (k) => g.flatMap((s) => s[k] ?? []).filter((v) => v === v);
  const least = (a) => a.reduce((p, q) => Math.min(p, q), Infinity), most = (a) => a.reduce((p, q) => Math.max(p, q), -Infinity);
  const bands = [...all('lower'), ...all('upper')], low = least(all('y')), high = most(all('y'));
  const x0 = least(g.map((s) => s.x[0])), x1 = most(g.map((s) => s.x.at(-1)));
  const y = newScale(Math.min(low, least(bands)), Math.max(high, most(bands)));
  const {unit, offset, every} = g[0];
  const across = (t) => (t - x0) / (x1 - x0), down = (v) => (1 - (v - y.lo) / (y.hi - y.lo)) * INNER;
  const amount = (v) => `${y.format(v, 1)} ${unit}`.trim();
  const at = (x, v) => `${Math.round(across(x) * 1e4)} ${down(v).toFixed(1)}`;
  const runs = (n, missing, f) => {
    let d = '';
    for (let from = 0, to; from < n; from = to + 1) {
      for (to = from; to < n && !missing(to);) to++;
      if (to > from) d += f(Array.from({length: to - from}, (_, i) => from + i));
    }
    return d;
  };
  const line = (s) => runs(s.x.length, (i) => s.y[i] !== s.y[i], (is) => {
    const p = is.map((i) => at(s.x[i], s.y[i]));
    return `M${p.length > 1 ? p.join('L') : `${p}L${p}`}`;
  });
  const band = (s) => runs(s.x.length, (i) => s.lower[i] !== s.lower[i] || s.upper[i] !== s.upper[i], (is) =>
    `M${[...is.map((i) => at(s.x[i], s.upper[i])), ...is.reverse().map((i) => at(s.x[i], s.lower[i]))].join('L')}Z`);

  const labels = y.ticks.map((v) => y.format(v));
  const inner = svg('svg', {y: TOP, height: INNER, viewBox: `0 0 10000 ${INNER}`, preserveAspectRatio: 'none', overflow: 'visible'});
  g.map(thin).forEach((s, i) => {
    if (s.lower) inner.append(svg('path', {class: `band c${i}`, d: band(s)}));
    inner.append(svg('path', {class: `line c${i}`, fill: 'none', 'vector-effect': 'non-scaling-stroke', d: line(s)}));
  });
  const mark = svg('line', {class: 'mark', y1: TOP, y2: TOP + INNER}), dots = g.map((_, i) => svg('circle', {class: `dot c${i}`, r: 4}));
  const picture = svg('svg', {class: 'plot', width: '100%', height: HEIGHT, 'aria-hidden': true},
    ...y.ticks.flatMap((v, i) => [svg('line', {class: 'grid', x2: '100%', y1: TOP + down(v), y2: TOP + down(v)}),
      svg('text', {x: -10, y: TOP + down(v) + 4, 'text-anchor': 'end'}, labels[i])]),
    ...timeTicks(x0 + offset, x1 + offset).map(([t, label, k]) => {
      const x = `${(across(t - offset) * 100).toFixed(2)}%`;
      return svg('g', {class: `r${k % 4 === 0 ? 0 : k % 2 === 0 ? 1 : 2}`},
        svg('line', {class: 'grid', x1: x, x2: x, y1: TOP + INNER, y2: TOP + INNER + 6}),
        svg('text', {x, y: HEIGHT - 14, 'text-anchor': across(t - offset) > .96 ? 'end' : 'middle'}, label));
    }), inner);

  const zone = offset ? `UTC${offset < 0 ? '-' : '+'}${parts(Math.abs(offset)).hm}` : 'UTC';
  const summary = `${moment(x0 + offset)} to ${moment(x1 + offset)} ${zone}${every}. Lowest ${amount(low)}, highest ${amount(high)}.`;
  const caption = html('figcaption', {}, summary);
  const box = html('div', {className: 'box', tabIndex: 0, role: 'slider', 'aria-label': ['Time series', ...g.map((s) => s.name).filter(Boolean)].join(' '),
    'aria-valuemin': 0, 'aria-valuemax': g[0].x.length - 1, 'aria-valuenow': 0, 'aria-valuetext': summary}, picture);
  box.style.setProperty('--gutter', Math.max(...labels.map((l) => l.length)));

  let now = 0;
  const read = (i) => {
    now = Math.min(Math.max(i, 0), g[0].x.length - 1);
    const t = g[0].x[now], x = `${across(t) * 100}%`;
    if (!mark.isConnected) picture.append(mark, ...dots);
    mark.setAttribute('x1', x);
    mark.setAttribute('x2', x);
    const said = g.map((s, k) => {
      const j = k ? s.x.indexOf(t) : now, v = s.y[j], there = v === v && v !== undefined;
      dots[k].setAttribute('visibility', there ? 'visible' : 'hidden');
      if (!there) return '';
      dots[k].setAttribute('cx', x);
      dots[k].setAttribute('cy', TOP + down(v));
      const range = s.lower && s.lower[j] === s.lower[j] ? ` (${y.format(s.lower[j], 1)} to ${y.format(s.upper[j], 1)})` : '';
      return `${g.length > 1 ? s.name + ' ' : ''}${amount(v)}${range}`;
    }).filter(Boolean);
    caption.textContent = `${moment(t + offset)}: ${said.join(', ') || 'no value'}`;
    box.setAttribute('aria-valuenow', now);
    box.setAttribute('aria-valuetext', caption.textContent);
  };
  const rest = () => {
    mark.remove();
    dots.forEach((d) => d.remove());
    caption.textContent = summary;
  };
  const point = (e) => {
    const r = picture.getBoundingClientRect(), t = x0 + (e.clientX - r.left) / r.width * (x1 - x0);
    const i = g[0].x.findIndex((v) => v >= t);
    read(i < 0 ? g[0].x.length - 1 : i && t - g[0].x[i - 1] < g[0].x[i] - t ? i - 1 : i);
  };
  box.onpointermove = box.onpointerdown = point;
  box.onpointerleave = box.onblur = rest;
  box.onkeydown = (e) => {
    const far = Math.max(1, Math.round(g[0].x.length / 20));
    const step = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: far, PageDown: -far, Home: -Infinity, End: Infinity}[e.key];
    if (!step) return;
    e.preventDefault();
    read(now + step);
  };
  const legend = html('div', {className: 'legend'}, html('span', {}, unit),
    ...(g.length > 1 ? g.map((s, i) => html('span', {className: `c${i}`}, s.name)) : []));
  return html('figure', {}, legend, box, caption);
};

const drawn = new WeakMap();

/**
 * Draws the time series in value into host. Returns false where there are none.
 * @param {Element} host @param {unknown} value @returns {boolean}
 */
export const plot = (host, value) => {
  const text = JSON.stringify(value), focus = host.getRootNode().activeElement;
  if (drawn.get(host) === text) return true; // the reader may be reading it
  const figures = group(findSeries(value)).map(draw), at = [...host.children].findIndex((f) => f.contains(focus));
  if (!figures.length) return false;
  host.replaceChildren(...figures);
  drawn.set(host, text);
  figures[at]?.querySelector('.box').focus();
  return true;
};


export const css = `
figure { margin: 0; container-type: inline-size } figure + figure { margin-top: 1rem }
.legend { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: .85rem; color: var(--soft) }
.legend [class]::before { content: ""; display: inline-block; width: .9rem; height: .2rem; border-radius: 2px; margin-right: .4rem; vertical-align: middle; background: var(--c) }
.box { padding-left: calc(var(--gutter) * 7px + 14px); padding-right: 5px; touch-action: pan-y; border-radius: 6px }
.box:focus-visible { outline: 2px solid var(--bean); outline-offset: -1px }
svg { display: block; overflow: visible } text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums }
.grid { stroke: var(--line); shape-rendering: crispEdges } .mark { stroke: var(--soft); stroke-dasharray: 2 3 }
path.line { stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; fill: none } .band { fill: var(--c); stroke: none; opacity: .18 }
circle { fill: var(--c); stroke: var(--paper); stroke-width: 2 }
.c0 { --c: var(--bean) } .c1 { --c: light-dark(#2c62b8, #7aa7f0) } .c2 { --c: light-dark(#7b4ea3, #bf97e6) } .c3 { --c: light-dark(#9a5807, #e0a04a) }
figcaption { color: var(--soft); font-size: .85rem; min-height: 1.5em; font-variant-numeric: tabular-nums }
@container (max-width: 640px) { .r2 { display: none } figcaption { min-height: 3em } } @container (max-width: 250px) { .r1 { display: none } }`;
