import {follow, type ConnectionStatus, type FollowError, type RunnerbeanResult} from 'https://results.example/runnerbean.js';

interface Forecast { series: { start: string, values: number[] } }

const stop = new AbortController();
const headers = {Authorization: 'Bearer x'};
for await (const doc of follow<Forecast>(new URL('https://results.example/1'), {signal: stop.signal, headers, fetch, onState: (d) => console.log(d.state), onStatus: (s: ConnectionStatus) => console.log(s.problem?.reason)})) {
  const values: number[] | undefined = doc.result?.series.values;
  console.log(doc.progress?.toFixed(2), values?.length, doc.error?.pointer);
  // @ts-expect-error a state that there is not
  if (doc.state === 'done') break;
}

const element: RunnerbeanResult = document.createElement('runnerbean-result');
element.src = 'https://results.example/1';
element.addEventListener('state', (e) => { const p: number | undefined = e.detail.progress; console.log(p); });
element.addEventListener('error', ({detail}) => { const err: FollowError = detail; console.log(err.status, err.reason, err.message); });
element.addEventListener('connection', ({detail}) => console.log(detail.connected, detail.since?.getTime()));
element.addEventListener('click', (e: MouseEvent) => console.log(e.clientX));
document.querySelector('runnerbean-result')?.refresh();
// @ts-expect-error the element's own
element.result = null;
