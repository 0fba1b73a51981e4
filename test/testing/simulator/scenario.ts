/** What a line of a scenario says; peers are numbered from 1. */
export type Statement =
  /** The first line: how many there are. Where snapshots have chunks of a size, those of two peers differ in their bytes. */
  | { readonly verb: "peers"; readonly count: number; readonly snapshotEvery: number; readonly chunkBytes: number }
  /** The election timer of a peer fires. */
  | { readonly verb: "campaign"; readonly peer: number }
  /** Time goes on for all; but timers fire only at a peer that is woken, or campaigns. */
  | { readonly verb: "wait"; readonly ms: number }
  /** A peer looks at its timers. */
  | { readonly verb: "wake"; readonly peer: number }
  | { readonly verb: "propose"; readonly peer: number; readonly key: string; readonly value: string }
  | {
      readonly verb: "read";
      readonly peer: number;
      readonly key: string;
      readonly consistency: "linearizable" | "lease" | "local";
    }
  /** What is under way arrives, and all that follows from it; but not over the links that are left out. */
  | { readonly verb: "deliver"; readonly links: readonly Link[] | "all"; readonly except: readonly Link[] }
  /** What is under way arrives, and nothing that follows from it. */
  | { readonly verb: "pass"; readonly links: readonly Link[] | "all"; readonly except: readonly Link[] }
  /** What is under way is lost. */
  | { readonly verb: "drop"; readonly links: readonly Link[] | "all"; readonly except: readonly Link[] }
  /** All that ever went over a link arrives once more, as it was. */
  | { readonly verb: "repeat"; readonly links: readonly Link[] }
  /** Now, or at the next passage of a point. */
  | { readonly verb: "crash"; readonly peer: number; readonly point: string | undefined }
  | { readonly verb: "start"; readonly peer: number }
  | { readonly verb: "snapshot"; readonly peer: number }
  /** Writes down the logs side by side. */
  | { readonly verb: "logs" };

export interface Link {
  readonly from: number;
  readonly to: number;
}

const GRAMMAR = [
  "peers <count> [snapshot every <entries>] [in chunks of <bytes>]",
  "campaign <peer>",
  "wait <milliseconds>",
  "wake <peer>",
  "propose <peer> <key>=<value>",
  "read <peer> <key> [linearizable|lease|local]",
  "deliver [all] [<from>><to> ...] [but <from>><to> ...]",
  "pass [all] [<from>><to> ...] [but <from>><to> ...]",
  "drop [all] [<from>><to> ...] [but <from>><to> ...]",
  "repeat <from>><to> ...",
  "crash <peer> [at <point>]",
  "start <peer>",
  "snapshot <peer>",
  "logs",
] as const;

/**
 * Reads a scenario: one statement a line, from `#` on a comment.
 * @throws Error that names the line and what it should have been.
 */
export function parseScenario(text: string): Statement[] {
  const statements: Statement[] = [];
  let peers = 0;
  for (const [at, line] of text.split("\n").entries()) {
    const words = line.replace(/#.*/, "").trim().split(/\s+/);
    const [verb = ""] = words;
    if (verb === "") continue;
    const rule = GRAMMAR.find((each) => each.split(" ")[0] === verb);
    const wrong = (what: string) => new Error(`line ${at + 1}: ${what}, got "${line.trim()}"`);
    if (rule === undefined) throw wrong(`expected one of ${GRAMMAR.map((each) => each.split(" ")[0]).join(", ")}`);
    if ((verb === "peers") !== (statements.length === 0)) throw wrong("expected the peers first, and once");
    const statement = parseStatement(words, peers);
    if (statement === undefined) throw wrong(`expected ${rule}${peers > 0 ? `, with peers from 1 to ${peers}` : ""}`);
    if (statement.verb === "peers") peers = statement.count;
    statements.push(statement);
  }
  return statements;
}

function parseStatement([verb, ...words]: readonly string[], peers: number): Statement | undefined {
  const text = words.join(" ");
  const peer = /^\d+$/.test(words[0] ?? "") ? Number(words[0]) : 0;
  const isPeer = peer >= 1 && peer <= peers;
  switch (verb) {
    case "peers": {
      const match = /^([1-7])(?: snapshot every (\d+))?(?: in chunks of (\d+))?$/.exec(text);
      if (match === null) return undefined;
      const [count = 0, snapshotEvery = 0, chunkBytes = 0] = match.slice(1).map((digits) => Number(digits ?? 0));
      return { verb, count, snapshotEvery, chunkBytes };
    }
    case "campaign":
    case "wake":
    case "start":
    case "snapshot":
      return isPeer && words.length === 1 ? { verb, peer } : undefined;
    case "wait": {
      return /^\d+$/.test(text) ? { verb, ms: Number(text) } : undefined;
    }
    case "propose": {
      const [, key, value] = /^\d+ (\w+)=(\w+)$/.exec(text) ?? [];
      return isPeer && key !== undefined && value !== undefined ? { verb, peer, key, value } : undefined;
    }
    case "read": {
      const [, key, consistency = "linearizable"] = /^\d+ (\w+)(?: (linearizable|lease|local))?$/.exec(text) ?? [];
      if (!isPeer || key === undefined) return undefined;
      return { verb, peer, key, consistency: consistency as "linearizable" | "lease" | "local" };
    }
    case "deliver":
    case "pass":
    case "drop": {
      const [wanted = "", unwanted] = text.split(/(?:^| )but /);
      const links = wanted === "" || wanted === "all" ? "all" : parseLinks(wanted, peers);
      const except = unwanted === undefined ? [] : parseLinks(unwanted, peers);
      return links === undefined || except === undefined ? undefined : { verb, links, except };
    }
    case "repeat": {
      const links = parseLinks(text, peers);
      return links === undefined ? undefined : { verb, links };
    }
    case "crash": {
      const [, point] = /^\d+ at (.+)$/.exec(text) ?? [];
      return isPeer && (words.length === 1 || point !== undefined) ? { verb, peer, point } : undefined;
    }
    case "logs":
      return words.length === 0 ? { verb } : undefined;
    default:
      return undefined;
  }
}

function parseLinks(text: string, peers: number): Link[] | undefined {
  const links: Link[] = [];
  for (const word of text.split(" ")) {
    const [, from, to] = (/^(\d)>(\d)$/.exec(word) ?? []).map(Number);
    if (from === undefined || to === undefined || from < 1 || to < 1 || from > peers || to > peers) return undefined;
    links.push({ from, to });
  }
  return links;
}
