import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ClusterDirectory, type DirectoryOptions, markBorn, openDirectory } from "../../src/actors/directory.ts";

const hasBoots = existsSync("/proc/sys/kernel/random/boot_id");
const PEERS = ["a", "b", "c"];

let root: string;
const opened: ClusterDirectory[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "flotilla-directory-"));
});
afterEach(async () => {
  for (const directory of opened.splice(0)) await directory.release({ remove: true });
  await rm(root, { recursive: true, force: true });
});

async function open(options: Partial<DirectoryOptions> = {}): Promise<ClusterDirectory> {
  const directory = await openDirectory({
    directory: join(root, "x/data"),
    peers: PEERS,
    durability: "disk",
    ...options,
  });
  opened.push(directory);
  return directory;
}

async function identityOf(directory: ClusterDirectory): Promise<{ bootId?: string }> {
  return JSON.parse(await readFile(join(directory.path, "cluster.json"), "utf8"));
}

/** Opens, lets `change` at what is on disk, and gives the directory back. */
async function used(
  change: (path: string) => Promise<void> | void,
  options: Partial<DirectoryOptions> = {},
): Promise<void> {
  const directory = await open(options);
  await directory.release({ remove: false });
  await change(directory.path);
}

async function expectRefusal(
  code: string,
  message: string | RegExp,
  options: Partial<DirectoryOptions> = {},
): Promise<void> {
  await expect(open(options)).rejects.toMatchObject({
    name: "RaftError",
    code,
    message: expect.stringMatching(message),
  });
  // It is not left locked.
  expect(existsSync(join(root, "x/data/lock"))).toBe(false);
}

describe("openDirectory", () => {
  test("makes the folders and an identity, with a store for each peer in the order given", async () => {
    const directory = await open({ peers: ["b", "a"] });
    expect(directory).toMatchObject({ path: join(root, "x/data"), temporary: false });
    expect(directory.peers.map(({ id }) => id)).toEqual(["b", "a"]);
    const [b, a] = directory.peers;
    expect(b).toEqual({ id: "b", path: join(root, "x/data/b"), store: expect.any(String), born: false });
    expect(new Set([directory.cluster, b?.store, a?.store]).size).toBe(3);
    expect((await readdir(directory.path)).sort()).toEqual(["a", "b", "cluster.json", "lock"]);
    expect(await identityOf(directory)).toEqual({
      format: 1,
      cluster: directory.cluster,
      peers: { a: { store: a?.store, born: false }, b: { store: b?.store, born: false } },
    });
  });

  test("finds the identity again, births included", async () => {
    const first = await open();
    markBorn(first.path, "b");
    markBorn(first.path, "b");
    await first.release();
    const second = await open({ peers: ["c", "b", "a"] });
    expect(second.cluster).toBe(first.cluster);
    expect(second.peers.map(({ id, born }) => [id, born])).toEqual([
      ["c", false],
      ["b", true],
      ["a", false],
    ]);
    for (const { id, store } of first.peers) expect(second.peers.find((peer) => peer.id === id)?.store).toBe(store);
  });

  test("is refused while another has it open, and not after its release", async () => {
    const first = await open();
    await expect(open()).rejects.toMatchObject({
      code: "ERR_DIRECTORY_IN_USE",
      message: expect.stringContaining(`process ${process.pid}`),
    });
    await first.release();
    await open();
  });

  test("makes a temporary folder when none is given, and removes it at the release", async () => {
    const directory = await open({ directory: undefined });
    expect(directory.temporary).toBe(true);
    expect(dirname(directory.path)).toBe(tmpdir());
    await writeFile(join(directory.path, "a/data"), "x");
    await directory.release();
    expect(existsSync(directory.path)).toBe(false);
  });

  test("keeps a temporary folder that is wanted for a look", async () => {
    const directory = await open({ directory: undefined });
    try {
      await directory.release({ remove: false });
      expect((await readdir(directory.path)).sort()).toEqual(["a", "b", "c", "cluster.json"]);
    } finally {
      await rm(directory.path, { recursive: true });
    }
  });

  test("removes the cluster from a folder, and leaves what is not its own", async () => {
    const directory = await open();
    await writeFile(join(directory.path, "a/data"), "x");
    await writeFile(join(directory.path, "notes.txt"), "mine");
    await directory.release({ remove: true });
    await directory.release({ remove: true });
    expect(await readdir(directory.path)).toEqual(["notes.txt"]);
  });

  test("refuses peers other than the stored ones, naming both", async () => {
    await used(() => undefined);
    const message = /peers: expected \[ 'a', 'b', 'c' \], as .* has, got \[ 'a', 'b' \]/;
    await expectRefusal("ERR_INVALID_OPTION", message, { peers: ["b", "a"] });
    await expectRefusal("ERR_INVALID_OPTION", /got \[ 'a', 'b', 'd' \]/, { peers: ["a", "b", "d"] });
  });

  test("refuses what a newer version wrote", async () => {
    await used((path) => writeFile(join(path, "cluster.json"), '{"format": 2, "members": []}'));
    await expectRefusal("ERR_STORAGE_LOST", /cluster\.json is of format 2, written by a newer flotilla; .* up to 1/);
  });

  test.each([
    "",
    "{",
    "null",
    "{}",
    '{"format": 1, "cluster": "x"}',
    '{"format": 1, "cluster": "x", "peers": {"a": 1}}',
  ])("refuses a cluster.json of %o", async (content) => {
    await used((path) => writeFile(join(path, "cluster.json"), content));
    await expectRefusal("ERR_STORAGE_CORRUPT", "cluster.json cannot be understood");
  });

  test("refuses stores without a cluster.json, and takes empty folders", async () => {
    await used((path) => rm(join(path, "cluster.json")));
    await (await open()).release();
    await used(async (path) => {
      await writeFile(join(path, "b/data"), "x");
      await rm(join(path, "cluster.json"));
    });
    await expectRefusal("ERR_STORAGE_LOST", "has a folder b with data in it, but no cluster.json");
  });

  test("goes on where a process died while it wrote cluster.json", async () => {
    await used((path) => writeFile(join(path, ".cluster.json.new"), '{"for'));
    const directory = await open();
    expect(await readdir(directory.path)).not.toContain(".cluster.json.new");
  });

  test("reports a folder that cannot be made, with the cause", async () => {
    await mkdir(join(root, "x"));
    await writeFile(join(root, "x/data"), "a file");
    await expect(open()).rejects.toMatchObject({
      code: "ERR_STORAGE_FAILED",
      message: expect.stringContaining("cannot open the directory"),
      cause: { code: "EEXIST" },
    });
  });

  test("a killed process frees it", async () => {
    const module = new URL("../../src/actors/directory.ts", import.meta.url).href;
    const options = { directory: join(root, "x/data"), peers: PEERS, durability: "disk" };
    const code = `const { openDirectory } = await import(${JSON.stringify(module)});
      await openDirectory(${JSON.stringify(options)}); console.log("open"); setInterval(() => {}, 1e6);`;
    const args = ["--import", import.meta.resolve("tsx"), "--input-type=module", "-e", code];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(child.stdout, "data");
      await expect(open()).rejects.toMatchObject({
        code: "ERR_DIRECTORY_IN_USE",
        message: expect.stringContaining(`process ${child.pid}`),
      });
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await open();
  });
});

describe("markBorn", () => {
  test("is on disk when it returns, for that peer alone", async () => {
    const directory = await open();
    markBorn(directory.path, "c");
    expect(await identityOf(directory)).toMatchObject({
      peers: { a: { born: false }, b: { born: false }, c: { born: true } },
    });
  });

  test("knows only the cluster's peers", async () => {
    const directory = await open();
    for (const name of ["d", "toString"]) {
      expect(() => markBorn(directory.path, name)).toThrow(expect.objectContaining({ code: "ERR_UNKNOWN_PEER" }));
    }
  });

  test("reports an identity or a store's folder that is gone", async () => {
    const directory = await open();
    await rm(join(directory.path, "a"), { recursive: true });
    expect(() => markBorn(directory.path, "a")).toThrow(expect.objectContaining({ code: "ERR_STORAGE_FAILED" }));
    await rm(join(directory.path, "cluster.json"));
    expect(() => markBorn(directory.path, "b")).toThrow(expect.objectContaining({ code: "ERR_STORAGE_LOST" }));
  });
});

describe.runIf(hasBoots)('with durability "process"', () => {
  const process_ = { durability: "process" } as const;

  /** As if the process had died, and the machine had been started again if `reboot`. */
  async function abandon(directory: ClusterDirectory, reboot: boolean): Promise<void> {
    const identity = await identityOf(directory);
    await directory.release();
    const bootId = reboot ? "another boot" : identity.bootId;
    await writeFile(join(directory.path, "cluster.json"), JSON.stringify({ ...identity, bootId }));
  }

  test("the boot is noted while it is open, through births, and no longer after a clean stop", async () => {
    const directory = await open(process_);
    const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    markBorn(directory.path, "a");
    expect(await identityOf(directory)).toMatchObject({ bootId });
    await directory.release();
    expect(await identityOf(directory)).not.toHaveProperty("bootId");
    expect(await identityOf(directory)).toMatchObject({ peers: { a: { born: true } } });
  });

  test.each(["disk", "process"] as const)(
    "a reboot after an unclean stop is a loss, when opened with %o too",
    async (durability) => {
      await abandon(await open(process_), true);
      await expectRefusal("ERR_STORAGE_LOST", /written with durability "process", and the machine went down/, {
        durability,
      });
    },
  );

  test("an unclean stop in the same boot is none", async () => {
    const first = await open(process_);
    await abandon(first, false);
    const second = await open(process_);
    expect(second.cluster).toBe(first.cluster);
    expect(await identityOf(second)).toHaveProperty("bootId");
  });

  test('after an unclean stop in the same boot "disk" syncs what is there and goes on', async () => {
    const first = await open(process_);
    await mkdir(join(first.path, "a/deep"));
    await writeFile(join(first.path, "a/deep/data"), "unsynced");
    await rm(join(first.path, "b"), { recursive: true });
    await abandon(first, false);
    expect(await identityOf(await open({ durability: "disk" }))).not.toHaveProperty("bootId");
  });

  test('"disk" notes no boot', async () => {
    expect(await identityOf(await open())).not.toHaveProperty("bootId");
  });
});
