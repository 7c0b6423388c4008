// When the forecast is there, compare it with the values that were held back.

const DAY = 48, WEEK = 336;

/** Mean absolute error in percent and share within the interval, of n values. */
const compare = (forecast, actual, first, n) => {
  let error = 0, within = 0;
  for (let i = 0; i < n; i++) {
    const a = actual[first + i];
    error += Math.abs(forecast.values[i] / a - 1);
    within += forecast.lower[i] <= a && a <= forecast.upper[i];
  }
  return {error: 100 * error / n, within: 100 * within / n};
};

const show = (list, label, {error, within}) => {
  const box = list.appendChild(document.createElement('div'));
  box.appendChild(document.createElement('dt')).textContent = label;
  box.appendChild(document.createElement('dd')).textContent = `${error.toFixed(2)} %`;
  const rest = box.appendChild(document.createElement('dd'));
  rest.className = 'soft';
  rest.textContent = `${within.toFixed(0)} % within`;
};

const finished = async ({detail: doc}) => {
  const section = document.getElementById('errors');
  if (doc.state !== 'succeeded' || !doc.result?.series || !section.hidden) return;
  const response = await fetch('/data/actual.json');
  if (!response.ok) return;
  const actual = (await response.json()).series, forecast = doc.result.series;
  const first = (Date.parse(forecast.start) - Date.parse(actual.start)) / 1000 / actual.interval_s;
  const length = Math.min(forecast.values.length, actual.values.length - first);
  if (!(first >= 0) || !(length >= 1) || forecast.interval_s !== actual.interval_s) return;
  const list = section.querySelector('dl');
  list.replaceChildren();
  const days = Math.round(length / DAY);
  const spans = [['first day', DAY], ['first week', WEEK]].filter(([, n]) => n < length);
  spans.push([days === 1 ? 'the day' : `all ${days} days`, length]);
  for (const [label, n] of spans) show(list, label, compare(forecast, actual.values, first, n));
  section.hidden = false;
};

document.querySelector('runnerbean-result').addEventListener('state', finished);
