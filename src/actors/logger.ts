import type { ClusterEvent } from "./protocol.ts";

/**
 * Where log lines go. A message says all that matters by itself; `fields` has the same as data, and errors whole.
 * `console` is one, and so are the loggers of winston and log4js; pino wants its fields first, see the README.
 */
export interface Logger {
  debug(message: string, fields?: object): void;
  info(message: string, fields?: object): void;
  warn(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
}

interface Line {
  readonly level: keyof Logger;
  readonly message: string;
}

/**
 * Writes an event as a line, or nothing for one that is no news to an operator. What the logger throws is thrown where
 * it does not keep the event from others.
 */
export function logEvent(logger: Logger, event: ClusterEvent): void {
  const line = lineOf(event);
  if (line === undefined) return;
  try {
    logger[line.level](line.message, event);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function lineOf(event: ClusterEvent): Line | undefined {
  switch (event.type) {
    case "up":
      return { level: "info", message: `${event.peer} is up, incarnation ${event.incarnation}` };
    case "verify": {
      const percent = Math.floor(event.fraction * 100);
      return { level: "debug", message: `${event.peer} has ${percent} % of its store verified` };
    }
    case "leader":
      return { level: "info", message: `${event.peer} leads in term ${event.term}` };
    case "crash":
      return event.requested
        ? { level: "info", message: `${event.peer} was crashed, as asked` }
        : { level: "warn", message: `${event.peer} died: ${event.error?.message ?? "nobody knows why"}` };
    case "disk-full":
      return { level: "error", message: `${event.peer} waits for room on its disk: ${event.error.message}` };
    case "restart":
      return { level: "info", message: `${event.peer} starts again in ${event.delayMs} ms` };
    case "given-up":
      return { level: "error", message: `${event.peer} is given up: ${event.error.code}: ${event.error.message}` };
    case "wedged":
      return { level: "error", message: `${event.peer} hangs in native code and cannot be ended` };
    case "down":
      return { level: "info", message: `${event.peer} was stopped` };
    case "paused":
      return { level: "info", message: `${event.peer} is paused` };
    case "resumed":
      return { level: "info", message: `${event.peer} goes on` };
    case "snapshot": {
      const did = event.installed ? "installed the leader's snapshot" : "took a snapshot";
      return { level: "debug", message: `${event.peer} ${did} of entry ${event.index}, ${event.bytes} bytes` };
    }
    case "snapshot-failed":
      return { level: "warn", message: `${event.peer} could not take a snapshot: ${event.error.message}` };
    case "reach": {
      const reached = event.peers.length === 0 ? "no other peer" : event.peers.join(", ");
      return { level: "debug", message: `${event.peer} reaches ${reached}` };
    }
    case "applied":
    case "trace":
      return undefined;
    default:
      event satisfies never;
      return undefined;
  }
}
