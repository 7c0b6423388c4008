// Looks over the page as it stands and returns what keeps people from using it,
// one sentence each. What it checks is a part of WCAG 2.2, level AA. It looks into
// open shadow roots, too.
(() => {
  const faults = new Set();
  const roots = (within) => [within, ...[...within.querySelectorAll('*')].filter((el) => el.shadowRoot).flatMap((el) => roots(el.shadowRoot))];
  const all = (selector, within = document) => roots(within).flatMap((root) => [...root.querySelectorAll(selector)]);
  const above = (el) => el.assignedSlot ?? el.parentElement ?? el.getRootNode().host;
  const shown = (el) => el.checkVisibility({visibilityProperty: true}) && el.getClientRects().length > 0;
  const what = (el) => `<${el.localName}${el.id ? ` id=${el.id}` : ''}${el.className?.baseVal ?? el.className ? ` class="${el.className.baseVal ?? el.className}"` : ''}> ${JSON.stringify((el.textContent ?? '').trim().slice(0, 40))}`;
  const fault = (el, text) => { faults.add(`${what(el)} ${text}`); };
  const unseen = (el) => { const r = el.getBoundingClientRect(); return r.width <= 1 || r.height <= 1 || r.bottom < 0 || r.right < 0; };

  const byIDs = (ids) => ids.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? '').join(' ');
  const nameOf = (el) => {
    const labelled = el.getAttribute('aria-labelledby');
    const inner = [el.textContent, ...all('[aria-label], [alt]', el).map((c) => c.getAttribute('aria-label') ?? c.getAttribute('alt'))].join(' ');
    const labels = [...(el.labels ?? [])].map((l) => l.textContent).join(' ');
    const names = [labelled && byIDs(labelled), el.getAttribute('aria-label'), labels, el.getAttribute('alt'), el.querySelector?.(':scope > title')?.textContent];
    if (!el.matches('input, select, textarea, progress, meter, img, svg, [role=img]')) names.push(inner);
    return [...names, el.getAttribute('title')].find((n) => n?.trim())?.trim() ?? '';
  };

  // Names.
  for (const el of all('input:not([type=hidden]), select, textarea')) if (shown(el) && !nameOf(el) && !el.matches('[type=submit][value]')) fault(el, 'is a field without a label');
  for (const el of all('a[href], button, summary, progress, meter, [role=img], [role=progressbar], [role=region], output[aria-label]')) if (shown(el) && !nameOf(el)) fault(el, 'has no name');
  for (const el of all('img')) if (!el.hasAttribute('alt')) fault(el, 'has no alt');
  for (const el of all('svg')) if (shown(el) && !el.closest('[aria-hidden=true]') && el.getAttribute('role') !== 'img' && !el.parentElement.closest('svg')) fault(el, 'is neither role=img nor aria-hidden');
  if (!document.documentElement.lang) faults.add('html has no lang');
  if (!document.title.trim()) faults.add('the page has no title');

  // References.
  const ids = new Map();
  for (const el of all('[id]')) ids.set(el.id, (ids.get(el.id) ?? 0) + 1);
  for (const [id, n] of ids) if (n > 1) faults.add(`the id ${id} is there ${n} times`);
  for (const attribute of ['for', 'aria-labelledby', 'aria-describedby', 'aria-controls', 'list', 'form']) {
    for (const el of all(`[${attribute}]`)) for (const id of el.getAttribute(attribute).split(/\s+/)) if (!ids.has(id)) fault(el, `names the id ${id} in ${attribute}, which is not there`);
  }
  for (const el of all('a[href^="#"]')) if (!ids.has(el.hash.slice(1)) && el.hash) fault(el, 'leads to an id that is not there');

  // Headings and landmarks.
  const headings = all('h1, h2, h3, h4, h5, h6').filter((h) => h.checkVisibility());
  if (headings.filter((h) => h.localName === 'h1').length !== 1) faults.add(`there are ${headings.filter((h) => h.localName === 'h1').length} h1, want one`);
  headings.reduce((before, h) => {
    const level = +h.localName[1];
    if (level > before + 1) fault(h, `skips a level after h${before}`);
    return level;
  }, 0);
  for (const h of headings) if (!h.textContent.trim()) fault(h, 'is an empty heading');
  if (all('main').length !== 1) faults.add(`there are ${all('main').length} main, want one`);
  const navs = all('nav');
  for (const n of navs) if (navs.length > 1 && !n.getAttribute('aria-label')?.trim() && !n.hasAttribute('aria-labelledby')) fault(n, 'has no name though there are several');
  for (const el of document.body.children) {
    const place = el.matches('header, main, footer, nav, aside, dialog, section[aria-label], [role=status], [role=alert], script, noscript, template, a[href^="#"]');
    if (!place && el.textContent.trim() && shown(el)) fault(el, 'is outside all landmarks');
  }

  // Focus.
  for (const el of all('[tabindex]')) if (el.tabIndex > 0) fault(el, 'has a tabindex above 0');
  for (const el of all('[aria-hidden=true] :is(a[href], button, input, select, textarea, summary, [tabindex="0"])')) fault(el, 'can be focused though it is hidden from screen readers');
  for (const el of all('body *')) {
    const style = getComputedStyle(el);
    const scrolls = /auto|scroll/.test(style.overflowX) && el.scrollWidth > el.clientWidth + 1 || /auto|scroll/.test(style.overflowY) && el.scrollHeight > el.clientHeight + 1;
    if (scrolls && shown(el) && !el.matches('textarea, select, [tabindex="0"]') && !el.querySelector('a[href], button, input, select, [tabindex="0"]')) fault(el, 'scrolls but cannot be reached by keyboard');
  }

  // Targets: 24 pixels, or a link within a sentence.
  for (const el of all('a[href], button, input:not([type=hidden]), select, textarea, summary')) {
    if (!shown(el) || unseen(el)) continue;
    const boxes = [el, ...(el.labels ?? [])].map((e) => e.getBoundingClientRect());
    const sentence = getComputedStyle(el).display === 'inline' && el.parentElement.textContent.trim().length > el.textContent.trim().length;
    if (!sentence && !boxes.some((r) => r.width >= 23.5 && r.height >= 23.5)) fault(el, `is a target of ${boxes[0].width.toFixed(0)} by ${boxes[0].height.toFixed(0)} pixels, want 24`);
  }
  const broad = document.documentElement.scrollWidth;
  if (broad > innerWidth) {
    faults.add(`the page is ${broad} pixels wide in a window of ${innerWidth}`);
    for (const el of all('body *')) if (el.getBoundingClientRect().right > innerWidth + 1 && shown(el)) { fault(el, 'sticks out'); break; }
  }

  // Contrast.
  const brush = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const colours = new Map();
  const colour = (text) => {
    if (!colours.has(text)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = text;
      brush.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
      colours.set(text, [r, g, b, a / 255]);
    }
    return colours.get(text);
  };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
  const ground = (el) => {
    if (!el) return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
    const own = colour(getComputedStyle(el).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(above(el)));
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const texts = roots(document).flatMap((root) => {
    const walker = document.createTreeWalker(root.body ?? root, NodeFilter.SHOW_TEXT), found = [];
    while (walker.nextNode()) found.push(walker.currentNode);
    return found;
  });
  for (const node of texts) {
    const el = node.parentElement ?? node.getRootNode().host;
    if (!node.data.trim() || el.closest('script, style, noscript, title, option, :disabled') || !shown(el) || unseen(el)) continue;
    const style = getComputedStyle(el), behind = ground(el);
    let front = colour(el instanceof SVGElement ? style.fill : style.color);
    for (let e = el; e; e = above(e)) front = [...front.slice(0, 3), front[3] * getComputedStyle(e).opacity];
    const [a, b] = [light(over(front, behind)), light(behind)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(style.fontSize);
    const want = size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5;
    if (ratio < want - 0.005) fault(el, `has a contrast of ${ratio.toFixed(2)}, want ${want}`);
  }
  return [...faults];
})()
