import { describe, expect, test } from "vitest";
import { decode, pack } from "../../src/machine/codec.ts";
import { PutReader } from "../../src/machine/encoded-put.ts";

function read(command: unknown): { key: unknown; value: unknown } | undefined {
  const bytes = Buffer.concat([Buffer.of(0x83), pack(command), Buffer.of(0xa0)]);
  const reader = new PutReader();
  if (!reader.read(bytes, 1, bytes.byteLength - 1)) return undefined;
  const { key, value, end, wantsVersion } = reader;
  expect(wantsVersion).toBe((command as { op: string }).op === "set");
  return { key: decode(bytes.subarray(key, value - 6)), value: decode(bytes.subarray(value, end)) };
}

describe("the bytes of a put", () => {
  test.each([
    ["k", "text"],
    ["é", 5],
    ["x".repeat(31), null],
    ["x".repeat(32), -1],
    ["x".repeat(255), new Uint8Array([1, 2])],
    ["k", "x".repeat(70_000)],
  ])("are read where key and value stand: %s", (key, value) => {
    expect(read({ op: "put", key, value })).toEqual({ key, value });
    expect(read({ op: "set", key, value })).toEqual({ key, value });
    expect(read({ op: "set", key, value, version: undefined })).toEqual({ key, value });
  });

  test.each<[string, unknown]>([
    ["another command", { op: "get", key: "k" }],
    ["another order", { key: "k", op: "put", value: "v" }],
    ["a condition", { op: "set", key: "k", value: "v", version: 0 }],
    ["a field more", { op: "put", key: "k", value: "v", more: 1 }],
    ["a field less", { op: "put", key: "k" }],
    ["an empty key", { op: "put", key: "", value: "v" }],
    ["a key that is no text", { op: "put", key: 5, value: "v" }],
    ["a long key", { op: "put", key: "x".repeat(256), value: "v" }],
    ["undefined", { op: "put", key: "k", value: undefined }],
    ["a value made of others", { op: "put", key: "k", value: ["v"] }],
    ["a date", { op: "put", key: "k", value: new Date(0) }],
    ["no object", "put"],
  ])("are left to who decodes them: %s", (_, command) => {
    expect(read(command)).toBeUndefined();
  });

  test("are none when they end elsewhere than the value does", () => {
    const bytes = pack({ op: "put", key: "k", value: "value" });
    const reader = new PutReader();
    for (let end = 0; end < bytes.byteLength; end++) expect(reader.read(bytes, 0, end)).toBe(false);
    expect(reader.read(Buffer.concat([bytes, Buffer.of(1)]), 0, bytes.byteLength + 1)).toBe(false);
    expect(reader.read(bytes, 0, bytes.byteLength)).toBe(true);
  });
});
