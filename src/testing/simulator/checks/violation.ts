/** Names of what is checked; each says in its file where it comes from. */
export type CheckName =
  | "election safety"
  | "one vote a term"
  | "asks before it campaigns"
  | "log matching"
  | "leader append-only"
  | "leader completeness"
  | "state-machine safety"
  | "committed on a majority"
  | "never goes back"
  | "persist before you answer"
  | "acknowledged stays"
  | "what was saved is there"
  | "each entry once"
  | "equal state"
  | "equal results"
  | "bounded memory"
  | "lease"
  | "stands by its leader"
  | "steps down without a majority"
  | "real-time order"
  | "replies are true"
  | "linearizability"
  | "liveness"
  | "catching up"
  | "no crash of the code"
  | "the machine's own check"
  | "determinism"
  | "conformance";

/** A property does not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly check: CheckName;

  constructor(check: CheckName, message: string) {
    super(message);
    this.check = check;
  }
}

export function expectThat(condition: boolean, check: CheckName, message: () => string): asserts condition {
  if (!condition) throw new Violation(check, message());
}
