import { crc32 } from "node:zlib";
import { getUint32, setUint32 } from "../raft/bytes.ts";
import { type Batch, parseBatch } from "../raft/entry.ts";
import { InvariantError, type Outcome, RaftError } from "../raft/errors.ts";
import type { LongTable, Table } from "./records.ts";
import { isFull } from "./room.ts";

/*
 * Every record carries a CRC-32 in its first four bytes, little-endian: a batch in the header that it has anyway,
 * over all that follows; any other record in front of its content (JSON, a chunk, a machine's value), over the name of the
 * record and the content.
 */
export const CHECKSUM_BYTES = 4;

/** What is thrown when stored bytes are not what was written. */
export function corrupt(message: string, cause?: unknown): RaftError {
  return new RaftError("ERR_STORAGE_CORRUPT", message, cause === undefined ? {} : { cause });
}

/**
 * What a store throws when its disk threw `cause`; errors of our own stay what they are.
 * @param what was not done.
 * @param outcome of the commands that were to be written, if any.
 */
export function storageError(what: string, cause: unknown, outcome: Outcome = "not-applied"): unknown {
  if (cause instanceof RaftError || cause instanceof InvariantError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const code = isFull(cause) ? "ERR_STORAGE_FULL" : "ERR_STORAGE_FAILED";
  return new RaftError(code, `${what}: ${reason}`, { cause, outcome });
}

/** Fills in a batch's checksum, in place, and returns its bytes: the record to be stored. */
export function sealBatch(batch: Batch): Uint8Array {
  setUint32(batch.bytes, 0, crc32(batch.bytes.subarray(CHECKSUM_BYTES)));
  return batch.bytes;
}

/**
 * The batch in a record of the log.
 * @param index the record's key.
 * @throws RaftError `ERR_STORAGE_CORRUPT` when the checksum is wrong or the batch belongs elsewhere.
 */
export function unsealBatch(index: number, record: Uint8Array): Batch {
  if (!hasChecksum(record, crc32(record.subarray(CHECKSUM_BYTES)))) {
    throw corrupt(`the log record of entry ${index} fails its checksum`);
  }
  let batch: Batch;
  try {
    batch = parseBatch(record);
  } catch (error) {
    throw corrupt(`the log record of entry ${index} cannot be read`, error);
  }
  if (batch.firstIndex !== index || batch.bytes.byteLength !== record.byteLength) {
    throw corrupt(`the log record of entry ${index} holds ${batch.firstIndex}..${batch.lastIndex}`);
  }
  return batch;
}

/**
 * Whether the bytes are those of a record of that key with that checksum.
 * @param checksum what its first four bytes have to be.
 */
export function isSealed(table: LongTable, key: number, record: Uint8Array, checksum: number): boolean {
  if (!hasChecksum(record, checksum)) return false;
  return hasChecksum(record, table === "log" ? crc32(record.subarray(CHECKSUM_BYTES)) : checksumOf(table, key, record));
}

/** A record of `meta`, `terms` or `places`: any value that JSON can carry. */
export function encodeRecord(table: Table | "places", key: string | number, value: unknown): Uint8Array {
  const json = Buffer.from(JSON.stringify(value));
  const record = new Uint8Array(CHECKSUM_BYTES + json.byteLength);
  record.set(json, CHECKSUM_BYTES);
  setUint32(record, 0, checksumOf(table, key, record));
  return record;
}

/**
 * The value in a record of `meta`, `terms` or `places`.
 * @throws RaftError `ERR_STORAGE_CORRUPT` when the checksum is wrong.
 */
export function decodeRecord(table: Table | "places", key: string | number, record: Uint8Array): unknown {
  if (!hasChecksum(record, checksumOf(table, key, record))) {
    throw corrupt(`the record ${JSON.stringify(key)} of "${table}" fails its checksum`);
  }
  return JSON.parse(new TextDecoder().decode(record.subarray(CHECKSUM_BYTES)));
}

/**
 * A record of `snapshot`: a checksum, and then the chunk.
 * @param scratch what the record is made in, if it is large enough for it.
 */
export function sealChunk(key: number, data: Uint8Array, scratch: Uint8Array): Uint8Array {
  return seal("snapshot", key, data, scratch);
}

/** The chunk in a record of `snapshot`, a view of it; undefined when the checksum is wrong. */
export function unsealChunk(key: number, record: Uint8Array): Uint8Array | undefined {
  return unseal("snapshot", key, record);
}

/** A record of `machine`: a checksum, and then the value. */
export function sealMachineRecord(key: string, value: Uint8Array): Uint8Array {
  return seal("machine", key, value, NO_SCRATCH);
}

/** The value in a record of `machine`, a view of it; undefined when the checksum is wrong. */
export function unsealMachineRecord(key: string, record: Uint8Array): Uint8Array | undefined {
  return unseal("machine", key, record);
}

const NO_SCRATCH = new Uint8Array();

function seal(table: Table, key: string | number, data: Uint8Array, scratch: Uint8Array): Uint8Array {
  const byteLength = CHECKSUM_BYTES + data.byteLength;
  const record = byteLength <= scratch.byteLength ? scratch.subarray(0, byteLength) : new Uint8Array(byteLength);
  record.set(data, CHECKSUM_BYTES);
  setUint32(record, 0, checksumOf(table, key, record));
  return record;
}

function unseal(table: Table, key: string | number, record: Uint8Array): Uint8Array | undefined {
  return hasChecksum(record, checksumOf(table, key, record)) ? record.subarray(CHECKSUM_BYTES) : undefined;
}

function checksumOf(table: Table | "places", key: string | number, record: Uint8Array): number {
  return crc32(record.subarray(CHECKSUM_BYTES), crc32(`${table}/${key}`));
}

function hasChecksum(record: Uint8Array, checksum: number): boolean {
  return record.byteLength >= CHECKSUM_BYTES && getUint32(record, 0) === checksum;
}
