import { describe, expect, test } from "vitest";
import type { AppliedEntry } from "../../src/actors/protocol.ts";
import { AppliedLog } from "../../src/testing/applied-log.ts";

const configuration: AppliedEntry = { index: 1, term: 0, kind: "configuration" };
const noop = (index: number, term: number): AppliedEntry => ({ index, term, kind: "noop" });
const command = (index: number, term: number, value: unknown): AppliedEntry => ({
  index,
  term,
  kind: "command",
  command: value,
});

describe("A log put together from what peers apply", () => {
  test("counts who has come as far as an index", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1), command(3, 1, "x")]);
    log.take("b", 1, [configuration, noop(2, 1)]);
    expect(log.peersAt(2)).toEqual(["a", "b"]);
    expect(log.peersAt(3)).toEqual(["a"]);
    expect(log.peersAt(4)).toEqual([]);
    expect(log.at(3)?.command).toBe("x");
  });

  test("counts a command once, and finds it by its value", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1), command(3, 1, { op: "put", value: [1] })]);
    log.take("b", 1, [configuration, noop(2, 1), command(3, 1, { op: "put", value: [1] })]);
    expect(log.commands).toBe(1);
    expect(log.peersThatApplied({ op: "put", value: [1] })).toEqual(["a", "b"]);
    expect(log.peersThatApplied({ op: "put", value: [2] })).toEqual([]);
  });

  test("finds the peers of every place at which a command stands", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, command(2, 1, "x"), command(3, 1, "x")]);
    log.take("b", 1, [configuration]);
    expect(log.peersThatApplied("x")).toEqual(["a"]);
  });

  test.each([
    ["another command", command(3, 1, "y")],
    ["the command of another term", command(3, 2, "x")],
    ["an entry of another kind", noop(3, 1)],
  ])("refuses %s at an index that another peer has applied", (_name, other) => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1), command(3, 1, "x")]);
    log.take("b", 1, [configuration, noop(2, 1)]);
    expect(() => log.take("b", 1, [other])).toThrow(/State Machine Safety is broken at index 3: b .* a /);
  });

  test("refuses another command from the same peer after a restart", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, command(2, 1, "x")]);
    expect(() => log.take("a", 2, [configuration, command(2, 1, "y")])).toThrow(/State Machine Safety/);
  });

  test.each([
    ["goes back", 1],
    ["repeats one", 2],
  ])("refuses a peer that %s", (_name, index) => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1)]);
    expect(() => log.take("a", 1, [noop(index, 1)])).toThrow(/out of order; 3 was next/);
  });

  test("does not explain why a peer leaves one out", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1), command(3, 1, "x"), command(4, 1, "y")]);
    log.take("b", 1, [configuration, noop(2, 1)]);
    expect(log.unexplained()).toBe(undefined);
    log.take("b", 1, [command(4, 1, "y")]);
    expect(log.unexplained()).toMatch(/b, incarnation 1, .* index 4 out of order; 3 was next/);
  });

  test("lets a peer go on behind a snapshot that it has installed, heard of before or after", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1), command(3, 1, "x"), command(4, 1, "y"), command(5, 1, "z")]);
    for (const peer of ["b", "c"]) log.take(peer, 1, [configuration]);
    log.installed("b", 3);
    log.take("b", 1, [command(4, 1, "y")]);
    expect(log.unexplained()).toBe(undefined);
    log.take("c", 1, [command(4, 1, "y"), command(5, 1, "z")]);
    log.installed("c", 2);
    expect(log.unexplained()).toMatch(/c, incarnation 1, .* index 4 out of order/);
    log.installed("c", 3);
    expect(log.unexplained()).toBe(undefined);
  });

  test("takes what was applied before a snapshot that it has heard of already", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1), command(3, 1, "x")]);
    log.installed("b", 3);
    log.take("b", 1, [configuration, noop(2, 1)]);
    expect(() => log.take("b", 1, [noop(2, 1)])).toThrow(/out of order; 3 was next/);
  });

  test("counts a peer that has an entry by a snapshot", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1), command(3, 1, "x")]);
    log.installed("b", 2);
    expect(log.peersAt(2)).toEqual(["a", "b"]);
    expect(log.peersAt(3)).toEqual(["a"]);
  });

  test("lets an incarnation begin with the first entry", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1), command(3, 1, "x")]);
    log.take("a", 2, [configuration, noop(2, 1)]);
    expect(() => log.take("a", 2, [configuration])).toThrow(/incarnation 2, .*out of order; 3 was next/);
    expect(log.unexplained()).toBe(undefined);
  });

  test("lets an incarnation begin behind what others have applied, heard of before or after", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration]);
    log.take("a", 2, [command(4, 1, "y")]);
    expect(log.unexplained()).toMatch(/a, incarnation 2, .* index 4 out of order; 1 was next/);
    log.take("b", 1, [configuration, noop(2, 1), command(3, 1, "x")]);
    expect(log.unexplained()).toBe(undefined);
  });

  test("lets an incarnation begin behind what was applied before anybody watched", () => {
    const log = new AppliedLog();
    log.take("a", 1, [command(4, 1, "x")]);
    log.take("a", 2, [command(4, 1, "x")]);
    log.take("a", 3, [command(3, 1, "w"), command(4, 1, "x")]);
    expect(log.unexplained()).toBe(undefined);
  });

  test("compares what is applied behind a snapshot with what others have applied there", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1), command(3, 1, "x"), command(4, 1, "y")]);
    log.installed("b", 3);
    expect(() => log.take("b", 1, [command(4, 1, "z")])).toThrow(/State Machine Safety is broken at index 4/);
  });

  test("still counts what an earlier incarnation has applied", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, noop(2, 1), command(3, 1, "x")]);
    log.take("a", 2, [configuration]);
    expect(log.peersAt(3)).toEqual(["a"]);
  });

  test("checks the last words of an earlier incarnation, but not their order", () => {
    const log = new AppliedLog();
    log.take("a", 1, [configuration, command(2, 1, "x")]);
    log.take("a", 2, [configuration]);
    log.take("a", 1, [command(3, 1, "y")]);
    expect(log.at(3)?.command).toBe("y");
    expect(() => log.take("a", 1, [command(2, 1, "z")])).toThrow(/State Machine Safety/);
  });

  test("takes a peer in the middle of its first life, since the watching may have begun later", () => {
    const log = new AppliedLog();
    log.take("a", 1, [command(3, 1, "x")]);
    expect(log.peersAt(3)).toEqual(["a"]);
    expect(log.unexplained()).toBe(undefined);
    log.take("a", 1, [command(5, 1, "y")]);
    expect(log.unexplained()).toMatch(/out of order; 4 was next/);
  });
});
