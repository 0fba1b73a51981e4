import { type ParseArgsConfig, parseArgs } from "node:util";

/** The command line makes no sense. The message says what of it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * The options of a subcommand that takes nothing else.
 * @throws UsageError for an unknown option, a value that is missing, or any other argument.
 */
export function parseOptions<const Options extends NonNullable<ParseArgsConfig["options"]>>(
  args: string[],
  options: Options,
): ReturnType<typeof parseArgs<{ options: Options }>>["values"] {
  try {
    return parseArgs({ args, options, allowPositionals: false }).values;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // The first sentence says it; the rest is about positional arguments, which there are none of.
    throw new UsageError(error.message.split(". ")[0] ?? error.message);
  }
}

/**
 * A number from the command line.
 * @throws UsageError when it is none, or out of range.
 */
export function parseNumber(name: string, text: string, min: number, max: number): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${name}: expected a number from ${min} to ${max}, got "${text}"`);
}

/** {@link parseNumber} of a whole number. */
export function parseInteger(name: string, text: string, min: number, max: number): number {
  const value = parseNumber(name, text, min, max);
  if (Number.isInteger(value)) return value;
  throw new UsageError(`--${name}: expected a whole number, got "${text}"`);
}
