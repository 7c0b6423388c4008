/** How the element looks. Pages change it by variables and parts: docs/browser.md. */

export const CSS = `
:host { display: block; font: inherit; overflow-wrap: anywhere; color: var(--ink);
  --ink: var(--runnerbean-ink, light-dark(#1d2420, #e6e8e6)); --soft: var(--runnerbean-soft, light-dark(#5d675d, #9aa49d));
  --line: var(--runnerbean-line, light-dark(#e0ddd4, #343b41)); --paper: var(--runnerbean-paper, light-dark(#fff, #1b1f23));
  --bean: var(--runnerbean-accent, light-dark(#2f7d4f, #5cc387));
  --amber: var(--runnerbean-warn, light-dark(#9a5807, #e0a04a)); --red: var(--runnerbean-bad, light-dark(#b3362c, #f0786c)) }
:host([hidden]), [hidden] { display: none !important }
p { margin: 0 } .line { display: flex; flex-wrap: wrap; gap: 0 1rem; justify-content: space-between }
[part=state] { font-weight: 600 } [part=message], .left, small { color: var(--soft) }
.running, .succeeded { color: var(--bean) } .failed { color: var(--red) } .waiting, .queued, .cancelled, [part=connection] { color: var(--amber) }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
progress { appearance: none; display: block; width: 100%; height: .5rem; margin: .5rem 0; border: 0; border-radius: 9px; overflow: hidden; background: var(--line) }
progress::-webkit-progress-bar { background: var(--line) } progress::-webkit-progress-value { background: var(--bean); border-radius: 9px; transition: inline-size .3s }
progress::-moz-progress-bar { background: var(--bean); border-radius: 9px }
progress:indeterminate { background: linear-gradient(90deg, var(--line) 35%, var(--bean) 50%, var(--line) 65%) 0 0 / 300% 100%; animation: pass 2.4s linear infinite }
progress:indeterminate::-webkit-progress-bar { background: none }
@keyframes pass { from { background-position: 150% 0 } to { background-position: -150% 0 } }
.stale progress:indeterminate { background: var(--line); animation: none } .stale .running { color: var(--soft) } .stale progress::-webkit-progress-value { background: var(--soft) } .stale progress::-moz-progress-bar { background: var(--soft) }
[part=plot] { margin-top: .75rem } [part=error] { color: var(--red); white-space: pre-wrap } ul { margin: .5rem 0 0; padding-left: 1.2rem } a { color: inherit }
@media (forced-colors: active) { progress { border: 1px solid } progress::-webkit-progress-value { background: Highlight; forced-color-adjust: none } }
@media (prefers-reduced-motion: reduce) { progress::-webkit-progress-value { transition: none } progress:indeterminate { animation: none; background-position: 50% 0 } }`;
