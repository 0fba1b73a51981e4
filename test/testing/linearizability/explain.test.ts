import { expect, test } from "vitest";
import { parseHistory } from "../../../src/testing/history-lines.ts";
import { checkLinearizable, type Violation } from "../../../src/testing/linearizability/check.ts";
import { explain } from "../../../src/testing/linearizability/explain.ts";
import { keyValueModel } from "../../../src/testing/linearizability/key-value.ts";
import { drawHistory } from "../../../src/testing/linearizability/picture.ts";

const HISTORY = `
{"client":1,"op":"put","key":"<k>","value":"a","call":100,"return":250}
{"client":2,"op":"get","key":"<k>","output":"a","call":260,"return":300}
{"client":3,"op":"append","key":"<k>","value":"</svg>","call":110}
{"client":2,"op":"get","key":"<k>","output":null,"call":310,"return":330}
{"client":1,"op":"put","key":"<k>","value":"b","call":320,"return":350}
{"client":2,"op":"get","key":"<k>","output":"b","call":360,"return":370}
`;

async function violation(): Promise<Violation<Parameters<typeof keyValueModel.step>[1], unknown>> {
  const result = await checkLinearizable(parseHistory(HISTORY), keyValueModel);
  const [first] = result.verdict === "illegal" ? result.violations : [];
  if (first === undefined) throw new Error(`it is ${result.verdict}`);
  return first;
}

test("the shortest illegal prefix ends with the answer that nothing explains", async () => {
  const found = await violation();
  expect(found).toMatchObject({
    partition: "<k>",
    completed: 3,
    isShortest: true,
    culprit: { client: 2, input: { op: "get" }, output: null, call: 310 },
    state: "{ version: 1, value: 'a' }",
  });
  expect(found.prefix.map(({ call }) => call)).toEqual([100, 260, 110, 310, 320]);
  expect(found.order.map(({ call }) => call)).toEqual([100, 260]);
});

test("explain tells it in lines", async () => {
  expect(
    explain(await violation(), keyValueModel),
  ).toBe(`<k>: no order explains the first 3 answers. Without the last of them all is well:
  client 2: get <k> → absent, 310 to 330 ns
The longest order that was found ends with
  client 1: put <k> 'a', 100 to 250 ns
  client 2: get <k> → 'a', 260 to 300 ns
and leaves the state { version: 1, value: 'a' }. Nothing was found that fits in
  client 3: append <k> '</svg>', from 110 ns, outcome unknown
  client 1: put <k> 'b', from 320 ns, not returned yet
`);
});

test("a model that does not describe its operations has them shown as they are, whatever they are", async () => {
  const model = {
    name: "one's own",
    init: () => 0,
    step: (state: number, _: bigint, seen: unknown) => (seen === 7n ? undefined : state),
  };
  const common = { client: 1, outcome: "ok" } as const;
  const history = [
    { ...common, input: 5n, output: undefined, call: 0, return: 1 },
    { ...common, input: 6n, output: 7n, call: 2, return: 3 },
  ];
  const result = await checkLinearizable(history, model);
  const [found] = result.verdict === "illegal" ? result.violations : [];
  expect(found && explain(found, model)).toContain("client 1: 6n → 7n, 2 to 3 ns");
  expect(found && explain(found, model)).toContain("client 1: 5n, 0 to 1 ns");
  expect(found && drawHistory([found], model)).toContain("6n → 7n");
});

test("drawHistory draws it as a page that needs nothing else, and takes no text for markup", async () => {
  const page = drawHistory([await violation()], keyValueModel);
  expect(page.match(/<rect class="ok"/g)).toHaveLength(2);
  expect(page.match(/<rect class="culprit"/g)).toHaveLength(1);
  expect(page.match(/<rect class="unknown"/g)).toHaveLength(1);
  expect(page.match(/<rect class="late"/g)).toHaveLength(1);
  expect(page.match(/<\/svg>/g)).toHaveLength(1);
  expect(page).not.toContain("<k>");
  expect(page).not.toMatch(/(?:src|href)=/);
  expect(page).not.toMatch(/NaN|Infinity|undefined/);
});
