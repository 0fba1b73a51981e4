/*
 * What the pages of LMDB's data format 2 look like, on a little-endian machine of 64 bits:
 *
 *     page    0 u64 number      its own
 *             8 u64 transaction that wrote it
 *            18 u16 flags       see PageFlag
 *            20 u16 lower, 22 u16 upper: the free space, counted from the end of the header; or u32 count of pages
 *            24     offsets of the nodes, u16 each, counted from the end of the header
 *     node    0 u32 size        of the value; in a branch, the child's number with the flags as its upper part
 *             4 u16 flags       see NodeFlag
 *             6 u16 key's size
 *             8     key and value
 *
 * A value on pages of its own is replaced by their number, transaction and count; one that is a table by its tree.
 */
export const PAGE_HEADER_BYTES = 24;
const NODE_HEADER_BYTES = 8;
const TREE_BYTES = 48;
const OVERFLOW_BYTES = 24;

export const PageFlag = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const;
const NodeFlag = { overflow: 1, table: 2 } as const;

/** The root of a tree without pages. */
export const NO_PAGE = Number(2n ** 64n - 1n);

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;

/** Where a table is. */
export interface Tree {
  readonly depth: number;
  readonly root: number;
}

/** A meta page: the state of the file after a transaction. */
export interface Meta {
  readonly number: number;
  readonly flags: number;
  readonly version: number;
  readonly mapBytes: number;
  readonly pageSize: number;
  readonly freeFlags: number;
  readonly free: Tree;
  readonly mainFlags: number;
  readonly main: Tree;
  readonly lastPage: number;
  readonly transaction: number;
}

/** A page of a tree. */
export interface Page {
  readonly number: number;
  readonly transaction: number;
  readonly flags: number;
  readonly bytes: Buffer;
  readonly nodes: readonly Node[];
}

interface Node {
  /** What it takes of the page. */
  readonly bytes: number;
  readonly keyAt: number;
  readonly keyBytes: number;
  /** Of a branch. */
  readonly child: number;
  readonly valueAt: number;
  readonly valueBytes: number;
  /** The pages that hold the value, if they are not this one. */
  readonly overflow: { readonly number: number; readonly transaction: number; readonly pages: number } | undefined;
  /** The table that the value is. */
  readonly tree: Tree | undefined;
}

/** A number of 64 bits; beyond 2^53 only roughly. */
export function u64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

/** Undefined when the bytes are no meta page. */
export function parseMeta(bytes: Buffer): Meta | undefined {
  if (bytes.byteLength < 168) return undefined;
  const pageSize = bytes.readUInt32LE(48);
  const version = bytes.readUInt32LE(28);
  const isMeta =
    bytes.readUInt16LE(18) === PageFlag.meta &&
    bytes.readUInt32LE(24) === MAGIC &&
    (version & 0xffff) === DATA_VERSION &&
    pageSize >= 512 &&
    pageSize <= 65_536 &&
    Number.isInteger(Math.log2(pageSize));
  if (!isMeta) return undefined;
  return {
    number: u64(bytes, 0),
    flags: bytes.readUInt16LE(18),
    version,
    mapBytes: u64(bytes, 40),
    pageSize,
    freeFlags: bytes.readUInt16LE(52),
    free: parseTree(bytes, 48),
    mainFlags: bytes.readUInt16LE(100),
    main: parseTree(bytes, 96),
    lastPage: u64(bytes, 144),
    transaction: u64(bytes, 152),
  };
}

function parseTree(bytes: Buffer, at: number): Tree {
  return { depth: bytes.readUInt16LE(at + 6), root: u64(bytes, at + 40) };
}

/** @returns what is wrong with it when its nodes cannot be read. */
export function parsePage(bytes: Buffer, kind: number): Page | string {
  if (bytes.byteLength < 512) return "it is cut off";
  const room = bytes.byteLength - PAGE_HEADER_BYTES;
  const lower = bytes.readUInt16LE(20);
  const upper = bytes.readUInt16LE(22);
  if (lower % 2 !== 0 || lower > upper || upper > room) return `its free space is from ${lower} to ${upper}`;
  const nodes: Node[] = [];
  let taken = 0;
  for (let at = 0; at < lower; at += 2) {
    const offset = bytes.readUInt16LE(PAGE_HEADER_BYTES + at);
    const node =
      offset < upper || offset + NODE_HEADER_BYTES > room
        ? undefined
        : parseNode(bytes, PAGE_HEADER_BYTES + offset, kind);
    if (node === undefined) return `its record ${at / 2} is not within it`;
    taken += node.bytes;
    nodes.push(node);
  }
  if (taken > room - upper) return "its records overlap";
  if (nodes.length === 0) return "it is empty";
  return {
    number: u64(bytes, 0),
    transaction: u64(bytes, 8),
    flags: bytes.readUInt16LE(18),
    bytes,
    nodes,
  };
}

function parseNode(bytes: Buffer, at: number, kind: number): Node | undefined {
  const flags = bytes.readUInt16LE(at + 4);
  const size = bytes.readUInt32LE(at);
  const keyAt = at + NODE_HEADER_BYTES;
  const keyBytes = bytes.readUInt16LE(at + 6);
  const valueAt = keyAt + keyBytes;
  const isBranch = kind === PageFlag.branch;
  const isOverflow = !isBranch && (flags & NodeFlag.overflow) !== 0;
  const isTable = !isBranch && (flags & NodeFlag.table) !== 0;
  if (!isBranch && flags !== 0 && flags !== NodeFlag.overflow && flags !== NodeFlag.table) return undefined;
  const valueBytes = isBranch ? 0 : size;
  const taken = isBranch ? 0 : isOverflow ? OVERFLOW_BYTES : size;
  if (valueAt + taken > bytes.byteLength || (isTable && size !== TREE_BYTES)) return undefined;
  const length = valueAt + taken - at;
  return {
    bytes: length + (length % 2),
    keyAt,
    keyBytes,
    child: size + flags * 2 ** 32,
    valueAt,
    valueBytes,
    overflow: isOverflow
      ? { number: u64(bytes, valueAt), transaction: u64(bytes, valueAt + 8), pages: u64(bytes, valueAt + 16) }
      : undefined,
    tree: isTable ? parseTree(bytes, valueAt) : undefined,
  };
}
