import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseScenario } from "./scenario.ts";
import { play } from "./stage.ts";

const folder = new URL("./scenarios/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".scenario"));

describe("scenarios", () => {
  // `npx vitest run test/testing/simulator/scenarios.test.ts -u` writes the traces anew: read what has changed in them.
  it.each(files)("%s goes as its trace says", async (name) => {
    const trace = play(parseScenario(readFileSync(new URL(name, folder), "utf8")));
    await expect(trace).toMatchFileSnapshot(new URL(name.replace(/scenario$/, "trace"), folder).pathname);
  });

  it.each([
    ["campaign 1", 'line 1: expected the peers first, and once, got "campaign 1"'],
    ["peers 9", 'line 1: expected peers <count> [snapshot every <entries>] [in chunks of <bytes>], got "peers 9"'],
    ["peers 3\n\ncampaign 4", 'line 3: expected campaign <peer>, with peers from 1 to 3, got "campaign 4"'],
    ["peers 3\nelect 1", "line 2: expected one of peers, campaign, wait, wake"],
    ["peers 3\ndeliver 1-2", "line 2: expected deliver [all]"],
    ["peers 3\ndeliver all but 4>1 # never", "line 2: expected deliver [all]"],
    [
      "peers 3\npropose 1 x",
      'line 2: expected propose <peer> <key>=<value>, with peers from 1 to 3, got "propose 1 x"',
    ],
    ["peers 3\nwait soon", 'line 2: expected wait <milliseconds>, with peers from 1 to 3, got "wait soon"'],
  ])("refuses %j", (text, message) => {
    expect(() => parseScenario(text)).toThrow(message);
  });

  it("refuses a point that does not exist", () => {
    expect(() => play(parseScenario("peers 1\ncrash 1 at noon"))).toThrow('there is no point "noon"');
  });
});
