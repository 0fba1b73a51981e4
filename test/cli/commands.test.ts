import { expect, test } from "vitest";
import { flotilla } from "../../src/cli/commands.ts";
import { UsageError } from "../../src/cli/usage.ts";

test.each([
  [[], "a command is missing"],
  [["dmeo"], 'there is no command "dmeo"'],
  [["toString"], 'there is no command "toString"'],
  [["--verbose"], 'there is no option "--verbose"'],
  [["demo", "--secnods", "3"], "Unknown option '--secnods'"],
  [["demo", "fast"], "Unexpected argument 'fast'"],
  [["demo", "--seconds", "long"], '--seconds: expected a number from 1 to 3600, got "long"'],
  [["demo", "--seconds", ""], '--seconds: expected a number from 1 to 3600, got ""'],
  [["demo", "--clients", "0"], '--clients: expected a number from 1 to 1000, got "0"'],
  [["demo", "--seed", "1.5"], '--seed: expected a whole number, got "1.5"'],
])("%j is wrong usage, and the message says of what", async (args, message) => {
  const error = await flotilla(args).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UsageError);
  expect((error as UsageError).message).toContain(message);
});
