import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { dataFile } from "./lmdb-file.ts";
import {
  type Meta,
  NO_PAGE,
  PAGE_HEADER_BYTES,
  type Page,
  PageFlag,
  parseMeta,
  parsePage,
  type Tree,
  u64,
} from "./page-format.ts";

/*
 * LMDB trusts its pages: a wrong number in one of them makes it read or write where it must not, and that ends the
 * process. This looks at the pages as plain bytes, so nothing that stands in them can do harm. It finds what would
 * lead LMDB astray: a page that is not what its place says, a page used twice, a page that is listed as free and is in
 * use, two meta pages that do not follow each other. What stands in the records is for others to check.
 */

/** More pages than any file can have. */
const MAX_PAGES = 2 ** 36;
/** More bytes than a process can map. */
const MAX_MAP_BYTES = 2 ** 47;
/** How deep a tree can be; LMDB's own limit. */
const MAX_DEPTH = 32;
const MAX_PROBLEMS = 20;

/** The number of the last transaction that the file holds, and what is wrong with its pages; nothing when it is sound. */
export interface PagesReport {
  readonly transaction: number;
  readonly problems: readonly string[];
}

/**
 * Checks the pages of the store in the folder `path`; nobody may be writing to it. For a store that somebody may be
 * writing to, see {@link PagesReport.transaction}: the report holds if that is the same before and after.
 * @param depth `metas` looks at the two meta pages only.
 * @yields a number now and then, the part of the work that is done; there may be a pause.
 */
export function* checkPages(path: string, depth: "all" | "metas"): Generator<number, PagesReport> {
  const descriptor = openSync(dataFile(path), "r");
  try {
    const problems: string[] = [];
    const meta = checkMetas(descriptor, problems);
    if (meta === undefined || problems.length > 0 || depth === "metas") {
      return { transaction: meta?.transaction ?? 0, problems };
    }
    const walk = new PageWalk(descriptor, meta, problems);
    yield* walk.run();
    return { transaction: meta.transaction, problems };
  } finally {
    closeSync(descriptor);
  }
}

/** Reads both meta pages. @returns the one in force. */
function checkMetas(descriptor: number, problems: string[]): Meta | undefined {
  const bytes = fstatSync(descriptor).size;
  const [first, second] = readMetas(descriptor);
  if (first === undefined || second === undefined) {
    problems.push("the meta pages are not those of a database of LMDB");
    return undefined;
  }
  const meta = first.transaction > second.transaction ? first : second;
  // Transactions write the two in turn, so what is in force is one step ahead; a fresh file has two of number 0.
  const [even, odd] = [first.transaction, second.transaction];
  const inTurn = (even === 0 && odd === 0) || (Math.abs(even - odd) === 1 && even % 2 === 0);
  if (!inTurn) problems.push(`the meta pages are of transactions ${even} and ${odd}, which do not follow each other`);
  const same = (["number", "flags", "version", "pageSize", "freeFlags", "mainFlags"] as const).filter(
    (field) => field !== "number" && first[field] !== second[field],
  );
  if (same.length > 0) problems.push(`the meta pages differ in ${same.join(", ")}`);
  if (first.number !== 0 || second.number !== 1) problems.push("the meta pages have the wrong numbers");
  for (const { lastPage, mapBytes } of [first, second]) {
    if (lastPage >= MAX_PAGES || mapBytes > MAX_MAP_BYTES) {
      problems.push(`a meta page speaks of ${lastPage} pages and ${mapBytes} bytes, in a file of ${bytes}`);
    }
  }
  return meta;
}

const META_BYTES = 168;
/** A store that somebody writes to commits some thousand times a second, and a reading takes microseconds. */
const MOST_READINGS = 1_000;

/** Both meta pages as they were at one moment: again, as long as a writer changes the first while the second is read. */
function readMetas(descriptor: number): readonly [Meta | undefined, Meta | undefined] {
  let first = parseMeta(read(descriptor, 0, META_BYTES));
  let second: Meta | undefined;
  for (let reading = 0; first !== undefined && reading < MOST_READINGS; reading++) {
    second = parseMeta(read(descriptor, first.pageSize, META_BYTES));
    const again = parseMeta(read(descriptor, 0, META_BYTES));
    if (again?.transaction === first.transaction) break;
    first = again;
  }
  return [first, second];
}

function read(descriptor: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  const count = readSync(descriptor, buffer, 0, length, position);
  return buffer.subarray(0, count);
}

class PageWalk {
  readonly #descriptor: number;
  readonly #meta: Meta;
  readonly #problems: string[];
  /** A 1 for each page of the file that is in use. */
  readonly #used: Uint8Array;
  readonly #expected: number;
  #done = 0;

  constructor(descriptor: number, meta: Meta, problems: string[]) {
    this.#descriptor = descriptor;
    this.#meta = meta;
    this.#problems = problems;
    const filePages = Math.floor(fstatSync(descriptor).size / meta.pageSize);
    this.#used = new Uint8Array(Math.min(filePages, meta.lastPage + 1));
    this.#used.fill(1, 0, 2);
    this.#expected = this.#used.length;
  }

  *run(): Generator<number, void> {
    const { free, main } = this.#meta;
    const lists: FreeList[] = [];
    yield* this.#tree("the list of free pages", free, (page, node) => {
      const value = this.#value(page, node);
      if (value !== undefined) lists.push({ key: u64(page.bytes, node.keyAt), value });
    });
    const tables: { name: string; tree: Tree }[] = [];
    yield* this.#tree("the table of tables", main, (page, node) => {
      if (node.tree !== undefined) {
        const name = page.bytes.toString("latin1", node.keyAt, node.keyAt + node.keyBytes).replace(/\W+/g, "");
        tables.push({ name: `the table "${name}"`, tree: node.tree });
      } else this.#value(page, node);
    });
    for (const { name, tree } of tables) yield* this.#tree(name, tree, (page, node) => this.#overflow(page, node));
    this.#checkFree(lists);
  }

  #problem(text: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(text);
  }

  /** Walks a tree and hands each of its records to `visit`. */
  *#tree(name: string, tree: Tree, visit: (page: Page, node: Page["nodes"][number]) => void): Generator<number, void> {
    if (tree.root === NO_PAGE) {
      if (tree.depth !== 0) this.#problem(`${name} is empty, and ${tree.depth} deep`);
      return;
    }
    if (tree.depth < 1 || tree.depth > MAX_DEPTH) {
      this.#problem(`${name} is said to be ${tree.depth} pages deep`);
      return;
    }
    const waiting = [{ number: tree.root, level: 1 }];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const { number, level } = at;
      const page = this.#page(name, number, level === tree.depth ? PageFlag.leaf : PageFlag.branch);
      if (page === undefined) continue;
      if (level === tree.depth) for (const node of page.nodes) visit(page, node);
      else for (const { child } of [...page.nodes].reverse()) waiting.push({ number: child, level: level + 1 });
      if (++this.#done % 64 === 0) yield Math.min(1, this.#done / this.#expected);
    }
  }

  /** Reads a page of a tree, and counts it as used. */
  #page(name: string, number: number, kind: number): Page | undefined {
    if (!this.#use(name, number, 1)) return undefined;
    const { pageSize, transaction } = this.#meta;
    const bytes = read(this.#descriptor, number * pageSize, pageSize);
    const page = parsePage(bytes, kind);
    const isSound =
      typeof page !== "string" && page.number === number && page.flags === kind && page.transaction <= transaction;
    if (isSound) return page;
    const why = typeof page === "string" ? page : "its header is wrong";
    this.#problem(`page ${number} of ${name} is broken: ${why}`);
    return undefined;
  }

  #use(name: string, number: number, count: number): boolean {
    if (!(number >= 2 && count >= 1 && number + count <= this.#used.length)) {
      this.#problem(`${name} refers to ${count} pages from ${number} on, of ${this.#used.length}`);
      return false;
    }
    for (let page = number; page < number + count; page++) {
      if (this.#used[page] === 1) {
        this.#problem(`page ${page} of ${name} is used twice`);
        return false;
      }
      this.#used[page] = 1;
    }
    return true;
  }

  /** Checks the pages outside the tree that a record's value takes, if any. @returns where the value begins. */
  #overflow({ bytes }: Page, { overflow, valueBytes }: Page["nodes"][number]): number | undefined {
    if (overflow === undefined) return undefined;
    const { number, transaction, pages } = overflow;
    const { pageSize } = this.#meta;
    const name = `a record on page ${u64(bytes, 0)}`;
    if (!this.#use(name, number, pages)) return undefined;
    const header = read(this.#descriptor, number * pageSize, PAGE_HEADER_BYTES);
    const isSound =
      u64(header, 0) === number &&
      u64(header, 8) <= this.#meta.transaction &&
      transaction <= this.#meta.transaction &&
      header.readUInt16LE(18) === PageFlag.overflow &&
      header.readUInt32LE(20) === pages &&
      PAGE_HEADER_BYTES + valueBytes <= pages * pageSize;
    if (!isSound) {
      this.#problem(`page ${number}, with the value of ${name}, is broken: its header is wrong`);
      return undefined;
    }
    return number * pageSize + PAGE_HEADER_BYTES;
  }

  #value(page: Page, node: Page["nodes"][number]): Buffer | undefined {
    if (node.overflow === undefined) return page.bytes.subarray(node.valueAt, node.valueAt + node.valueBytes);
    const at = this.#overflow(page, node);
    return at === undefined ? undefined : read(this.#descriptor, at, node.valueBytes);
  }

  /**
   * A list of free pages is a count and then as many words: a page, or a negative count of pages and then the first of
   * them, or 0, which says nothing.
   */
  #checkFree(lists: readonly FreeList[]): void {
    let before = 0;
    for (const { key, value } of lists) {
      if (!(key > before)) this.#problem(`the lists of free pages are out of order: ${key} behind ${before}`);
      before = key;
      const words = Math.floor(value.byteLength / 8);
      const count = words === 0 ? 0 : u64(value, 0);
      if (count > words - 1) {
        this.#problem(`list ${key} of free pages has ${count} of them in ${value.byteLength} bytes`);
        continue;
      }
      for (let at = 1; at <= count; at++) {
        const word = i64(value, at * 8);
        const first = word >= 0 ? word : ++at < words ? i64(value, at * 8) : 0;
        if (first !== 0) this.#checkFreePages(key, first, word >= 0 ? 1 : -word);
      }
    }
  }

  #checkFreePages(key: number, first: number, count: number): void {
    if (!(first >= 2 && first + count - 1 <= this.#meta.lastPage)) {
      this.#problem(`list ${key} of free pages has ${count} from ${first} on, of ${this.#meta.lastPage + 1}`);
      return;
    }
    for (let page = first; page < Math.min(first + count, this.#used.length); page++) {
      if (this.#used[page] !== 1) continue;
      this.#problem(`page ${page} is in use, and listed as free`);
      return;
    }
  }
}

interface FreeList {
  /** The transaction that freed the pages. */
  readonly key: number;
  readonly value: Buffer;
}

function i64(bytes: Buffer, at: number): number {
  return Number(bytes.readBigInt64LE(at));
}
