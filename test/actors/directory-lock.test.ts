import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { threadId, Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DirectoryLock, lockDirectory } from "../../src/actors/directory-lock.ts";

const hasProc = existsSync("/proc/self/stat");
const IN_USE = "ERR_DIRECTORY_IN_USE";

let directory: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "flotilla-lock-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  await rm(directory, { recursive: true, force: true });
});

/** What `/proc` says that a lock of process `pid` should hold. */
async function holderOf(pid: number): Promise<Record<string, unknown>> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const processStart = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  return { pid, processStart, bootId, thread: 0, token: `of-${pid}` };
}

async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  return child.pid ?? 0;
}

async function writeLock(holder: Record<string, unknown>, name = "lock"): Promise<void> {
  await writeFile(join(directory, name), JSON.stringify(holder));
}

async function expectTakeover(): Promise<void> {
  const lock = await lockDirectory(directory);
  expect(JSON.parse(await readFile(join(directory, "lock"), "utf8"))).toMatchObject({ pid: process.pid });
  await lock.release();
  expect(await readdir(directory)).toEqual([]);
}

async function expectRefusal(pid: number): Promise<void> {
  const before = await readdir(directory);
  await expect(lockDirectory(directory)).rejects.toMatchObject({
    code: IN_USE,
    message: expect.stringContaining(`in use by process ${pid}`),
  });
  expect(await readdir(directory)).toEqual(before);
}

describe("the lock of a directory", () => {
  test("is refused to a second opener in the same process until it is released", async () => {
    const first = await lockDirectory(directory);
    await expectRefusal(process.pid);
    await first.release();
    await expectTakeover();
  });

  test("goes to one of many who ask at once", async () => {
    for (let round = 0; round < 20; round++) {
      const results = await Promise.allSettled(Array.from({ length: 6 }, () => lockDirectory(directory)));
      const [winner, ...others] = results.filter(({ status }) => status === "fulfilled");
      expect(others).toEqual([]);
      for (const result of results) {
        if (result.status === "rejected") expect(result.reason).toMatchObject({ code: IN_USE });
      }
      await (winner as PromiseFulfilledResult<DirectoryLock>).value.release();
      expect(await readdir(directory)).toEqual([]);
    }
  });

  test("is refused to another thread of the same process", async () => {
    const first = await lockDirectory(directory);
    const module = new URL("../../src/actors/directory-lock.ts", import.meta.url).href;
    const tsx = import.meta.resolve("tsx/esm/api");
    const code = `import { register } from ${JSON.stringify(tsx)}; register();
      const { parentPort } = await import("node:worker_threads");
      const { lockDirectory } = await import(${JSON.stringify(module)});
      parentPort.postMessage(await lockDirectory(${JSON.stringify(directory)}).then(() => "won", ({ code }) => code));`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
    try {
      expect((await once(worker, "message"))[0]).toBe(IN_USE);
    } finally {
      await worker.terminate();
      await first.release();
    }
  });

  test("is taken over from a process that has died", async () => {
    await writeLock({ pid: await deadProcess(), thread: 0, token: "dead" });
    await expectTakeover();
  });

  test("is taken over whatever a process was killed in the middle of", async () => {
    const pid = await deadProcess();
    await writeLock({ pid, thread: 0, token: "one" });
    await writeLock({ pid, thread: 0, token: "two" }, ".lock-after-one");
    await writeLock({ pid, thread: 0, token: "three" }, ".lock-after-two");
    await writeLock({ pid, thread: 0, token: "beside" }, ".lock-after-nobody");
    await writeFile(join(directory, ".lock-half-writ"), '{"pid"');
    await expectTakeover();
  });

  test.runIf(hasProc)("belongs to the last successor of a dead holder, if that one lives", async () => {
    await writeLock({ pid: await deadProcess(), thread: 0, token: "one" });
    await writeLock({ ...(await holderOf(process.ppid)), token: "two" }, ".lock-after-one");
    await expectRefusal(process.ppid);
  });

  test.runIf(hasProc)("is refused while its process lives", async () => {
    await writeLock(await holderOf(process.ppid));
    await expectRefusal(process.ppid);
  });

  test.runIf(hasProc).each([
    ["another process has the id by now", { processStart: "1" }],
    ["the machine has been started since", { bootId: "another" }],
  ])("is taken over when %s", async (_, change) => {
    await writeLock({ ...(await holderOf(process.ppid)), ...change });
    await expectTakeover();
  });

  test.runIf(hasProc)(
    "is taken over from this thread's own that nobody holds, but not from another thread's",
    async () => {
      const mine = await holderOf(process.pid);
      await writeLock({ ...mine, thread: threadId + 1 });
      await expectRefusal(process.pid);
      await writeLock({ ...mine, thread: threadId });
      await expectTakeover();
    },
  );

  test.runIf(hasProc)("is taken over from a killed process that nobody has waited for yet", async () => {
    // The shell becomes a program that never asks what became of its child.
    const parent = spawn("sh", ["-c", "sleep 0 & echo $!; exec sleep 600"], { stdio: ["ignore", "pipe", "ignore"] });
    children.push(parent);
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(line.toString());
    let stat = "";
    while (!stat.includes(") Z ")) stat = await readFile(`/proc/${pid}/stat`, "utf8");
    await writeLock(await holderOf(pid));
    await expectTakeover();
  });

  test("that makes no sense is reported, and left for a person to judge", async () => {
    await writeFile(join(directory, "lock"), "");
    await expect(lockDirectory(directory)).rejects.toMatchObject({ code: "ERR_STORAGE_CORRUPT" });
    expect(await readdir(directory)).toEqual(["lock"]);
  });

  test("that was given to someone else by hand is not released with ours", async () => {
    const lock = await lockDirectory(directory);
    await writeLock({ pid: process.ppid, thread: 0, token: "theirs" });
    await lock.release();
    expect(await readdir(directory)).toEqual(["lock"]);
  });
});

describe("processes that race for the lock of a directory", () => {
  async function contenders(count: number): Promise<ChildProcess[]> {
    const fixture = fileURLToPath(new URL("./fixtures/contender.ts", import.meta.url));
    const started = Array.from({ length: count }, () =>
      fork(fixture, [directory], { execArgv: ["--import", import.meta.resolve("tsx")] }),
    );
    children.push(...started);
    for (const child of started) expect((await once(child, "message"))[0]).toBe("ready");
    return started;
  }

  async function tell(child: ChildProcess, message: string): Promise<string> {
    const answer = once(child, "message");
    child.send(message);
    return (await answer)[0] as string;
  }

  /** All try at once; whoever won, once it is sure that it is one. */
  async function race(living: readonly ChildProcess[]): Promise<ChildProcess> {
    const answers = await Promise.all(living.map((child) => tell(child, "try")));
    const winners = living.filter((_, at) => answers[at] === "won");
    expect(winners).toHaveLength(1);
    for (const answer of answers) if (answer !== "won") expect(answer).toMatch(/^ERR_DIRECTORY_IN_USE: /);
    return winners[0] as ChildProcess;
  }

  test("there is one winner, whatever a dead one left, and nothing is left in the end", async () => {
    const all = await contenders(4);
    const pid = await deadProcess();
    for (let round = 0; round < 60; round++) {
      if (round % 3 > 0) await writeLock({ pid, thread: 0, token: `dead-${round}` });
      if (round % 3 > 1) await writeLock({ pid, thread: 0, token: `heir-${round}` }, `.lock-after-dead-${round}`);
      expect(await tell(await race(all), "release")).toBe("released");
    }
    expect(await readdir(directory)).toEqual([]);
  });

  test("one after the other gets it when the one before is killed", async () => {
    let living = await contenders(4);
    while (living.length > 0) {
      const winner = await race(living);
      // Nobody else gets it while that one lives, who is named.
      for (const other of living) {
        if (other !== winner) expect(await tell(other, "try")).toContain(`in use by process ${winner.pid}`);
      }
      winner.kill("SIGKILL");
      await once(winner, "exit");
      living = living.filter((child) => child !== winner);
    }
    await expectTakeover();
  });
});
