import { type Batch, EntryKind, forEachEntry, packEntries, parseBatch, stampBatch } from "../../src/raft/entry.ts";

/** Packs texts as commands, or as a no-op when there are none. */
export function pack(texts: readonly string[]): Uint8Array {
  const encoder = new TextEncoder();
  return texts.length === 0
    ? packEntries(EntryKind.noop, [new Uint8Array()])
    : packEntries(
        EntryKind.command,
        texts.map((text) => encoder.encode(text)),
      );
}

/** A stamped batch of commands, or one no-op. */
export function batch(firstIndex: number, term: number, ...texts: string[]): Batch {
  return stampBatch(pack(texts), { firstIndex, term, time: 0 });
}

export function copyBatch(original: Batch): Batch {
  return parseBatch(original.bytes.slice());
}

/** Each entry of the batches as `term:text`. */
export function texts(batches: readonly Batch[]): string[] {
  const decoder = new TextDecoder();
  const found: string[] = [];
  for (const each of batches) {
    forEachEntry(each, each.firstIndex, (_index, _kind, data) => found.push(`${each.term}:${decoder.decode(data)}`));
  }
  return found;
}
