import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { forgetAbort, whenAborted } from "../../src/actors/abort.ts";

function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, "abort").length;
}

describe("who waits for a signal", () => {
  it("hears of it in order, once, and the signal has one listener however many wait", () => {
    const abort = new AbortController();
    const heard: number[] = [];
    const acts = Array.from({ length: 100 }, (_, at) => () => void heard.push(at));
    for (const act of acts) whenAborted(abort.signal, act);
    expect(listeners(abort.signal)).toBe(1);
    for (const act of acts.slice(3)) forgetAbort(abort.signal, act);
    abort.abort();
    abort.signal.dispatchEvent(new Event("abort"));
    expect(heard).toEqual([0, 1, 2]);
  });

  it("leaves nothing behind when all have gone, and may come again", () => {
    const abort = new AbortController();
    let heard = 0;
    const act = () => void heard++;
    for (let round = 0; round < 3; round++) {
      whenAborted(abort.signal, act);
      forgetAbort(abort.signal, act);
      forgetAbort(abort.signal, act);
      expect(listeners(abort.signal)).toBe(0);
    }
    whenAborted(abort.signal, act);
    abort.abort();
    expect(heard).toBe(1);
  });

  it("is not called when another, called before, made it go", () => {
    const abort = new AbortController();
    let heard = 0;
    const second = () => void heard++;
    whenAborted(abort.signal, () => forgetAbort(abort.signal, second));
    whenAborted(abort.signal, second);
    abort.abort();
    expect(heard).toBe(0);
  });

  it("is told what is no signal, and may have none", () => {
    whenAborted(undefined, () => {});
    expect(() => whenAborted({} as AbortSignal, () => {})).toThrow("signal: expected an AbortSignal, got {}");
  });
});
