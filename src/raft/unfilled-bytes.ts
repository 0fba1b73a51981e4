/** A buffer of its own that nobody has cleared, to be written to from end to end: to clear it takes as long as that. */
export function unfilledBytes(byteLength: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer as ArrayBuffer);
}
