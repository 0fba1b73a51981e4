import { readFile, writeFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { inspect } from "node:util";
import { RaftError } from "../raft/errors.ts";
import { type KeyValueOperation, parseHistory } from "../testing/history-lines.ts";
import { type CheckResult, checkLinearizable } from "../testing/linearizability/check.ts";
import { explain } from "../testing/linearizability/explain.ts";
import { keyValueModel } from "../testing/linearizability/key-value.ts";
import { drawHistory } from "../testing/linearizability/picture.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { parseNumber, parseWithArguments, UsageError } from "./usage.ts";

const HELP = `flotilla check <history.jsonl>: whether a history of a key-value map is linearizable

The file has a JSON object a line, one for each call; "-" reads from stdin:
  {"client":1,"op":"put","key":"k","value":"v","call":100,"return":250,"outcome":"ok"}
The ops are put, get, append, delete, cas and set. docs/checking.md says the rest.

The first line that is printed is one word: ok, illegal or undecided.

Options:
  --html <file>  a picture of the operations around what is illegal
  --timeout <s>  seconds after which it is undecided (default: none)
  --json         all that was found as one JSON document, behind the first line
  --help         this text

Exit codes: 0 ok, 1 illegal, 2 undecided, 3 wrong usage or a file that makes no sense, 130 it was interrupted.
`;

const EXIT_CODES = { ok: 0, illegal: 1, undecided: 2 } as const;
/** Neither is a verdict. */
const NO_VERDICT = 3;

type Result = CheckResult<KeyValueOperation["input"], unknown>;

/** The subcommand `check`. @returns the exit code. */
export async function check(args: string[]): Promise<number> {
  try {
    return await checkFile(args);
  } catch (error) {
    const isExpected = error instanceof UsageError || error instanceof RaftError || isSystemError(error);
    process.stderr.write(`flotilla check: ${isExpected ? error.message : inspect(error)}\n`);
    if (error instanceof UsageError) process.stderr.write("Try: flotilla check --help\n");
    return NO_VERDICT;
  }
}

async function checkFile(args: string[]): Promise<number> {
  const { values, positionals } = parseWithArguments(args, {
    html: { type: "string" },
    timeout: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [file, ...others] = positionals;
  if (file === undefined) throw new UsageError("check: a file is missing");
  if (others.length > 0) throw new UsageError(`check: expected one file, got also "${others.join('", "')}"`);
  const limit =
    values.timeout === undefined ? {} : { timeoutMs: 1_000 * parseNumber("timeout", values.timeout, 0, 1e6) };

  const interrupt = listenForInterrupt();
  try {
    const history = parseHistory(file === "-" ? await text(process.stdin) : await readFile(file, "utf8"));
    const result = await checkLinearizable(history, keyValueModel, { ...limit, signal: interrupt.signal });
    if (values.html !== undefined && result.verdict === "illegal") {
      await writeFile(values.html, drawHistory(result.violations, keyValueModel));
    }
    process.stdout.write(
      `${result.verdict}\n${values.json ? `${JSON.stringify(result, undefined, 2)}\n` : inText(result)}`,
    );
    return EXIT_CODES[result.verdict];
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    process.stderr.write("flotilla check: ended early\n");
    return interrupt.exitCode;
  } finally {
    interrupt.release();
  }
}

function inText(result: Result): string {
  const counts = `operations: ${result.operations}, keys: ${result.partitions}\n`;
  switch (result.verdict) {
    case "illegal":
      return `${counts}\n${result.violations.map((violation) => explain(violation, keyValueModel)).join("\n")}`;
    case "undecided": {
      const reasons = { time: "the time was up", steps: "the steps were used up", memory: "it takes too much memory" };
      return counts + result.undecided.map(({ partition, reason }) => `${partition}: ${reasons[reason]}\n`).join("");
    }
    default:
      return counts;
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}
