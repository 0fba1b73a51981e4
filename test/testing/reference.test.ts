import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { RaftRecord } from "../../src/actors/record.ts";
import {
  type Conformance,
  checkConformance,
  explainRejection,
  type Rejection,
} from "../../src/testing/reference/check.ts";
import { RULES, type Rule } from "../../src/testing/reference/rules.ts";
import { handMade, lateNews, twoVotes, withdrawnPreVote } from "./hand-made.ts";
import { effectsOf, plantings } from "./lies.ts";
import { recordSchedule } from "./recording.ts";
import { ANYWHERE, LIES } from "./told.ts";

const folder = new URL("../../src/testing/reference/", import.meta.url);
const SCHEDULES = Array.from({ length: 8 }, (_, seed) => recordSchedule(3, seed));

function rejectionOf(judgement: Conformance): Rejection {
  if (judgement.accepted) throw new Error(`accepted ${judgement.steps} steps`);
  return judgement.rejection;
}

describe("The reference", () => {
  it("imports nothing but itself, and so shares nothing with what it judges", () => {
    const files = readdirSync(folder);
    expect(files).toContain("check.ts");
    for (const name of files) {
      const code = readFileSync(new URL(name, folder), "utf8");
      const specifiers = [...code.matchAll(/\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g)].map(
        (match) => match[1] ?? "",
      );
      expect(
        specifiers.filter((specifier) => !/^\.\/[a-z-]+\.ts$/.test(specifier) || !files.includes(specifier.slice(2))),
      ).toEqual([]);
    }
  });

  it.each(SCHEDULES.map((lives, seed) => [seed, lives] as const))(
    "accepts what three peers did under faults of all kinds (schedule %i)",
    (_seed, lives) => {
      const judgement = checkConformance(lives);
      expect(judgement.accepted || explainRejection(judgement.rejection)).toBe(true);
    },
  );

  it("accepts five peers, and some of the lives without the others", () => {
    const lives = recordSchedule(5, 3);
    expect(checkConformance(lives).accepted).toBe(true);
    for (const id of ["a", "b", "c", "d", "e"]) {
      expect(checkConformance(lives.filter(({ start }) => start.options.id === id)).accepted).toBe(true);
    }
  });

  it.each(LIES.map(([what, rule, lie, where]) => ({ what, rule, lie, where })))(
    "rejects $what ($rule)",
    ({ rule, lie, where }) => {
      const rejections: Rejection[] = [];
      for (const schedule of SCHEDULES) {
        const [planted] = plantings(schedule, lie);
        if (planted === undefined) continue;
        const { lives, peer, incarnation, step } = planted;
        const rejection = rejectionOf(checkConformance(lives));
        expect(explainRejection(rejection)).toContain(`${rule}: ${RULES[rule]}`);
        if (where !== ANYWHERE) expect(rejection).toMatchObject({ peer, incarnation, step });
        rejections.push(rejection);
      }
      expect(rejections.length).toBeGreaterThan(0);
    },
  );
});

/** The lives with another in the place of one of them. */
function withOther(lives: readonly RaftRecord[], life: RaftRecord, other: RaftRecord): RaftRecord[] {
  return lives.map((each) => (each === life ? other : each));
}

it("The reference rejects a life that does not begin with what the one before has left (restart)", () => {
  const lives = SCHEDULES.flat();
  const life = lives.find(({ start }) => start.stored.used && start.stored.hardState.votedFor === "a");
  if (life === undefined) throw new Error("no life begins with a vote");
  const schedule = SCHEDULES.find((each) => each.includes(life)) ?? [];
  const { start } = life;
  const { id: peer, incarnation } = start.options;
  const hardState = { ...start.stored.hardState, votedFor: "b" };
  const told = { ...start, stored: { ...start.stored, hardState }, state: { ...start.state, votedFor: "b" } };
  const rejection = rejectionOf(checkConformance(withOther(schedule, life, { ...life, start: told })));
  expect(rejection).toMatchObject({ rule: "restart", peer, incarnation, step: undefined });
  expect(rejection.reason).toContain("a vote for b");
});

it("The reference believes what is told of a life that is left out, and of the disk after it", () => {
  let leftOut = 0;
  for (const schedule of SCHEDULES) {
    for (const life of schedule) {
      const { id, incarnation = 0 } = life.start.options;
      const isBetween = schedule.some(
        ({ start }) => start.options.id === id && start.options.incarnation === incarnation + 1,
      );
      if (incarnation < 2 || !isBetween) continue;
      const judgement = checkConformance(schedule.filter((other) => other !== life));
      expect(judgement.accepted || explainRejection(judgement.rejection)).toBe(true);
      leftOut++;
    }
  }
  expect(leftOut).toBeGreaterThan(0);
});

it("The reference counts no vote that was never told, since the thread ended before it was durable", () => {
  const [told, second] = twoVotes();
  const at = told.steps.findIndex((step) => effectsOf(step)?.save?.hardState?.votedFor === "a");
  expect(at).toBeGreaterThan(0);
  const untold = { ...told, steps: told.steps.slice(0, at + 1) };
  const judgement = checkConformance([untold, second]);
  expect(judgement.accepted || explainRejection(judgement.rejection)).toBe(true);
  // One that was told is remembered, whatever the disk says.
  expect(rejectionOf(checkConformance([told, second])).rule).toBe("restart");
});

it("The reference does not take the late news of a leader's former process for that leader's death", () => {
  const judgement = checkConformance([lateNews()]);
  expect(judgement.accepted || explainRejection(judgement.rejection)).toBe(true);
});

it.each([0, 1] as const)(
  "The reference accepts that a pre-vote for term 1 is refused by who is in term %i, and campaigns by then",
  (currentTerm) => {
    const life = withdrawnPreVote(currentTerm);
    const refusals = life.steps.flatMap((step) =>
      (effectsOf(step)?.after ?? []).filter(({ message }) => message.type === "PreVoteReply" && !message.voteGranted),
    );
    expect(refusals).toMatchObject([{ to: "c", message: { term: currentTerm + 1, proposedTerm: 1 } }]);
    const judgement = checkConformance([life]);
    expect(judgement.accepted || explainRejection(judgement.rejection)).toBe(true);
  },
);

it("The reference rejects what others have heard of a save that was never durable (sent)", () => {
  const [schedule = []] = SCHEDULES;
  const life = schedule.find(({ start }) => start.options.incarnation === 1);
  const at = life?.steps.findIndex((step) =>
    effectsOf(step)?.after.some(({ message }) => message.type === "AppendEntriesReply" && message.success),
  );
  if (life === undefined || at === undefined) throw new Error("nobody acknowledges anything");
  // It ends with the save under way, and the peer is not started again.
  const others = schedule.filter(({ start }) => start.options.id !== life.start.options.id);
  const { rule, peer, reason } = rejectionOf(
    checkConformance([...others, { ...life, steps: life.steps.slice(0, at + 1) }]),
  );
  expect(rule).toBe("sent");
  expect(peer).not.toBe(life.start.options.id);
  expect(reason).toMatch(/and what it waited for was never durable|which never sent it/);
  expect(checkConformance([...others, { ...life, steps: life.steps.slice(0, at + 1), isCut: true }]).accepted).toBe(
    true,
  );
});

it.each(handMade())("The reference rejects %s (%s)", (_what, rule, lives) => {
  // What several lives show together, each of them alone does not.
  for (const life of lives) expect(checkConformance([life]).accepted).toBe(lives.length > 1);
  expect(rejectionOf(checkConformance(lives)).rule).toBe(rule);
});

it("Every rule is there to be broken", () => {
  const broken = new Set<Rule>(["restart", ...LIES.map(([, rule]) => rule), ...handMade().map(([, rule]) => rule)]);
  expect(Object.keys(RULES).filter((rule) => !broken.has(rule as Rule))).toEqual([]);
});
