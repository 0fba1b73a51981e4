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
  return asUsage(() => parseArgs({ args, options, allowPositionals: false }).values);
}

/**
 * The options of a subcommand, and its other arguments.
 * @throws UsageError for an unknown option, or a value that is missing.
 */
export function parseWithArguments<const Options extends NonNullable<ParseArgsConfig["options"]>>(
  args: string[],
  options: Options,
): ReturnType<typeof parseArgs<{ options: Options; allowPositionals: true }>> {
  return asUsage(() => parseArgs({ args, options, allowPositionals: true }));
}

function asUsage<Result>(parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // The first sentence says it; the rest is advice about other arguments.
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
