import { expect, it } from "vitest";
import { EntryKind, packEntries, stampBatch } from "../../../../src/raft/entry.ts";
import { Calls } from "../../../../src/testing/simulator/checks/calls.ts";
import type { Subject } from "../../../../src/testing/simulator/checks/subject.ts";
import { life } from "./life.ts";

/** A process that has applied the entries up to 3, of which the last is of term 2, and appended a command. */
function whoAppended(command: { readonly firstIndex: number; readonly term: number } | undefined): [Calls, Subject] {
  const calls = new Calls({ termOf: (index) => [0, 1, 1, 2][index] });
  const process = { ...life(1), lastApplied: 3 };
  const packed = packEntries(EntryKind.command, [new Uint8Array([1])]);
  calls.takes(process, 7, { kind: "propose", firstId: 1, count: 1, packed, tellAppended: false });
  if (command !== undefined) stampBatch(packed, { ...command, time: 0 });
  return [calls, process];
}

it.each([
  ["that was never appended has to be answered", undefined, false],
  ["whose index is applied has to be answered", { firstIndex: 3, term: 1 }, false],
  ["of an earlier term than what is applied has to be answered, wherever it was", { firstIndex: 9, term: 1 }, false],
  ["of the same term that is not applied may still be committed", { firstIndex: 4, term: 2 }, true],
])("a command %s", (_, command, isAnswered) => {
  const [calls, process] = whoAppended(command);
  expect(calls.areAnswered(new Set([process]))).toBe(isAnswered);
});

it("what was asked of a process that lives no more is not waited for", () => {
  const [calls] = whoAppended(undefined);
  expect(calls.areAnswered(new Set())).toBe(true);
});

it("a command that was answered is not waited for", () => {
  const [calls, process] = whoAppended({ firstIndex: 9, term: 1 });
  const error = { code: "ERR_SUPERSEDED", message: "", outcome: "not-applied" } as const;
  calls.replies(7, { kind: "refused", firstId: 1, count: 1, error });
  expect(calls.areAnswered(new Set([process]))).toBe(true);
});
