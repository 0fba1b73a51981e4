import { Forbidden } from "./rules.ts";
import type { Message, Outgoing } from "./trace.ts";

/** What a life said, and whether it was durable by then. */
interface Said {
  readonly keys: Set<string>;
  /** Said when the save that is under way is durable. */
  pending: string[];
  /** Not all is told that it said. */
  isCut: boolean;
}

/** What was received, and by whom. */
interface Heard {
  readonly life: string;
  readonly key: string;
  readonly what: string;
  readonly place: Place;
}

/** Where in the traces something stands. */
export interface Place {
  readonly peer: string;
  readonly incarnation: number;
  /** Of the steps of that life, from 0; undefined when it is about the life as a whole. */
  readonly step: number | undefined;
}

/** The messages between all lives (the bag of the specification, in which nothing is lost for good). */
export class Wire {
  readonly #said = new Map<string, Said>();
  readonly #heard: Heard[] = [];

  /** Whoever drives the algorithm without telling lives apart may begin the same one again. */
  begin(peer: string, incarnation: number, isCut: boolean): void {
    const key = lifeKey(peer, incarnation);
    const known = this.#said.get(key);
    this.#said.set(key, { keys: known?.keys ?? new Set(), pending: [], isCut: isCut || known?.isCut === true });
  }

  /** @param waits for the save under way. */
  send(peer: string, incarnation: number, outgoing: readonly Outgoing[], waits: boolean): void {
    const said = this.#said.get(lifeKey(peer, incarnation));
    if (said === undefined) return;
    for (const { to, message } of outgoing) {
      const key = messageKey(to, message);
      if (waits) said.pending.push(key);
      else said.keys.add(key);
    }
  }

  saved(peer: string, incarnation: number): void {
    const said = this.#said.get(lifeKey(peer, incarnation));
    for (const key of said?.pending.splice(0) ?? []) said?.keys.add(key);
  }

  receive(from: string, incarnation: number, message: Message, place: Place): void {
    const what = `${message.type} of term ${message.term} from ${from}`;
    this.#heard.push({ life: lifeKey(from, incarnation), key: messageKey(place.peer, message), what, place });
  }

  /**
   * All that was received was sent before; of lives that nobody tells of, nothing is known.
   * @param blame is called with the place of each message before it is looked at.
   */
  check(blame: (place: Place) => void): void {
    for (const { life, key, what, place } of this.#heard) {
      const said = this.#said.get(life);
      if (said === undefined || said.isCut || said.keys.has(key)) continue;
      blame(place);
      const early = said.pending.includes(key) ? ", and what it waited for was never durable" : ", which never sent it";
      throw new Forbidden("sent", `${what}, incarnation ${life.slice(life.lastIndexOf(" ") + 1)}${early}`);
    }
  }
}

function lifeKey(peer: string, incarnation: number): string {
  return `${peer} ${incarnation}`;
}

/** Two messages to one peer are the same if, and only if, their keys are. */
function messageKey(to: string, message: Message): string {
  if (message.type !== "AppendEntries") return `${to} ${JSON.stringify(sorted({ ...message }))}`;
  const { batches, ...rest } = message;
  const entries = batches.map(({ firstIndex, term, digests }) => `${firstIndex} ${term} ${digests.join()}`);
  return `${to} ${JSON.stringify(sorted(rest))} ${entries.join(";")}`;
}

function sorted(message: Readonly<Record<string, unknown>>): unknown[] {
  return Object.entries(message)
    .filter(([, value]) => value !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1));
}
