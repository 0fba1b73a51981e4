import type { Raft } from "../../raft/raft.ts";

/** What a process has just taken out of its inbox: anything, or what came from a leader and is not on its disk yet. */
export type Taken = "mail" | "entries" | "truncation" | "install";

/** Notes how far a log goes. @returns what has been taken since, when asked, the rarest thing of it. */
export function watchLog(raft: Pick<Raft, "role" | "log" | "snapshot">): () => Taken {
  const { snapshot } = raft;
  const { lastIndex, lastTerm } = raft.log;
  return () => {
    const { log } = raft;
    if (raft.snapshot !== snapshot) return "install";
    if (log.termAt(lastIndex) !== lastTerm) return "truncation";
    return raft.role !== "leader" && log.lastIndex > lastIndex ? "entries" : "mail";
  };
}
