import { rebuildPeers } from "../actors/rebuild.ts";
import { parseWithArguments, UsageError } from "./usage.ts";

const HELP = `flotilla rebuild <directory> <peer>...: new stores for peers that have lost theirs

The directory is that of a cluster, which must be stopped. Fewer than a majority of the peers may be lost, and all others
must be sound. Each lost peer gets the log of the one that knows most, and a term in which nobody has voted; what is
left of its own folder is put aside, and not deleted.

Options:
  --help  this text

Exit codes: 0 all of them are rebuilt, 1 they are not, 2 wrong usage.
`;

/** The subcommand `rebuild`. @returns the exit code. @throws UsageError; RaftError as `rebuildPeers` does. */
export async function rebuild(args: string[]): Promise<number> {
  const { values, positionals } = parseWithArguments(args, { help: { type: "boolean", default: false } });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [directory, ...lost] = positionals;
  if (directory === undefined) throw new UsageError("rebuild: a directory is missing");
  if (lost.length === 0) throw new UsageError("rebuild: say which peers are lost");
  for (const { peer, from, lastIndex, currentTerm, aside } of await rebuildPeers(directory, lost)) {
    const old = aside === undefined ? "" : `; what was left of it is in ${aside}`;
    process.stdout.write(`${peer} has the log of ${from}, to entry ${lastIndex}, and term ${currentTerm}${old}\n`);
  }
  return 0;
}
