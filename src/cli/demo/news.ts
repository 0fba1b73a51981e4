import type { ClusterEvent } from "../../actors/protocol.ts";

/** What the demo says of an event; undefined for what is not worth a line. */
export function describe(event: ClusterEvent): string | undefined {
  switch (event.type) {
    case "up":
      return `${event.peer} is up, for the ${ordinal(event.incarnation)} time`;
    case "leader":
      return `${event.peer} leads in term ${event.term}`;
    case "crash":
      return event.requested ? `${event.peer} is dead` : problemIn(event);
    case "given-up":
    case "wedged":
      return problemIn(event);
    default:
      return undefined;
  }
}

/** What is wrong, if the event is one that no fault of the script explains. */
export function problemIn(event: ClusterEvent): string | undefined {
  switch (event.type) {
    case "crash":
      return event.requested
        ? undefined
        : `${event.peer} died by itself: ${event.error?.message ?? "nobody knows why"}`;
    case "given-up":
      return `${event.peer} is given up: ${event.error.message}`;
    case "wedged":
      return `${event.peer} hangs and cannot be ended`;
    default:
      return undefined;
  }
}

function ordinal(count: number): string {
  const teens = count % 100 >= 11 && count % 100 <= 13;
  const ending = teens ? undefined : ["st", "nd", "rd"][(count % 10) - 1];
  return `${count}${ending ?? "th"}`;
}
