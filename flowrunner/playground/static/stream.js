// Reading a run as it happens: server-sent events, and the plain lines of a server that sends those.

// Takes pieces of text, gives {event, data, id} for each whole event.
export class Frames {
  rest = "";

  push(piece) {
    const parts = (this.rest + piece).replaceAll("\r\n", "\n").split("\n\n");
    this.rest = parts.pop();
    return parts.map(readFrame).filter(Boolean);
  }
}

function readFrame(text) {
  if (text.startsWith("{")) return { id: "", ...JSON.parse(text) };
  const frame = { id: "", event: "message", data: "" };
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") frame.data += (frame.data && "\n") + value;
    else if (name in frame) frame[name] = value;
  }
  return frame.data ? { ...frame, data: JSON.parse(frame.data) } : null;
}

export function isLast({ event, data }) {
  return event === "end" || (event === "error" && typeof data?.error === "string");
}

const FIRST_TRIES = 5;

// Runs a flow and yields its events. A cut stream is taken up where it stopped, for as long as the server keeps it; one
// that was lost before its first event is asked for again, and waited for while the server says that it is under way.
// `open(lastEventId)` makes the request; `onCut(true)` says that the stream was lost, `onCut(false)` that it goes on.
export async function* follow(open, { signal, onCut = () => {}, from = "", tries = 20, wait = pause } = {}) {
  let last = from;
  for (let failed = 0; ; ) {
    try {
      const response = await open(last);
      if (failed) onCut(false);
      for await (const frame of framesOf(response)) {
        failed = 0;
        last = frame.id || last;
        yield frame;
        if (isLast(frame)) return;
      }
      throw new TypeError("the stream ended early");
    } catch (error) {
      if (error.code === "idempotency_in_flight") {
        await wait(1000, signal);
        continue;
      }
      const lost = error instanceof TypeError && !signal?.aborted;
      if (!lost || ++failed > (last ? tries : Math.min(tries, FIRST_TRIES))) throw error;
      onCut(true);
      await wait(Math.min(300 * failed, 2000), signal);
    }
  }
}

async function* framesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const frames = new Frames();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* frames.push(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
