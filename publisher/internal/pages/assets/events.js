/** Server-Sent Events, read from the body of an answer. An EventSource hides comments. */

import {pause} from './request.js';

const MAX_EVENT = 1 << 20; // characters
const MAX_RATE = 1000;     // events a second; a faster server is read more slowly

/**
 * Yields type and data of each event. It calls `heard` whenever bytes arrive.
 * @param {ReadableStream} body @param {() => void} heard
 */
export async function* events(body, heard) {
  const reader = body.getReader(), decoder = new TextDecoder();
  let rest = '', type = '', data = '', second = 0, count = 0;
  try {
    for (let part; !(part = await reader.read()).done;) {
      heard();
      const text = decoder.decode(part.value, {stream: true});
      rest += text;
      if (rest.length + data.length > MAX_EVENT) throw new Error('an event is too long');
      if (!/[\r\n]/.test(text)) continue;
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        const colon = line.indexOf(':'), field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
        if (field === 'data') data += value + '\n';
        if (field === 'event') type = value;
        if (line) continue;
        if (data) {
          const now = Date.now();
          if (now - second > 1000) [second, count] = [now, 0];
          if (++count > MAX_RATE) await pause(1000);
          yield [type, data];
        }
        type = data = '';
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
