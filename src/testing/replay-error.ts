/** A record that is replayed comes out otherwise than it was recorded. The message says where, what was and what is. */
export class ReplayError extends Error {
  override readonly name = "ReplayError";
  /** Which of the record's steps, counted from 0; -1 for its start. */
  readonly step: number;

  constructor(step: number, call: string, what: string) {
    super(step < 0 ? `${call}: ${what}` : `step ${step}, ${call}: ${what}`);
    this.step = step;
  }
}
