import { expect, it } from "vitest";
import { VerifyOnce } from "../../src/actors/verify-once.ts";

it("verifies until it has succeeded once, and never again", async () => {
  let calls = 0;
  const once = new VerifyOnce(async () => {
    if (++calls < 3) throw new Error(`not at attempt ${calls}`);
  });
  await expect(once.verify()).rejects.toThrow("attempt 1");
  await expect(once.verify()).rejects.toThrow("attempt 2");
  expect(once.isDone).toBe(false);
  await once.verify();
  expect(once.isDone).toBe(true);
  await once.verify();
  expect(calls).toBe(3);
});

it("runs one verification for all who ask meanwhile", async () => {
  let calls = 0;
  const once = new VerifyOnce(async () => {
    calls++;
  });
  await Promise.all([once.verify(), once.verify()]);
  expect(calls).toBe(1);
});

it("ends the one under way, and resolves when that has ended", async () => {
  const order: string[] = [];
  const once = new VerifyOnce(
    (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("aborted")));
      }),
  );
  const verified = once.verify().catch((error) => order.push(error.message));
  await once.abort();
  order.push("ended");
  await verified;
  expect(order).toEqual(["aborted", "ended"]);
  expect(once.isDone).toBe(false);
});

it("has nothing to do when there is nothing to find out", async () => {
  const once = new VerifyOnce(undefined);
  expect(once.isDone).toBe(true);
  await once.verify();
  await once.abort();
});
