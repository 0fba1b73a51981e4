#!/usr/bin/env node
import { flotilla } from "./commands.ts";
import { UsageError } from "./usage.ts";

try {
  process.exitCode = await flotilla(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  process.stderr.write(`flotilla: ${error instanceof Error ? error.message : String(error)}\n`);
  if (isUsage) process.stderr.write("Try: flotilla --help\n");
  process.exitCode = isUsage ? 2 : 1;
}
