import { declarePart } from "./run-part.ts";

// The others take a quarter of a minute each, and more: `flotilla lab 4A 4B` runs them.
const SHORT = ["UnreliableOneKey4A", "OnePartition4A", "VersionedPut4A", "SnapshotRPC4B"];
const isShort = (name: string) => SHORT.includes(name);

declarePart("4A", isShort);
declarePart("4B", isShort);
