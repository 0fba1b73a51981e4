import type { Message } from "../../../raft/message.ts";
import { nameOf, type Subject } from "./subject.ts";
import { expectThat } from "./violation.ts";

/** Figure 2, persistent state: updated on stable storage before responding to RPCs. (Votes: see OneVote.) */
export function checkAnswer(subject: Subject, message: Message): void {
  const { image } = subject;
  switch (message.type) {
    case "AppendEntriesReply":
      if (!message.success) break;
      // A leader of a later term may have replaced the entries in the same turn, before they were ever written.
      expectThat(
        message.matchIndex <= image.lastIndex || message.term < image.currentTerm,
        "persist before you answer",
        () => {
          return `${nameOf(subject)} acknowledges entry ${message.matchIndex}; its disk holds ${image.lastIndex}`;
        },
      );
      break;
    case "InstallSnapshotReply":
      if (!message.installed) break;
      expectThat(message.lastIncludedIndex <= image.lastIndex, "persist before you answer", () => {
        return `${nameOf(subject)} acknowledges a snapshot of ${message.lastIncludedIndex}; its disk ends with ${image.lastIndex}`;
      });
      break;
    case "PreVote":
    case "PreVoteReply":
      return;
  }
  expectThat(message.term <= image.currentTerm, "persist before you answer", () => {
    return `${nameOf(subject)} speaks in term ${message.term}; on its disk is term ${image.currentTerm}`;
  });
}
