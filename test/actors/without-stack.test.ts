import { describe, expect, it } from "vitest";
import { withoutStack } from "../../src/actors/without-stack.ts";

describe("an error that is made without a stack", () => {
  it("says its message all the same, and has others keep theirs", () => {
    const before = Error.stackTraceLimit;
    const error = withoutStack(() => new TypeError("too many"));
    expect(error.stack).toBe("TypeError: too many");
    expect(Error.stackTraceLimit).toBe(before);
    expect(new Error("of its own").stack).toContain("without-stack.test.ts");
  });

  it("does nothing to later errors when it cannot be made", () => {
    const before = Error.stackTraceLimit;
    const make = () => {
      throw new RangeError("no error");
    };
    expect(() => withoutStack(make)).toThrow(RangeError);
    expect(Error.stackTraceLimit).toBe(before);
  });

  it("has a stack where the app does not allow that to be changed", () => {
    const before = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit");
    Object.defineProperty(Error, "stackTraceLimit", { value: 10, writable: false, configurable: true });
    try {
      expect(withoutStack(() => new Error("frozen")).stack).toContain("without-stack.test.ts");
    } finally {
      if (before !== undefined) Object.defineProperty(Error, "stackTraceLimit", before);
    }
  });
});
