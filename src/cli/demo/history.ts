/** What a client knows of one of its commands. */
export type Attempt =
  /** Acknowledged: it stands at `index`, in an entry of `term`. */
  | { readonly outcome: "acked"; readonly index: number; readonly term: number }
  /** It may be applied or not, now or later. */
  | { readonly outcome: "unknown" }
  /** Certainly not applied, and never to be. */
  | { readonly outcome: "refused" };

/** What one client did: command after command, each begun when the one before was settled. */
export interface History {
  /** Unlike that of any client of any other run, so that a directory can be used again. */
  readonly client: string;
  /** By sequence number. */
  readonly attempts: readonly Attempt[];
}

/** What a command of the workload is: it adds its number to a text. */
export interface Append {
  readonly op: "append";
  readonly key: string;
  readonly value: string;
}

/** Texts end and a new one is begun after so many numbers, or each append to a long one would cost. */
const PAGE = 500;

/** The command with the number `sequence` of a client. No other command equals it. */
export function commandOf(client: string, sequence: number): Append {
  return { op: "append", key: `${client}/${Math.floor(sequence / PAGE)}`, value: `${sequence} ` };
}

/** The keys of all that a client may have written. */
export function keysOf({ client, attempts }: History): string[] {
  const pages = Math.ceil(attempts.length / PAGE);
  return Array.from({ length: pages }, (_, page) => commandOf(client, page * PAGE).key);
}

/** The numbers in a text that commands have made; NaN for what no command wrote. */
export function numbersIn(text: string): number[] {
  const words = text.split(" ");
  const end = words.pop();
  return [...words, ...(end === "" ? [] : ["damaged"])].map(Number);
}
