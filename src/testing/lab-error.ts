/** A cluster did not do what was expected of it. The message is a sentence that says what was expected and what was seen. */
export class LabError extends Error {
  override readonly name = "LabError";
}
